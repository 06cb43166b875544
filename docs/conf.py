"""Sphinx settings. The pages that hold code run it when they are built."""

import os
import re
from importlib.metadata import version as version_of
from typing import Any

# Pyro's progress bars would have widgets, which the pages have not, and each page would say so.
os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), "ignore:IProgress not found"]))

project = "pyrodrop"
author = "The pyrodrop developers"
project_copyright = "2026, The pyrodrop developers"
version = release = version_of("pyrodrop")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"pyrodrop {version}"
html_static_path = ["_static"]
html_css_files = ["pyrodrop.css"]


def setup(app: Any) -> None:
    """Let docstrings stay plain text: formulas in them are no markup, and a colon in Returns is a colon."""
    app.connect("autodoc-process-docstring", _plain_text, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", _short_types)


def _plain_text(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    returns = False
    for number, line in enumerate(lines):
        parts = re.split(r"(``.*?``|:\w+:`.*?`)", line)
        parts[::2] = [re.sub(r"([*|]|_(?!\w))", r"\\\1", part) for part in parts[::2]]
        lines[number] = "".join(parts)
        if line.strip() in ("Returns:", "Yields:"):
            lines[number], returns = "", True
        elif returns and line.strip():
            lines[number], returns = f":returns: {lines[number].strip()}", False


def _short_types(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None] | None:
    """Numpy's ArrayLike is a union of a dozen types once it is evaluated."""
    if signature is None or "_NestedSequence" not in signature:
        return None
    return re.sub(r"_?Buffer \|.*?_NestedSequence\[complex.*?\]", "ArrayLike", signature), returned
