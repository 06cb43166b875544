"""Membership: how likely a droplet's radius and amplitudes are, given those of the image's other droplets."""

import numpy as np
from numpy.typing import NDArray

from pyrodrop.joint.joint_fit import JointFit

Array = NDArray[np.float64]

# The fewest droplets that make a population; its density is taken to be no narrower than this share of its values, or
# of the prior's deviation.
_POPULATION, _NARROWEST, _NARROWEST_OF_PRIOR = 8, 0.2, 0.01
# The population density is summed over this many of them at most.
_KERNELS = 400


def log_membership(fit: JointFit, members: NDArray[np.bool_]) -> Array:
    """Log of how much likelier each droplet's radius and amplitudes are, given the members', than a priori, (N,).

    With n members at v_j the next droplet is taken to be at v with density (sum_j K(v - v_j) + p(v)) / (n + 1), p being
    the prior's density: near one of the members, or, once in n + 1 times, anywhere (Blackwell and MacQueen's
    urn, 1973, with kernels). So what is unlike all of a thousand droplets is a thousand times less likely than a
    priori, and a second kind of droplet is as likely as it is frequent. K is a Gaussian in log radius and amplitudes,
    as wide as the members' median deviation times n^(-1 / (D + 4)), Scott's rule in D dimensions. No droplet speaks
    for itself; too few members say nothing, which is 0 for all.
    """
    from scipy.special import logsumexp

    chosen = np.flatnonzero(members)
    n = len(chosen)
    if n < _POPULATION:
        return np.zeros(len(members))
    chosen = chosen[np.linspace(0, n - 1, min(n, _KERNELS)).astype(int)]
    priors = fit.priors
    places = [(fit.state.log_r, float(priors.log_r.mean), float(priors.log_r.sd), _NARROWEST)]
    for heights, mean, sd in zip(fit.amplitude, priors.amplitude.mean, priors.amplitude.sd, strict=True):
        places.append((heights, float(mean), float(sd), _NARROWEST * float(np.median(np.abs(heights[members])))))
    logs = np.full((len(members), len(chosen)), np.log(n / len(chosen)))
    for value, mean, sd, narrowest in places:
        width = 1.4826 * float(np.median(np.abs(value[members] - np.median(value[members]))))
        band = max(width, narrowest, _NARROWEST_OF_PRIOR * sd) * n ** (-1 / (len(places) + 4))
        prior = -np.square((value - mean) / sd) / 2 - np.log(sd)
        logs += -np.square((value[:, None] - value[chosen]) / band) / 2 - np.log(band) - prior[:, None]
    logs[chosen, np.arange(len(chosen))] = -np.inf
    return np.asarray(np.logaddexp(logsumexp(logs, axis=1), 0.0) - np.log(n - members + 1.0))
