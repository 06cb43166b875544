"""The scales at which the network looks at an image: it, and it halved again and again.

Each droplet is looked at where its radius is at most `HANDOVER`: there the noise of a finely sampled image is averaged,
as the joint fit will average it, and the outline is not hidden by what is within a droplet.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrodrop.detection.network.parts import Readable, blocks
from pyrodrop.detection.network.peaks import Cells

REDUCTION = 2  # from one scale to the next; a block is a multiple of it
LEAST_SIDE = 48  # px: an image is reduced as long as its shorter side keeps this many
# px of a scale: radii between which the next scale takes over, chosen on held-out simulations (docs/finder.md).
HANDOVER = (8.0, 16.0)


class Scale(NamedTuple):
    """An image reduced ``number`` times; the last one is not reduced further. pixels: NaN is unknown."""

    pixels: Readable
    number: int
    is_last: bool


def scales_of(image: Readable) -> Iterator[Scale]:
    """An image of which parts are read, halved again and again.

    Of an array all are arrays; of an image that does not fit into memory the first half is read when it is asked for,
    and what follows, a sixteenth of it and less, is held in memory.
    """
    number = 0
    while True:
        is_last = min(image.shape) < REDUCTION * LEAST_SIDE
        yield Scale(image, number, is_last)
        if is_last:
            return
        image = Reduced(image) if number == 0 and not isinstance(image, np.ndarray) else reduced(image)
        number += 1


class Reduced:
    """An image (H, W) of which parts are read, reduced when they are."""

    def __init__(self, image: Readable) -> None:
        self.image = image
        self.shape = (-(-image.shape[0] // REDUCTION), -(-image.shape[1] // REDUCTION))

    def __getitem__(self, box: tuple[slice, slice], /) -> NDArray[np.float32]:
        """Some rows and columns; of the image no more is in memory at once than a block."""
        (top, bottom, _), (left, right, _) = (part.indices(side) for part, side in zip(box, self.shape, strict=True))
        result = np.empty((max(bottom - top, 0), max(right - left, 0)), np.float32)
        for rows, columns in blocks((REDUCTION * result.shape[0], REDUCTION * result.shape[1])):
            down, along = REDUCTION * top, REDUCTION * left
            part = self.image[rows.start + down : rows.stop + down, columns.start + along : columns.stop + along]
            result[
                rows.start // REDUCTION : rows.stop // REDUCTION, columns.start // REDUCTION : columns.stop // REDUCTION
            ] = _reduced_part(part)
        return result


def reduced(image: Readable) -> NDArray[np.float32]:
    """Means of squares of 2 x 2 px; unknown where less than half of the square is known."""
    height, width = image.shape
    result = np.empty((-(-height // REDUCTION), -(-width // REDUCTION)), np.float32)
    for rows, columns in blocks((height, width)):
        part = _reduced_part(image[rows, columns])
        top, left = rows.start // REDUCTION, columns.start // REDUCTION
        result[top : top + part.shape[0], left : left + part.shape[1]] = part
    return result


def _reduced_part(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = (-(-n // REDUCTION) * REDUCTION for n in pixels.shape)
    padded = np.full((height, width), np.nan, np.float32)
    padded[: pixels.shape[0], : pixels.shape[1]] = pixels
    squares = padded.reshape(height // REDUCTION, REDUCTION, width // REDUCTION, REDUCTION)
    known = np.isfinite(squares)
    number = known.sum((1, 3))
    mean = np.where(known, squares, 0).sum((1, 3)) / np.maximum(number, 1)
    return np.where(number >= REDUCTION**2 / 2, mean, np.nan).astype(np.float32)


def placed(cells: Cells, scale: Scale) -> Cells:
    """Cells of a scale in px of the image, their presence times the share that this scale has in their radius.

    The shares of all scales sum to 1 at each radius: from one scale the next takes over between two radii.
    """
    factor = float(REDUCTION**scale.number)
    low, high = math.log(HANDOVER[0]), math.log(HANDOVER[1])

    def passed_on(log_radius: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((log_radius - low) / (high - low)).clip(0, 1)

    share = np.ones_like(cells.presence)
    if not scale.is_last:
        share -= passed_on(cells.log_radius)
    if scale.number:
        share *= passed_on(cells.log_radius + math.log(REDUCTION))
    kept = share > 0
    moved = cells._replace(
        presence=cells.presence * share,
        x=(cells.x + 0.5) * factor - 0.5,
        y=(cells.y + 0.5) * factor - 0.5,
        log_radius=cells.log_radius + math.log(factor),
        centre_sd=cells.centre_sd * factor,
    )
    return Cells(*(column[kept] for column in moved))
