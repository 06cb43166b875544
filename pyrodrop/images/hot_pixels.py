"""Hot and dead pixels: what stands out in a single pixel, sharper than any optics can make it."""

import numpy as np
from numpy.typing import NDArray

# A point seen through optics, its spread a Gaussian of half a pixel (a third of what sampling it without loss needs),
# lights the pixels beside its own to erf-integrals over a pixel, (Phi(3) - Phi(1)) / (2 Phi(1) - 1) = 0.23 of its own.
# A hot pixel lights none. Half-way between the two would do; noise of the neighbours asks for a little more.
_SHARE_BESIDE = 0.2
# Standard deviations of the noise that it stands out by. A fifth of that is 4, which 8 neighbours reach by chance once
# in two thousand times.
_STANDS_OUT = 20.0


def hot_pixels(channels: NDArray[np.floating], noise: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which pixels differ from all around them as no droplet can: hot and dead ones, and those that were hit.

    Such a pixel is more than 20 standard deviations of the noise off the median of the 5 x 5 around it, and each of
    the 8 beside it by no more than a fifth as much to the same side. A point light seen through optics whose spread
    has half a pixel of standard deviation lights them more than that, and any microscope's is wider.

    Args:
        channels: the image, (C, H, W), finite.
        noise: standard deviation of the noise of each channel, (C,), positive.

    Returns:
        True where a pixel is hot or dead, (C, H, W). Of an image of less than 3 x 3 px, nowhere.
    """
    values = np.asarray(channels, dtype=np.float64)
    hot = np.zeros(values.shape, bool)
    if min(values.shape[1:]) < 3:
        return hot
    for c, channel in enumerate(values):
        padded = np.pad(channel, 2, mode="reflect")
        middle = padded[2:-2, 2:-2]
        # Cheap, and true of all that follows: it is off the mean of its neighbours in both directions.
        down = middle - (padded[1:-3, 2:-2] + padded[3:-1, 2:-2]) / 2
        across = middle - (padded[2:-2, 1:-3] + padded[2:-2, 3:-1]) / 2
        least = (1 - _SHARE_BESIDE) * _STANDS_OUT * noise[c]
        rows, columns = np.nonzero((down * across > 0) & (np.minimum(np.abs(down), np.abs(across)) > least))
        around = np.stack([padded[rows + j, columns + i] for j in range(5) for i in range(5)], -1)
        off = around - np.median(around, axis=-1, keepdims=True)
        own = off[:, 12]
        beside = np.abs(off[:, [6, 7, 8, 11, 13, 16, 17, 18]]).max(-1, initial=0.0)
        alone = (np.abs(own) > _STANDS_OUT * noise[c]) & (beside <= _SHARE_BESIDE * np.abs(own))
        hot[c, rows[alone], columns[alone]] = True
    return hot


def without_hot_pixels(channels: NDArray[np.float64], hot: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The image with the pixels that are ``hot`` as the median of the 8 beside them; both (C, H, W)."""
    filled = np.array(channels)
    for c, row, column in np.argwhere(hot):
        rows, columns = (slice(max(k - 1, 0), k + 2) for k in (row, column))
        filled[c, row, column] = np.median(channels[c, rows, columns][~hot[c, rows, columns]])
    return filled


def warnings_of_hot_pixels(number: int) -> tuple[str, ...]:
    """What is said of an image in which so many pixels were filled; nothing of one without."""
    if not number:
        return ()
    who = f"{number} single pixels stand" if number > 1 else "1 single pixel stands"
    return (
        f"{who} out, sharper than any optics can make a droplet, as hot and dead pixels do: filled from the pixels "
        "beside, and not counted",
    )
