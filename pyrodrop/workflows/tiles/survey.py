"""A first look at all of a large image, part by part: its levels, how busy each tile is, and a small picture of it."""

import hashlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrodrop.images import ImageError
from pyrodrop.workflows.tiles.grid import Tile
from pyrodrop.workflows.tiles.large_image import LargeImage, LevelRange

# Of the small picture's longer side, in px.
_SMALL = 1_500


class Survey(NamedTuple):
    """What a large image is like, before anything is measured in it.

    levels: what becomes 0 and 1. contrast: standard deviation of each tile's levels, (tiles,). small: the image in
    means over squares of ``step`` px, (h, w), float32. digest: tells this image from others.
    """

    levels: LevelRange
    contrast: NDArray[np.float64]
    small: NDArray[np.float32]
    step: int
    digest: str


def survey(image: LargeImage, tiles: list[Tile], white: float | None = None) -> Survey:
    """Read an image once, a tile at a time.

    Args:
        image: the image.
        tiles: that it is cut into.
        white: the level that becomes 1; None takes the highest of the type or, of 16 bits or more where
            less than a quarter is used and of floating point above 1, the highest in the image: as
            ``read_image(white="brightest")``.

    Where numbers are negative, the lowest of them becomes black, as in ``read_image``.

    Raises:
        ImageError: pixels that are not finite or above the white that was given, or that go below 0 where that is no
            background subtracted: of 8 bits, or where 0 is white.
    """
    name = image.path or "the image"
    height, width = image.size
    step = max(-(-max(image.size) // _SMALL), 1)
    small = np.zeros((-(-height // step), -(-width // step)))
    counts = np.zeros_like(small)
    contrast = np.zeros(len(tiles))
    highest, lowest = -np.inf, np.inf
    exact = hashlib.sha256()
    for k, tile in enumerate(tiles):
        stored = image.read(tile.box)
        exact.update(np.ascontiguousarray(stored).data)
        levels = stored.mean(2, dtype=np.float64)
        if not np.isfinite(levels).all():
            raise ImageError(f"{name} has NaN or infinite pixels: replace them, for example by the background.")
        highest, lowest = max(highest, float(stored.max())), min(lowest, float(stored.min()))
        contrast[k] = levels.std()
        rows = np.arange(tile.box.top, tile.box.bottom) // step
        columns = np.arange(tile.box.left, tile.box.right) // step
        row_starts, column_starts = (np.flatnonzero(np.diff(v, prepend=-1)) for v in (rows, columns))
        sums = np.add.reduceat(np.add.reduceat(levels, row_starts, 0), column_starts, 1)
        place = np.ix_(rows[row_starts], columns[column_starts])
        small[place] += sums
        counts[place] += np.outer(np.diff(row_starts, append=len(rows)), np.diff(column_starts, append=len(columns)))
    if image.dtype.kind == "i" and image.dtype.itemsize == 1:
        raise ImageError(f"{name} has levels below 0, of 8 bits with a sign: save it with black as 0.")
    if lowest < 0 and image.dark:
        raise ImageError(f"{name} stores white as 0 and has pixels down to {lowest:g}: save it with black as 0.")
    level = _white(image.dtype, lowest, highest) if white is None else white
    if highest > level:
        raise ImageError(f"{name} has pixels up to {highest:g}, above the white level {level:g}: give a higher one.")
    levels = LevelRange(level, min(lowest, 0.0))
    picture = (small / counts - levels.black) / (levels.white - levels.black)
    seen = (1 - picture if image.dark else picture).astype(np.float32)
    return Survey(levels, contrast, seen, step, exact.hexdigest())


def _white(dtype: np.dtype[Any], lowest: float, highest: float) -> float:
    """The highest level of the type, or that of the image where the type's is none; above black in any case."""
    top = 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)
    certain = highest <= 1 if dtype.kind == "f" else dtype.itemsize == 1 or highest >= top / 4
    if certain:
        return top
    if lowest >= 0:
        return highest or 1.0
    return highest if highest > lowest else lowest + 1.0
