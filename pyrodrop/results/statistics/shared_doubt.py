"""Doubt that all droplets of an image share: if one round thing in it is no droplet, its likes are none, either.

Presences p_i are right one by one, but not independent: a texture whose bumps each have a presence of 0.1 has, nine
times in ten, no droplet at all and else hundreds; a hundred clear droplets of presence 0.9 are most often all there.
So the log odds of an image's droplets have a part u in common,

    p_i(u) = 1 / (1 + exp(-(a_i + s u))),    u ~ Normal(0, 1),

with a_i such that the mean of p_i(u) is p_i, and given u the droplets are independent: a random effect in a logistic
regression (McCulloch and Searle, *Generalized, Linear, and Mixed Models*, 2001). s is ``shared_sd``, in log odds.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# The least and the largest log odds of a presence that is neither 0 nor 1.
_BOUND = 40.0
_FARTHEST = 5.0  # values of u: one in two million is further out
_NEWTON = 60  # steps at most; some ten are enough


class SharedValues(NamedTuple):
    """Equally spaced values of u, (n,), how likely each is, adding up to one, and how far apart they are.

    Sums over them are integrals by the trapezoidal rule, which of a normal distribution times a smooth function are
    exact but for what lies beyond the ends (Trefethen and Weideman, *SIAM Review* 56, 385, 2014).
    """

    value: Float64[Array, " n"]
    weight: Float64[Array, " n"]
    step: float


def shared_values(n: int) -> SharedValues:
    """N values, at least 2."""
    value = np.linspace(-_FARTHEST, _FARTHEST, n)
    weight = np.exp(-np.square(value) / 2)
    return SharedValues(value, weight / weight.sum(), 2 * _FARTHEST / (n - 1))


def central_log_odds(presence: ArrayLike, shared_sd: float) -> Float64[Array, " n"]:
    """The log odds a_i at which the mean of p_i(u) is the presence, (N,); infinite where the presence is 0 or 1.

    Args:
        presence: probability of each droplet, (N,), in [0, 1].
        shared_sd: standard deviation of the shared part of the log odds, at least 0.
    """
    from scipy.special import expit, logit

    p = np.asarray(presence, np.float64)
    certain = (p <= 0) | (p >= 1)
    inner = np.where(certain, 0.5, p)
    if shared_sd == 0:
        return np.asarray(np.where(certain, np.where(p >= 1, np.inf, -np.inf), logit(inner)))
    distinct, place = np.unique(inner, return_inverse=True)
    u, weight = np.polynomial.hermite_e.hermegauss(40)
    weight = weight / weight.sum()
    # The mean over u is a logistic curve that is flatter by about this factor (Zeger, Liang and Albert, 1988).
    a = logit(distinct) * np.sqrt(1 + shared_sd**2 * (16 * np.sqrt(3) / (15 * np.pi)) ** 2)
    for _ in range(_NEWTON):
        given = expit(a[:, None] + shared_sd * u)
        gap, slope = given @ weight - distinct, (given * (1 - given)) @ weight
        step = np.clip(gap / np.maximum(slope, 1e-300), -1, 1)
        a = np.clip(a - step, -_BOUND, _BOUND)
        if np.abs(step).max(initial=0) < 1e-10:
            break
    return np.where(certain, np.where(p >= 1, np.inf, -np.inf), a[place])
