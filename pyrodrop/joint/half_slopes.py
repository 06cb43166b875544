"""How the half-height radius of a droplet changes with what the joint fit knows it by."""

import numpy as np

from pyrodrop.joint.priors import Array
from pyrodrop.rendering import Profile


def half_slopes(profile: Profile, log_r: Array, shape: Array) -> Array:
    """Derivatives of the log of each half radius by log r and the shape's unknowns, by central differences.

    Beside the shape, the half radius over r hangs on r alone, and slowly: where all have one shape, (S,), and not each
    its own, (N, S), it is found at a few radii between.
    """
    n, count = len(log_r), profile.size
    slopes = np.zeros((n, 1 + count))
    if n == 0:
        return slopes
    slopes[:, 0] = 1.0
    if count == 0:
        return slopes
    low, high = log_r.min() - 0.02, log_r.max() + 0.02
    knots = np.linspace(low, high, 2 + int(20 * (high - low)))
    step = 1e-2

    def log_share(log_r: Array, by: Array) -> Array:
        moved = profile.constrained(profile.unconstrained(shape) + by)
        if shape.ndim == 2:
            return np.log(profile.half_radius(np.exp(log_r), moved)) - log_r
        return np.interp(log_r, knots, np.log(profile.half_radius(np.exp(knots), moved)) - knots)

    still = np.zeros(count)
    slopes[:, 0] += (log_share(log_r + step, still) - log_share(log_r - step, still)) / (2 * step)
    for k, by in enumerate(np.eye(count) * step):
        slopes[:, 1 + k] = (log_share(log_r, by) - log_share(log_r, -by)) / (2 * step)
    return slopes
