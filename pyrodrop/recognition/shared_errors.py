"""Errors of centre and radius that a joint fit makes alike on all droplets of an image.

Droplets of an image look alike, and a fit whose profile is not quite theirs is wrong by as much on each. With w_i the
fit's error at droplet i beyond its own posterior, of whose square the share q is common, and b ~ Normal(0, 1),

    fit_i = t_i + w_i q^(1/2) b + own error,        network_i = t_i + own error,

how the two differ over all droplets says what b is, the more the more droplets there are. q is the intraclass
correlation of the fit's errors on simulated images (Fisher, *Statistical Methods for Research Workers*, 1925), learnt
by ``recognition.learn``. The network's errors are correlated, too, but to let them share a number of their own makes
radii worse: then the fit's error is put down to the network where a look is strange to both.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_FARTHEST = 3.0  # standard deviations beyond which an error is another kind of error


def shared_posterior(apart: Array, own_sd: Array, fit_part: Array) -> tuple[float, float]:
    """Mean and standard deviation of b, from n droplets on which fit and network differ by ``apart``.

    Args:
        apart: fit less network, (n,).
        own_sd: standard deviation of what is not shared of that, (n,).
        fit_part: standard deviation of the shared part of the fit's error, (n,).
    """
    precision = 1 + float(np.square(fit_part / own_sd).sum())
    return float((fit_part * apart / own_sd**2).sum()) / precision, precision**-0.5


def intraclass_correlation(errors: Sequence[Array]) -> float:
    """How much of the variance of errors, each in units of its standard deviation, is shared within an image, 0 ... 1.

    The mean product of two errors of an image over their mean square, where an image of n errors weighs as n - 1.
    """
    pairs, squares = 0.0, 0.0
    for z in errors:
        z = z[np.abs(z) < _FARTHEST]
        if len(z) > 1:
            pairs += (z.sum() ** 2 - np.square(z).sum()) / (len(z) - 1)
            squares += float(np.square(z).sum())
    return float(np.clip(pairs / squares, 0.0, 0.99)) if squares else 0.0
