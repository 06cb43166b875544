"""Two circles that are one droplet: decided by a fit without one of the two, and by what its residual gains.

What stands out of a residual within a droplet and goes around its middle needs no such fit: it is an edge of it.

The evidence of a droplet lets its neighbours adjust to first order only. Where two stand for one droplet, the one that
stays would move to the middle and grow, which is further than that holds: each seems needed, and is not.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pyrodrop.joint.joint_fit import JointFit

Array = NDArray[np.float64]
# Two are suspected of being one if their centres are nearer than the greater of their radii of half height.
_CLOSE = 1.0
# Radii within which a droplet's presence tells in the residual.
_REACH = 2.0


def suspects(fit: JointFit) -> NDArray[np.intp]:
    """The weaker of each two droplets that may be one; no two that are neighbours at once."""
    if len(fit.x) < 2:
        return np.zeros(0, np.intp)
    centres, half = np.stack([fit.x, fit.y], 1), fit.half_radius
    pairs = cKDTree(centres).query_pairs(_CLOSE * float(half.max()), output_type="ndarray")
    apart = np.hypot(*(centres[pairs[:, 0]] - centres[pairs[:, 1]]).T)
    pairs = pairs[apart < _CLOSE * half[pairs].max(1)]
    log_bayes = fit.evidence.log_bayes
    weaker = np.where(log_bayes[pairs[:, 0]] < log_bayes[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
    chosen: list[int] = []
    for k in sorted(set(weaker.tolist()), key=lambda k: log_bayes[k]):
        near = np.hypot(fit.x - fit.x[k], fit.y - fit.y[k]) < _REACH * (half + half[k])
        if not near[chosen].any():
            chosen.append(k)
    return np.array(chosen, np.intp)


def edges_of_droplets(fit: JointFit, x: Array, y: Array, radius: Array) -> NDArray[np.bool_]:
    """Which circles (n,) lie within a fitted droplet and around its centre: nested edges are of one droplet.

    The network, which has seen droplets within droplets, has looked at the image before; what it does not propose and
    the fit leaves over there is how the droplet looks.
    """
    apart = np.hypot(x[:, None] - fit.x, y[:, None] - fit.y)
    return np.asarray(((apart < radius[:, None]) & (apart + radius[:, None] < fit.half_radius)).any(1))


def united(fit: JointFit, taken: NDArray[np.intp]) -> JointFit:
    """The fit with the nearest neighbour of each droplet taken moved to where one droplet for the two would be.

    That is their middle, weighed by what each adds to the image, |a| r^2, with the larger of their radii.
    """
    x, y, r, amplitude = (values.copy() for values in (fit.x, fit.y, fit.r, fit.amplitude))
    weight = np.abs(fit.amplitude).sum(0) * fit.r**2
    for k in taken:
        apart = np.hypot(fit.x - fit.x[k], fit.y - fit.y[k])
        apart[taken] = np.inf
        j = int(np.argmin(apart))
        pair = np.array([j, k])
        x[j], y[j] = (np.average(place[pair], weights=weight[pair] + 1e-300) for place in (fit.x, fit.y))
        r[j] = fit.r[pair].max()
        amplitude[:, j] = (fit.amplitude[:, pair] * fit.r[pair] ** 2).sum(1) / r[j] ** 2
    return fit.with_droplets(x, y, r, amplitude)


def needless(before: JointFit, without: JointFit, taken: NDArray[np.intp], log_odds: Array) -> NDArray[np.bool_]:
    """Which of the droplets that one fit left out the image does not need, shape of ``taken``.

    Args:
        before: the fit with all droplets.
        without: the fit without those taken.
        taken: indices of them in ``before``.
        log_odds: log of the prior odds of each one's presence, apart from its place and size, shape of ``taken``.
    """
    height, width = before.residuals.image.shape[1:]
    not_needed = np.zeros(len(taken), bool)
    for i, k in enumerate(taken):
        reach = _REACH * before.half_radius[k]
        left, right = max(int(before.x[k] - reach), 0), min(int(before.x[k] + reach) + 2, width)
        top, bottom = max(int(before.y[k] - reach), 0), min(int(before.y[k] + reach) + 2, height)
        squares = [
            np.square(fit.residuals.image[:, top:bottom, left:right].astype(np.float64)).sum((1, 2))
            for fit in (without, before)
        ]
        gained = float(((squares[0] - squares[1]) / np.square(before.noise)).sum() / 2)
        cost = before.evidence.log_bayes[k] - before.evidence.gain[k]
        not_needed[i] = gained + cost + log_odds[i] < 0
    return not_needed
