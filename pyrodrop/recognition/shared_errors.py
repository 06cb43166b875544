"""Errors of centre and radius that all droplets of an image share.

Droplets of an image look alike, and a fit whose profile is not quite theirs is wrong by as much on each; so is a
network that takes the halo for the rim. With w_i the fit's error at droplet i beyond its own posterior and v_i the
network's, standard deviations of whose squares the shares q_f and q_n are common, and with b, a ~ Normal(0, 1),

    fit_i = t_i + w_i q_f^(1/2) b + own error,        network_i = t_i + v_i q_n^(1/2) a + own error.

How the two differ over all droplets says what b and a are, the more the more droplets there are, though not which of
the two it is: that is left to their prior. q_f and q_n are intraclass correlations of the errors on simulated images
(Fisher, *Statistical Methods for Research Workers*, 1925), learnt by ``recognition.learn``.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_FARTHEST = 3.0  # standard deviations beyond which an error is another kind of error


def shared_posterior(apart: Array, own_sd: Array, fit_part: Array, network_part: Array) -> tuple[Array, Array]:
    """Mean (2,) and covariance (2, 2) of b and a, from n droplets on which fit and network differ by ``apart``.

    Args:
        apart: fit less network, (n,).
        own_sd: standard deviation of what is not shared of that, (n,).
        fit_part, network_part: standard deviations of the shared part of each one's error, (n,).
    """
    loads = np.stack([fit_part, -network_part], 1)
    precision = np.eye(2) + loads.T @ (loads / own_sd[:, None] ** 2)
    covariance = np.asarray(np.linalg.inv(precision), np.float64)
    return covariance @ (loads.T @ (apart / own_sd**2)), covariance


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
