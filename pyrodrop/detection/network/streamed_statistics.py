"""Median, spread and noise of an image that does not fit into memory, from parts of it.

Quantiles are those of a histogram, and then of a second one of the bin that each is in: they are right to 2^-32 of the
range of the numbers, the image is read three times, and memory is that of a part.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pyrodrop.detection.network.channels import ImageStatistics, statistics_of
from pyrodrop.detection.network.parts import Readable, blocks

Array = NDArray[np.float64]
_BINS = 2**16


def streamed_statistics(image: Readable) -> ImageStatistics:
    """As ``image_statistics`` of the whole image (H, W)."""
    values, differences = _Quantiles(np.array([0.01, 0.5, 0.99])), _Quantiles(np.array([0.5]))
    for look in (_Quantiles.see_range, _Quantiles.see_coarsely, _Quantiles.see_finely):
        for box in blocks((image.shape[0], image.shape[1])):
            look(values, _finite(image[box]))
            for some in _second_differences(image, box):
                look(differences, _finite(some))
    if not values.count:
        return ImageStatistics(0.0, 0.0, 0.0)
    middle = float(differences.result()[0]) if differences.count else 0.0
    return statistics_of(values.result(), (values.low, values.high), middle)


def _finite(part: NDArray[np.floating]) -> Array:
    return part[np.isfinite(part)].astype(np.float64)


def _second_differences(image: Readable, box: tuple[slice, slice]) -> Iterator[Array]:
    """Sizes of second differences along both axes that begin in a block, as far as the image goes."""
    rows, columns = box
    tall = image[slice(rows.start, rows.stop + 2), columns].astype(np.float64)
    wide = image[rows, slice(columns.start, columns.stop + 2)].astype(np.float64)
    for part, axis in ((tall, 0), (wide, 1)):
        if part.shape[axis] > 2:
            yield np.abs(np.diff(part, 2, axis))


class _Quantiles:
    """Quantiles of numbers that are shown three times, some at a time: their range, a histogram, a finer one."""

    def __init__(self, levels: Array) -> None:
        self.levels = levels
        self.count = 0
        self.low, self.high = np.inf, -np.inf
        self._coarse = np.zeros(_BINS, np.int64)
        self._fine = np.zeros((len(levels), _BINS), np.int64)
        self._bins: NDArray[np.intp] | None = None

    def see_range(self, some: Array) -> None:
        """The first time."""
        if some.size:
            self.count += some.size
            self.low, self.high = min(self.low, float(some.min())), max(self.high, float(some.max()))

    def see_coarsely(self, some: Array) -> None:
        """The second time."""
        self._coarse += np.bincount(self._place(some).astype(np.int64), minlength=_BINS)

    def see_finely(self, some: Array) -> None:
        """The third time."""
        place = self._place(some)
        if self._bins is None:
            self._bins = np.searchsorted(np.cumsum(self._coarse), self._ranks(), side="right")
        for k, chosen in enumerate(self._bins):
            inside = place[place.astype(np.int64) == chosen] - chosen
            self._fine[k] += np.bincount((inside * _BINS).astype(np.int64), minlength=_BINS)

    def result(self) -> Array:
        """The quantiles, the middles of their finer bins."""
        assert self._bins is not None
        below = np.concatenate([[0], np.cumsum(self._coarse)])[self._bins]
        finer = [
            np.searchsorted(np.cumsum(counts), rank, side="right")
            for counts, rank in zip(self._fine, self._ranks() - below, strict=True)
        ]
        place = self._bins + (np.array(finer) + 0.5) / _BINS
        return np.asarray(self.low + place / _BINS * (self.high - self.low))

    def _ranks(self) -> NDArray[np.int64]:
        return np.rint(self.levels * (self.count - 1)).astype(np.int64)

    def _place(self, some: Array) -> Array:
        """Bins, and how far within them, 0 to _BINS."""
        span = self.high - self.low
        if span <= 0:
            return np.zeros(some.shape)
        return np.minimum((some - self.low) * (_BINS / span), _BINS * (1 - 1e-12))
