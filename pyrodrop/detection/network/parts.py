"""Images of which parts are read: arrays, and those that do not fit into memory."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

BLOCK = 1024  # px, the side of what is read at once


class Readable(Protocol):
    """An image (H, W) that gives parts of itself, float32, of which NaN is unknown; an array is one."""

    @property
    def shape(self) -> Any:
        """Height and width."""

    def __getitem__(self, box: tuple[slice, slice], /) -> Any:
        """The pixels of some rows and columns, as an array gives them."""


class Window(NamedTuple):
    """Rows top to bottom and columns left to right, the last of each left out; top and left on cells of all levels."""

    top: int
    bottom: int
    left: int
    right: int


def blocks(shape: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of blocks that an image of this shape (H, W) is made of, each pixel in one of them."""
    height, width = shape
    for top in range(0, height, BLOCK):
        for left in range(0, width, BLOCK):
            yield slice(top, min(top + BLOCK, height)), slice(left, min(left + BLOCK, width))
