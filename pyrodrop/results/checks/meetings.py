"""Where droplets meet: is the image there the sum of both, and does one lie within another?"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# Fewer pixels, those at a tip that both circles hold, say nothing.
_LEAST_PIXELS = 6
# How far, in standard deviations of chance, the sum of squares has to be from that of noise.
_CLEAR = 4.5


class Meetings(NamedTuple):
    """How droplets meet.

    misfit: mean residual over the pixels that two circles share, in standard deviations of its chance, for each two
    that share enough of them, (pairs,). nested: droplets whose centre lies in a larger one's circle.
    """

    misfit: Array
    nested: int

    @property
    def adds_up(self) -> bool:
        """Whether shared pixels are the sum of both droplets, up to chance: the misfits' squares are a chi-square's."""
        n = len(self.misfit)
        return bool(np.square(self.misfit).sum() <= n + _CLEAR * np.sqrt(2 * n))

    @property
    def warnings(self) -> tuple[str, ...]:
        """In words; empty where nothing is amiss."""
        made = []
        if self.nested:
            made.append(
                f"{self.nested} droplets lie within others: highlights and cores are counted as droplets, too, and "
                "pull centres and radii by more than their intervals say; look at the overlay"
            )
        if not self.adds_up:
            off = int((np.abs(self.misfit) > _CLEAR).sum())
            made.append(
                f"where two droplets meet ({off} of {len(self.misfit)} pairs) the image is not the sum of both: one "
                "hides the other, or they touch and deform; their intervals are too narrow, and what is hidden is not "
                "counted"
            )
        return tuple(made)


def meetings_of(residual: ArrayLike, x: Array, y: Array, radius: Array, correlation: float = 1.0) -> Meetings:
    """How N droplets meet in an image.

    Args:
        residual: in standard deviations of the noise, (H, W).
        x, y, radius: circles in px, (N,).
        correlation: of the residual, summed over lags: the variance of a mean is larger by so much.
    """
    from scipy.spatial import cKDTree

    z = np.asarray(residual, dtype=np.float64)
    misfit, nested = [], np.zeros(len(x), bool)
    centres = np.stack([x, y], 1) if len(x) else np.zeros((0, 2))
    pairs = cKDTree(centres).query_pairs(2 * float(radius.max()), output_type="ndarray") if len(x) > 1 else []
    for i, j in pairs:
        inner, outer = (i, j) if radius[i] <= radius[j] else (j, i)
        apart = float(np.hypot(*(centres[i] - centres[j])))
        if apart >= radius[i] + radius[j]:
            continue
        if apart < radius[outer]:
            nested[inner] |= radius[inner] < radius[outer]
            continue
        shared = z[_shared_pixels(centres[[i, j]], radius[[i, j]], z.shape)]
        if len(shared) >= _LEAST_PIXELS:
            misfit.append(float(shared.sum()) / np.sqrt(len(shared) * max(correlation, 1.0)))
    return Meetings(np.array(misfit), int(nested.sum()))


def _shared_pixels(centres: Array, radius: Array, size: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the pixels of an image (H, W) in both of two circles, centres (2, 2) as x, y."""
    low = np.maximum(np.ceil((centres - radius[:, None]).max(0)), 0).astype(int)
    high = np.minimum(np.floor((centres + radius[:, None]).min(0)) + 1, size[::-1]).astype(int)
    columns, rows = np.meshgrid(*(np.arange(a, max(a, b)) for a, b in zip(low, high, strict=True)))
    inside = np.ones(rows.shape, bool)
    for (u, v), r in zip(centres, radius, strict=True):
        inside &= (columns - u) ** 2 + (rows - v) ** 2 <= r**2
    return rows[inside], columns[inside]
