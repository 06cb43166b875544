"""The noise of an image's pixels, which the renderer's images are observed under: the package's one estimator of it."""

import numpy as np
from numpy.typing import NDArray


def pixel_noise(channels: NDArray[np.floating]) -> NDArray[np.float64]:
    """Standard deviation of the white noise of each channel, robustly, from its second mixed differences.

    The difference a - 2 b + c along both axes leaves nearly nothing of a smooth image, and has standard deviation
    6 sigma for independent noise; the median of its size is 0.6745 of that (Immerkaer, Fast noise variance
    estimation, 1996, with the median absolute deviation in place of his mean). An axis of less than 3 px is not
    differenced.

    Args:
        channels: the image, shape (C, H, W), in any unit.

    Returns:
        Shape (C,), positive: at least a ten thousandth of the channel's range.
    """
    rough = np.asarray(channels, dtype=np.float64)
    for axis in (1, 2):
        if rough.shape[axis] > 2:
            rough = np.diff(rough, 2, axis)
    gain = 6.0 ** (sum(side > 2 for side in channels.shape[1:]) / 2)
    span = np.ptp(channels, axis=(1, 2))
    return np.asarray(np.maximum(np.median(np.abs(rough), axis=(1, 2)) / 0.6745 / gain, 1e-4 * span + 1e-9))
