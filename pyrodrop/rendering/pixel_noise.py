"""How noisy the pixels of an image are: the package's one estimator of white noise, and never less than rounding or
the blocks of JPEG make.
"""

import numpy as np
from numpy.typing import NDArray

from pyrodrop.rendering.block_noise import block_noise

# Values are of a step if they are whole multiples of it to this share of it: single precision keeps 16 bits so.
_OFF_STEP = 0.01
# Share of the pixels that may lie between the steps, as where a few were retouched.
_BETWEEN = 0.01
# With more levels, rounding is far below any noise that an image has.
_MOST_LEVELS = 4_096


def pixel_noise(channels: NDArray[np.floating]) -> NDArray[np.float64]:
    """Standard deviation of the white noise of each channel, robustly, from its second mixed differences.

    The difference a - 2 b + c along both axes leaves nearly nothing of a smooth image, and has standard deviation
    6 sigma for independent noise; the median of its size is 0.6745 of that (Immerkaer, Fast noise variance
    estimation, 1996, with the median absolute deviation in place of his mean). An axis of less than 3 px is not
    differenced.

    Args:
        channels: the image, shape (C, H, W), in any unit; pixels that are NaN are not known, and say nothing.

    Returns:
        Shape (C,), positive: at least that of rounding to the image's steps (``quantisation_noise``), that of the
        blocks of a JPEG (``block_noise``), and a ten thousandth of the channel's range.
    """
    rough = np.asarray(channels, dtype=np.float64)
    for axis in (1, 2):
        if rough.shape[axis] > 2:
            rough = np.diff(rough, 2, axis)
    gain = 6.0 ** (sum(side > 2 for side in channels.shape[1:]) / 2)
    span = np.array([np.ptp(values) if values.size else 0.0 for values in map(_known, channels)])
    floor = np.maximum.reduce([quantisation_noise(channels), block_noise(channels), 1e-4 * span + 1e-9])
    middle = np.array([np.median(np.abs(values)) if values.size else 0.0 for values in map(_known, rough)])
    return np.asarray(np.maximum(middle / 0.6745 / gain, floor))


def quantisation_noise(channels: NDArray[np.floating]) -> NDArray[np.float64]:
    """Standard deviation that rounding to steps makes in each channel, step / sqrt(12), shape (C,).

    The error of rounding is uniform over a step where the image or its noise moves by more than that, and no smaller
    where neither does: of an image with few levels, second differences see nothing of it.

    Args:
        channels: the image, shape (C, H, W); pixels that are NaN are not known.
    """
    return np.array([_step(_known(channel)) for channel in channels]) / np.sqrt(12.0)


def _known(channel: NDArray[np.floating]) -> NDArray[np.floating]:
    """The pixels of a channel that are known, in one row."""
    return channel[np.isfinite(channel)]


def _step(channel: NDArray[np.floating]) -> float:
    """The step that all values are whole multiples of, up to one offset: the smallest gap between two, or 0."""
    # Where some of the pixels have more levels already, all need not be sorted.
    some = channel.ravel()[:: max(1, channel.size // (4 * _MOST_LEVELS))]
    if len(np.unique(some)) > _MOST_LEVELS:
        return 0.0
    values, counts = np.unique(np.asarray(channel, dtype=np.float64), return_counts=True)
    # Two levels are those of a mask, and say nothing of the steps that an image was rounded to.
    if not 2 < len(values) <= _MOST_LEVELS:
        return 0.0
    # Of the levels that the fewest pixels have, as retouched ones, the gap is no step.
    rarest = np.argsort(counts, kind="stable")
    rare = rarest[np.cumsum(counts[rarest]) <= _BETWEEN * channel.size]
    common = np.delete(values, rare)
    gaps = np.diff(common)
    if not len(gaps):
        return 0.0
    step = float(gaps.min())
    # From near to far, each value says the step more precisely than the last, which is needed to number the next.
    for offset in common[1:] - common[0]:
        step = float(offset) / round(float(offset) / step)
    multiples = (values - common[0]) / step
    between = np.abs(multiples - np.round(multiples)) > _OFF_STEP
    return step if counts[between].sum() <= _BETWEEN * channel.size else 0.0
