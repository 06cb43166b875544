"""How well each droplet can be seen: its signal over the noise, in standard deviations of the best linear filter.

For a droplet that changes pixel p by c_p, seen in noise of variance v a pixel that is white, the filter matched to it
has the signal-to-noise ratio sqrt(sum c_p^2 / v). Noise that is correlated, texture and clutter are not white: v is
then their power at the droplet's own scale, which is measured here in octaves. A pixel of level k is the mean of
2^k x 2^k pixels; the variance of its difference to the mean of its four neighbours, which no gradient changes, times
4^k over 5 / 4, is v at that scale, and for white noise the same at every level.
"""

import math

import numba
import numpy as np
from numpy.typing import NDArray

from .columns import Droplets
from .painting import Painted

LEVELS = 5
HIDDEN = 0.4  # share of its disc below which a droplet that others cover counts less
# The contrast, of an image's range, that is one standard deviation to the eye: people see differences of one to two
# parts in a hundred of what they look at (Weber's law), and an image's range is two or three times its middle level.
EYE = 1 / 150
# The same against all that varies where a droplet lies: who sees a pattern on another needs a contrast that rises
# with the other's (Legge and Foley, J. Opt. Soc. Am. 70, 1458, 1980). From a quarter of it, three of these, to a half.
MASKED = 1 / 12


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _halved(image):
    """Means of 2 x 2 pixels."""
    h, w = image.shape[0] // 2, image.shape[1] // 2
    out = np.empty((h, w), np.float32)
    for i in range(h):
        for j in range(w):
            out[i, j] = 0.25 * (
                image[2 * i, 2 * j] + image[2 * i + 1, 2 * j] + image[2 * i, 2 * j + 1] + image[2 * i + 1, 2 * j + 1]
            )
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def surviving(before, after, x, y, r):
    """How much of what droplets change is left after clipping, steps of grey and compression, and what came instead.

    The slope of the change after on the change before over a disc a little larger than the droplet, at least 0, and
    the variance a pixel of what is not on that line; 1 and 0 for a droplet outside the image. Third, the root mean
    square of what is left, in units of the change after; infinity outside. All (n,).
    """
    h, w = before.shape
    share, stray, contrast = np.ones(x.shape[0]), np.zeros(x.shape[0]), np.full(x.shape[0], np.inf)
    for k in range(x.shape[0]):
        far = 1.15 * r[k] + 1.0
        both, square, rest, pixels = 0.0, 0.0, 0.0, 0
        for i in range(max(0, math.ceil(y[k] - far)), min(h, math.floor(y[k] + far) + 1)):
            for j in range(max(0, math.ceil(x[k] - far)), min(w, math.floor(x[k] + far) + 1)):
                if (j - x[k]) ** 2 + (i - y[k]) ** 2 <= far * far:
                    both += before[i, j] * after[i, j]
                    square += before[i, j] ** 2
                    rest += after[i, j] ** 2
                    pixels += 1
        if square > 0:
            slope = max(0.0, both / square)
            share[k] = slope
            stray[k] = max(0.0, rest - slope * both) / pixels
            contrast[k] = slope * math.sqrt(square / pixels)
    return share, stray, contrast


def spectrum(disturbance: NDArray[np.float32]) -> NDArray[np.float64]:
    """Noise variance a pixel at each octave of scale, shape (LEVELS,), in the units of white noise.

    Taken from the middle half of the values, so that a line across the image does not hide droplets elsewhere.

    Args:
        disturbance: the image without its droplets, shape (h, w).
    """
    variance = np.empty(LEVELS)
    level = disturbance
    for k in range(LEVELS):
        if min(level.shape) < 6:  # too few pixels to tell; taken as of the level before
            variance[k] = variance[k - 1]
            continue
        around = level[:-2, 1:-1] + level[2:, 1:-1] + level[1:-1, :-2] + level[1:-1, 2:]
        detail = (level[1:-1, 1:-1] - np.float32(0.25) * around).ravel()[:: 3 if k < 2 else 1]
        quarter = detail.size // 4
        parted = np.partition(detail, (quarter, detail.size - 1 - quarter))
        spread = float(parted[detail.size - 1 - quarter] - parted[quarter]) / 1.349
        variance[k] = 4.0**k * spread**2 / 1.25
        level = _halved(level)
    return variance


def image_range(image: NDArray[np.float32]) -> float:
    """The range of an image, from its 1st to its 99th percentile and a fiftieth of all of it."""
    low, high = np.percentile(image[::2, ::2], [1, 99])
    return float(high - low) + float(np.ptp(image)) / 50


def detectability(
    droplets: Droplets,
    painted: Painted,
    variance: NDArray[np.float64],
    blur: float,
    added: NDArray[np.float64],
    contrast: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Signal-to-noise ratio of each droplet, shape (n,).

    The squares of the ratios of all octaves add. Most of a body's energy is at its own scale; of a body with an edge,
    half of what a scale has is at the next finer one, down to the width of the edge. The blur takes its part: of a
    Gaussian of standard deviation s in the plane under a blur b the share s^2 / (s^2 + b^2) is left, of one across a
    line the root of that. A droplet of which less than two fifths is seen counts in proportion less. However little
    noise there is, what is told is not more than the droplet's contrast in units of the least that people see.

    Args:
        droplets: what was painted.
        painted: what painting told of it.
        variance: noise by octaves, as ``spectrum`` gives it, in the painted grid.
        blur: standard deviation of the blur after painting, in px of the painted grid.
        added: variance of what steps of grey and compression added, a pixel of the painted grid, shape (n,).
        contrast: root mean square of what is left in the final image, over its range, shape (n,).
    """
    n = len(droplets)
    if n == 0:
        return np.zeros(0)
    energy = np.maximum(painted.energy, 1e-12)
    # 1 where all changes have one sign and fill the disc, near 0 for a rim alone: then the rim's width is the scale.
    filled = np.clip(painted.change**2 / (energy * np.maximum(painted.area, 1.0)), 0, 1)
    rimmed = (droplets.ring1 != 0) & (filled < 0.4)
    width = np.where(rimmed, np.minimum(droplets.ring1_w, 0.5 * droplets.r), 0.5 * droplets.r)
    left = width**2 / (width**2 + blur**2)
    left = np.where(rimmed, np.sqrt(left), left)
    own = np.clip(np.log2(np.maximum(2.5 * np.hypot(width, blur), 1.0)), 0, LEVELS - 1)
    edge = np.hypot(np.where(droplets.gauss > 0.5, droplets.r, droplets.edge), blur)
    squared = np.zeros(n)
    for k in range(LEVELS):
        below = own - k
        share = np.where(below > 0, np.where(1.2 * edge < 2.0**k, 0.5 ** (below + 1), 0.0), 0.0)
        squared += share / (variance[k] + added + 1e-9)
    squared += 0.7 / (np.interp(own, np.arange(LEVELS), variance) + added + 1e-9)
    seen = painted.seen / np.maximum(painted.area, 1.0)
    # A rim has its contrast in a few pixels of its disc.
    share = np.where(rimmed, np.minimum(5 * np.hypot(width, blur) / droplets.r, 1.0), 1.0)
    told = np.minimum(np.sqrt(energy * left * squared), contrast / (EYE * np.sqrt(share)))
    told = np.minimum(told, np.sqrt(painted.share) / MASKED)
    return told * np.clip(seen / HIDDEN, 0, 1)


def sign(painted: Painted) -> NDArray[np.float64]:
    """1 for droplets brighter than what is under them, -1 for darker, 0 where both balance, shape (n,)."""
    balance = painted.change / np.sqrt(np.maximum(painted.energy * np.maximum(painted.area, 1.0), 1e-12))
    return np.where(np.abs(balance) < 0.15, 0.0, np.sign(balance))
