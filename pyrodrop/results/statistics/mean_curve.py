"""The mean radius of droplets against time, and how sure it is: which droplets there are, and what is known of each."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Means of at most so many stretches of time: enough for a curve. Of fewer than four an exponent cannot be told.
_STRETCHES, _FEWEST = 10, 4


class MeanCurve(NamedTuple):
    """Logarithms of mean radii, T frames in S stretches of time.

    Attributes:
        time: of each frame that holds droplets, in frames, (T,).
        stretch: number of the stretch that each frame is in, (T,).
        log_mean: mean over each stretch of the logarithm of the frames' mean radius, (S,).
        covariance: of ``log_mean``, (S, S): the droplets are a sample of those that there might be.
        droplets: how many droplets the covariance is known from, of the stretch that has the fewest.
    """

    time: Float[Array, " t"]
    stretch: Int[NDArray[np.int64], " t"]
    log_mean: Float[Array, " s"]
    covariance: Float[Array, "s s"]
    droplets: float


def mean_curve(
    path: Int[NDArray[np.int64], " m"],
    frame: Int[NDArray[np.int64], " m"],
    radius: Float[NDArray[np.floating], "m draws"],
    weight: Float[Array, " p"],
) -> MeanCurve | None:
    """The curve of the droplets in M rows, a row a droplet and frame.

    A droplet of the weight w moves the logarithm of a frame's mean m by w (r - m) / (m sum of w): its influence. The
    covariance is the sum over droplets of the squares of their influences (the infinitesimal jackknife; Efron,
    Biometrika 68, 589, 1981), on average over draws, so that what is not known of the radii is in it, too. It is itself
    known from a sample only: were the influences x on a stretch normal, the sum of their fourth powers would be that
    of their squares, squared, times 3 / N, for N droplets; where a few droplets decide, N is smaller than there are.
    A covariance of S numbers from no more than S + 1 has no mean (Wishart): then there are fewer stretches.

    Args:
        path: number of each row's droplet.
        frame: of each row.
        radius: draws of each row's radius, any unit, positive.
        weight: of each droplet, the probability that it is one, (P,).

    Returns:
        None where there are fewer than four frames with droplets, or too few droplets for four stretches of time.
    """
    for parts in range(min(_STRETCHES, len(np.unique(frame))), _FEWEST - 1, -1):
        curve = _in_stretches(path, frame, radius, weight, parts)
        if curve.droplets > parts + 1:
            return curve
    return None


def _in_stretches(
    path: NDArray[np.int64], frame: NDArray[np.int64], radius: NDArray[np.floating], weight: Array, parts: int
) -> MeanCurve:
    time, at = np.unique(frame, return_inverse=True)
    stretch = np.repeat(np.arange(parts), [len(part) for part in np.array_split(time, parts)])
    own = weight[path]
    total = np.bincount(at, own)
    # a row's place among influences, and its share of a stretch
    place = path * parts + stretch[at]
    share = own / (total * np.bincount(stretch)[stretch])[at]
    log_mean, covariance = np.zeros(parts), np.zeros((parts, parts))
    influence = np.zeros((len(weight), parts))
    for drawn in radius.T.astype(np.float64):
        mean = np.bincount(at, own * drawn) / total
        log_mean += np.bincount(stretch, np.log(mean)) / np.bincount(stretch) / radius.shape[1]
        moved = np.bincount(place, share * (drawn / mean[at] - 1), minlength=influence.size).reshape(influence.shape)
        covariance += moved.T @ moved / radius.shape[1]
        influence += moved / radius.shape[1]
    # against curves that do not change at all
    covariance += np.eye(parts) * max(1e-10, 1e-9 * float(np.trace(covariance)))
    kurtosis = ((influence / np.sqrt(np.diag(covariance))) ** 4).sum(0)
    droplets = np.minimum(3 / np.maximum(kurtosis, 1e-9), (influence != 0).sum(0)).min()
    return MeanCurve(time.astype(np.float64), stretch, log_mean, covariance, float(droplets))
