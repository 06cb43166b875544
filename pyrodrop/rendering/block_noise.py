"""The noise that blocks of 8 x 8 px leave in an image, as JPEG does: read off the pixels, whatever file they are of.

JPEG rounds each block by itself. What is fine within it goes to zero, so that second differences see hardly any noise,
while its coarse parts are off by up to half a step, together for the whole block. At the border of two blocks both
errors meet: there the image steps. With d_k the difference of neighbours across row k, and

    g_k = d_k - (d_{k-1} + d_{k+1}) / 2,

which a slope leaves at 0, the error of a block's border pixels has the variance (E g_border^2 - E g_within^2) / 2.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SIDE = 8
# Standard deviations of chance by which the borders have to be rougher, of both axes together. Of images without
# blocks, which are no noise either, none of the tests comes near it; strong JPEG has 7 to 15.
_CLEAR = 6.0
# Of fewer pixels along an axis there are too few borders to tell anything.
_LEAST = 4 * _SIDE


def block_noise(channels: NDArray[np.floating]) -> Array:
    """Standard deviation of the error that blocks of 8 x 8 px have at their borders, in each channel.

    It is 0 where no such blocks show: their borders are to be rougher than what is between them beyond chance, by the
    ranks of the rows' and columns' mean roughness (Mann and Whitney 1947), which single edges and hot pixels do not
    lead astray. The grid may begin anywhere, as in an image that was cut. An error within a block is somewhat less than
    at its border: of known images, this is 1 to 1.6 times what JPEG did to them.

    Args:
        channels: the image, (C, H, W), in any unit; pixels that are NaN are not known.

    Returns:
        Shape (C,), in the image's unit.
    """
    return np.array([_of_channel(np.asarray(channel, dtype=np.float64)) for channel in channels])


def _of_channel(channel: Array) -> float:
    axes = [_along(channel, axis) for axis in (0, 1) if channel.shape[axis] >= _LEAST]
    if not axes:
        return 0.0
    z, variance = np.array(axes).T
    return float(np.sqrt(variance.mean())) if z.sum() / np.sqrt(len(z)) > _CLEAR else 0.0


def _along(channel: Array, axis: int) -> tuple[float, float]:
    """How far beyond chance every eighth step across this axis is rougher, in standard deviations; and the variance."""
    d = np.diff(np.moveaxis(channel, axis, 0), axis=0)
    rough = np.abs(d[1:-1] - (d[:-2] + d[2:]) / 2)
    known = np.isfinite(rough)
    some = known.any(1)  # the rows of which anything is known
    g = rough.mean(1) if known.all() else np.where(known, rough, 0.0)[some].sum(1) / known[some].sum(1)
    phase = np.flatnonzero(some) % _SIDE
    if len(g) < _LEAST - 3 or len(np.unique(phase)) < _SIDE:
        return 0.0, 0.0
    border = int(np.argmax([np.median(g[phase == k]) for k in range(_SIDE)]))
    # The steps beside those of a border hold half of it each.
    at, within = g[phase == border], g[(phase - border) % _SIDE % (_SIDE - 1) > 1]
    ranks = np.searchsorted(np.sort(within), at, "left") + np.searchsorted(np.sort(within), at, "right")
    n, m = len(at), len(within)
    z = (ranks.sum() / 2 - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12)
    # The mean size of a normal number is sqrt(2 / pi) of its standard deviation.
    return float(z), max(float(np.square(at).mean() - np.square(within).mean()) * np.pi / 4, 0.0)
