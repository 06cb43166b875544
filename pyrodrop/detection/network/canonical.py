"""One way to look at an image, whichever way it is turned, mirrored or inverted.

The network is not quite the same for the eight turns and mirrors of an image. So it is shown one of them only, which
is chosen by the image's own content: the image is mirrored until its contrast lies to the right and below, transposed
until it lies more to the right than below (an image that is not square: until it is wider than high), and inverted
until the bright part of its histogram is the longer one. Its circles are turned back. Where an image is its own mirror
image, to the last digit, the choice does not matter.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrodrop.detection.network.parts import Readable, blocks

Picture = NDArray[np.float32]
TIE = 1e-9  # of the sum of magnitudes: a difference that rounding may have made


class View(NamedTuple):
    """How an image is looked at: transposed first, then mirrored, then times sign."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False
    sign: int = 1

    def of(self, image: Picture) -> Picture:
        """The image (H, W) in this view."""
        if self.transpose:
            image = image.T
        image = image[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]
        return np.ascontiguousarray(image * np.float32(self.sign) if self.sign < 0 else image)

    def point_back(
        self, x: NDArray[np.float64], y: NDArray[np.float64], shape: tuple[int, int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Points seen in this view of an image of `shape` (H, W), where they are in the image."""
        height, width = shape[::-1] if self.transpose else shape
        x = width - 1 - x if self.flip_x else x
        y = height - 1 - y if self.flip_y else y
        return (y, x) if self.transpose else (x, y)

    def angle_back(self, angle: NDArray[np.float64]) -> NDArray[np.float64]:
        """Directions, from x towards y, seen in this view: what they are in the image, in [0, pi)."""
        angle = -angle if self.flip_x != self.flip_y else angle
        return (np.pi / 2 - angle if self.transpose else angle) % np.pi


@dataclass(frozen=True)
class Viewed:
    """An image of which parts are read, in a view of it: each part is that of ``view.of`` the whole."""

    image: Readable
    view: View

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in the view."""
        height, width = self.image.shape
        return (width, height) if self.view.transpose else (height, width)

    def __getitem__(self, box: tuple[slice, slice], /) -> Picture:
        """Some rows and columns of the view."""
        height, width = self.shape
        (top, bottom, _), (left, right, _) = box[0].indices(height), box[1].indices(width)
        if self.view.flip_y:
            top, bottom = height - bottom, height - top
        if self.view.flip_x:
            left, right = width - right, width - left
        rows, columns = slice(top, bottom), slice(left, right)
        return self.view.of(self.image[(columns, rows) if self.view.transpose else (rows, columns)])


def canonical_view(image: Readable, median: float) -> View:
    """The view of an image (H, W) in which the network looks at it.

    median: of the pixels that are known; those that are NaN are not looked at.
    """
    height, width = image.shape
    whole = (height, width)
    largest = max(
        float(np.abs(part - np.float32(median)).max(initial=0.0, where=np.isfinite(part)))
        for part in (image[box] for box in blocks(whole))
    )
    if largest == 0:
        return View()
    # Even powers of the contrast do not change when the image is inverted; odd ones give its sign.
    columns, rows, odd = np.zeros((3, width)), np.zeros((3, height)), np.zeros((2, height))
    for down, along in blocks(whole):
        part = image[down, along]
        contrast = np.where(np.isfinite(part), (part.astype(np.float64) - median) / largest, 0.0)
        even = np.ones_like(contrast)
        for k in range(3):
            even = even * contrast**2
            columns[k, along] += even.sum(0)
            rows[k, down] += even.sum(1)
            if k < 2:
                odd[k, down] += (even * contrast).sum(1)
    at_x, at_y = np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2
    # Of each power the first and the third moment: an even contrast with an odd arrangement has no first one.
    to_right = [_Sum.of(c * at_x**k) for c in columns for k in (1, 3)]
    to_below = [_Sum.of(r * at_y**k) for r in rows for k in (1, 3)]
    flip_x, flip_y = _first_sign(to_right) < 0, _first_sign(to_below) < 0
    more_right = [_Sum(abs(a.value) - abs(b.value), a.size + b.size) for a, b in zip(to_right, to_below, strict=True)]
    transpose = height > width if height != width else _first_sign(more_right) < 0
    if transpose:
        flip_x, flip_y = flip_y, flip_x
    return View(transpose, flip_x, flip_y, _first_sign([_Sum.of(s) for s in odd]))


class _Sum(NamedTuple):
    """A sum, and the sum of the magnitudes of its terms, which says how far rounding may have moved it."""

    value: float
    size: float

    @classmethod
    def of(cls, terms: NDArray[np.float64]) -> "_Sum":
        return cls(float(terms.sum()), float(np.abs(terms).sum()))


def _first_sign(sums: list[_Sum]) -> int:
    """The sign of the first sum that is not 0 within rounding; 1 if all are."""
    for value, size in sums:
        if abs(value) > TIE * size:
            return 1 if value > 0 else -1
    return 1
