"""Which of a laboratory's images teach, and which are held out to tell whether anything was learnt."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pyrodrop.detection.learning.laboratory import MarkedImage
from pyrodrop.detection.learning.scoring import Scores, judge, total
from pyrodrop.detection.learning.targets import COLUMN
from pyrodrop.detection.propose import propose

ONE_IN = 4  # images is held out; of fewer images a part of each that holds this share of its droplets
LEAST_DROPLETS = 4  # that are needed, so that one of them can be held out


class HeldOutImage(NamedTuple):
    """An image of which the droplets in some rows and columns are asked for. Looked at it is as a whole, as in use."""

    image: MarkedImage
    rows: slice
    columns: slice

    def scores(self, weights: Path) -> Scores:
        """How good are the proposals of presence 1/2 and more that the network of a file makes."""
        proposals = propose(self.image.pixels, weights=weights, least_presence=0.5)
        circles = self.image.circles.astype(float)
        asked = self._inside(circles[:, COLUMN.x], circles[:, COLUMN.y])
        proposed = proposals.circles.numpy()
        kept = self._inside(proposed[:, 0], proposed[:, 1])
        presence = proposals.presence.numpy()
        return judge(proposed[kept], presence[kept], circles[:, : COLUMN.radius + 1], asked.astype(float)).scores

    def _inside(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Which points are in the rows and columns."""
        return (
            (x >= self.columns.start - 0.5)
            & (x < self.columns.stop - 0.5)
            & (y >= self.rows.start - 0.5)
            & (y < self.rows.stop - 0.5)
        )

    @property
    def number(self) -> int:
        """Of the droplets that are asked for."""
        return len(self.part.circles)

    @property
    def part(self) -> MarkedImage:
        """The rows and columns as an image of their own."""
        return _part(self.image, self.rows, self.columns)


class Division(NamedTuple):
    """What teaches, and what is held out."""

    taught: list[MarkedImage]
    held_out: list[HeldOutImage]

    def scores(self, weights: Path) -> Scores:
        """Of the network of a file, on all that is held out."""
        return total([image.scores(weights) for image in self.held_out])


def divided(images: Sequence[MarkedImage], seed: int) -> Division:
    """Hold one image in four out, of those with droplets and of those without; of fewer than four a part of each.

    Raises:
        ValueError: there are too few droplets to hold any out.
    """
    if sum(len(image.circles) for image in images) < LEAST_DROPLETS:
        raise ValueError(f"there are fewer than {LEAST_DROPLETS} droplets to learn from: mark more of them")
    rng = np.random.default_rng([seed, 15])
    full = [image for image in images if len(image.circles)]
    empty = [image for image in images if not len(image.circles)]
    taught, held_out = [], []
    if len(full) < ONE_IN:
        for image in full:
            rows, columns = _last_part(image)
            held_out.append(HeldOutImage(image, rows, columns))
            first = [slice(0, part.start or part.stop) for part in (rows, columns)]
            taught.append(_part(image, *first))
        full = []
    for group in (full, empty):
        order = rng.permutation(len(group))
        out = len(group) // ONE_IN
        held_out += [HeldOutImage(group[k], *map(slice, (0, 0), group[k].pixels.shape)) for k in order[:out]]
        taught += [group[k] for k in sorted(order[out:])]
    return Division(taught, held_out)


def _last_part(image: MarkedImage) -> tuple[slice, slice]:
    """Rows and columns of the part of an image that begins where three quarters of its droplets have passed."""
    height, width = image.pixels.shape
    along, side = (COLUMN.x, width) if width >= height else (COLUMN.y, height)
    places = np.sort(image.circles[:, along].astype(float))
    first = len(places) - max(len(places) // ONE_IN, 1)
    before = places[first - 1] if first else 0.0
    cut = int(np.clip(np.ceil((before + places[first]) / 2), 1, side - 1))
    rows, columns = slice(0, height), slice(0, width)
    return (rows, slice(cut, width)) if width >= height else (slice(cut, height), columns)


def _part(image: MarkedImage, rows: slice, columns: slice) -> MarkedImage:
    circles = image.circles.copy()
    circles[:, COLUMN.x] -= columns.start
    circles[:, COLUMN.y] -= rows.start
    x, y = circles[:, COLUMN.x], circles[:, COLUMN.y]
    width, height = columns.stop - columns.start, rows.stop - rows.start
    kept = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
    return MarkedImage(image.name, image.pixels[rows, columns], circles[kept])
