"""Templates, style and scripts put together into one page that needs nothing from outside."""

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def page(template: str, scripts: tuple[str, ...], **content: Any) -> str:
    """A whole page from a template of the folder ``page``, in which all text is escaped.

    The page's own policy lets a browser run and apply only what is written into it here, by its hash, show only
    pictures that it holds, and fetch nothing.
    """
    css, script = part("page.css"), "\n".join(part(name) for name in scripts)
    policy = "; ".join(
        [
            "default-src 'none'",
            "img-src data:",
            f"style-src '{_hash(css)}'",
            f"script-src '{_hash(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    return (
        _environment().get_template(template).render(css=Markup(css), script=Markup(script), policy=policy, **content)
    )


def part(name: str) -> str:
    """The text of a file in the folder ``page``."""
    return (files("pyrodrop.results.page") / "templates" / name).read_text(encoding="utf-8")


def as_data(value: Any) -> Markup:
    """JSON that can stand in a page: what could end its element is written as an escape."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("pyrodrop.results.page", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
