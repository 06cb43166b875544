"""How an image is cut into tiles: which pixels each looks at, and which centres are its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Box:
    """Pixels of rows top to bottom and columns left to right, the last of each left out."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in px."""
        return self.bottom - self.top, self.right - self.left

    def widened(self, halo: int, size: tuple[int, int]) -> "Box":
        """The box with ``halo`` px more on each side, as far as the image of size (H, W) reaches."""
        return Box(
            max(self.top - halo, 0),
            min(self.bottom + halo, size[0]),
            max(self.left - halo, 0),
            min(self.right + halo, size[1]),
        )


@dataclass(frozen=True)
class Tile:
    """One tile of an image.

    Attributes:
        row, column: its place among the tiles.
        box: its own pixels; those of all tiles together are the image, once.
        size: height and width (H, W) of the image.
    """

    row: int
    column: int
    box: Box
    size: tuple[int, int]

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.row:04d}-{self.column:04d}"

    def depth(self, x: Array, y: Array) -> Array:
        """How far within the tile centres lie, in px, (N,): negative outside of it.

        Pixel centres are on integers, so that a tile reaches from half a pixel before its first to half a pixel after
        its last one. Sides of the image are no seams: there it reaches as far as anything does.
        """
        box, (height, width) = self.box, self.size
        sides = [
            x - (box.left - 0.5) if box.left > 0 else np.full_like(x, np.inf),
            (box.right - 0.5) - x if box.right < width else np.full_like(x, np.inf),
            y - (box.top - 0.5) if box.top > 0 else np.full_like(y, np.inf),
            (box.bottom - 0.5) - y if box.bottom < height else np.full_like(y, np.inf),
        ]
        return np.asarray(np.min(sides, axis=0))

    def owns(self, x: Array, y: Array) -> NDArray[np.bool_]:
        """Which centres are the tile's own, (N,): exactly one tile says so of any centre, tiles being half-open."""
        box, (height, width) = self.box, self.size
        along = ((x >= box.left - 0.5) | (box.left == 0)) & ((x < box.right - 0.5) | (box.right == width))
        down = ((y >= box.top - 0.5) | (box.top == 0)) & ((y < box.bottom - 0.5) | (box.bottom == height))
        return np.asarray(along & down)


def tiles_of(size: tuple[int, int], tile_px: int) -> list[Tile]:
    """The tiles of an image of size (H, W), none with a side longer than ``tile_px``, all about equally large."""
    rows, columns = (list(_cuts(side, tile_px)) for side in size)
    return [
        Tile(row, column, Box(*down, *along), size)
        for row, down in enumerate(rows)
        for column, along in enumerate(columns)
    ]


def _cuts(side: int, tile_px: int) -> Iterator[tuple[int, int]]:
    count = max(-(-side // tile_px), 1)
    edges = [side * k // count for k in range(count + 1)]
    yield from pairwise(edges)
