"""Pixels that are not known, filled so that nothing is to be seen there: smoothly, and with the image's own noise.

For who has to look at a whole image. The numbers that are filled in are no data, and nothing may be measured of them.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Sweeps at each size of the image, after what is coarser has been interpolated: they take the steps out of it.
_SWEEPS = 4


def filled_smoothly(channels: Array, known: NDArray[np.bool_], noise: Array, seed: int = 0) -> Array:
    """The image with its unknown pixels interpolated from the known ones around them, and white noise.

    Each size of the image is interpolated from one half as large, whose pixels are the means of the known ones of four
    (pull and push: Gortler et al., *The Lumigraph*, 1996, section 3.4). Then each unknown pixel becomes the mean of its
    four neighbours, some times: Jacobi's way to a harmonic function, which has no edge, and no peak of its own.

    Args:
        channels: the image, (C, H, W); what is unknown may be NaN.
        known: pixels that are known, (H, W), at least one.
        noise: standard deviation of the noise to be added in the unknown pixels, (C,).
        seed: of the noise.

    Returns:
        A copy, (C, H, W), equal to the image wherever it is known.

    Raises:
        ValueError: no pixel is known.
    """
    if not known.any():
        raise ValueError("no pixel of the image is known: there is nothing to fill the others from.")
    generator = np.random.default_rng(seed)
    filled = np.where(known, channels, 0.0)
    for c, channel in enumerate(filled):
        smooth = _pulled_and_pushed(channel, known)
        white = generator.normal(0.0, noise[c], channel.shape)
        filled[c] = np.where(known, channel, smooth + white)
    return filled


def _pulled_and_pushed(values: Array, known: NDArray[np.bool_]) -> Array:
    """The values (H, W), where they are not known interpolated from half the size."""
    if known.all():
        return values
    height, width = values.shape
    pad = ((0, height % 2), (0, width % 2))
    four = (-(-height // 2), 2, -(-width // 2), 2)
    number = np.pad(known, pad).reshape(four).sum((1, 3))
    total = np.pad(np.where(known, values, 0.0), pad).reshape(four).sum((1, 3))
    coarse = _pulled_and_pushed(total / np.maximum(number, 1), number > 0)
    filled = np.where(known, values, _twice_as_large(coarse)[:height, :width])
    for _ in range(_SWEEPS):
        beyond = np.pad(filled, 1, mode="edge")
        mean = (beyond[:-2, 1:-1] + beyond[2:, 1:-1] + beyond[1:-1, :-2] + beyond[1:-1, 2:]) / 4
        filled = np.where(known, values, mean)
    return filled


def _twice_as_large(values: Array) -> Array:
    """Interpolated linearly between the centres of the pixels, each of which becomes four."""
    for axis in (0, 1):
        ahead = np.moveaxis(values, axis, 0)
        before, after = np.concatenate([ahead[:1], ahead[:-1]]), np.concatenate([ahead[1:], ahead[-1:]])
        both = np.stack([0.75 * ahead + 0.25 * before, 0.75 * ahead + 0.25 * after], 1)
        values = np.moveaxis(both.reshape(-1, *ahead.shape[1:]), 0, axis)
    return values
