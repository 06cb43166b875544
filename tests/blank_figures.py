"""Figures that are made and not drawn: drawing one takes as long as measuring a small image does."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from matplotlib.figure import Figure
from PIL import Image

_draw = Figure.savefig


def blank(figure: Figure, file: Any, *, format: str = "png", **how: Any) -> None:
    if format == "png":
        Image.new("L", (2, 2)).save(file, format="PNG")
    else:
        _draw(figure, file, format=format, **how)


@contextmanager
def blank_figures() -> Iterator[None]:
    """What is saved of a figure in here as a PNG is blank; all that it shows is still worked out and put into it."""
    with patch.object(Figure, "savefig", blank):
        yield
