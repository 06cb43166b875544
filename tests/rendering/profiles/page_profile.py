"""The profile of docs/new_profile.md, as the page has it: each of its code cells is a file of its own."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

PAGE = Path(__file__).resolve().parents[3] / "docs" / "new_profile.md"


def cell_with(words: str) -> str:
    """The one code cell of the page that has these words, without its options."""
    cells = re.findall(r"```\{code-cell\} python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (cell,) = [cell for cell in cells if words in cell]
    return re.sub(r"^(:\S+:.*\n+)+", "", cell)


def imported(path: Path, source: str) -> ModuleType:
    """The source as a module in a file."""
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
