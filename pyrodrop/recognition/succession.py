"""Of several proposals for one droplet one fitted circle stays; whichever proposal describes it best speaks for it.

The network may propose a droplet twice, once surely and once as an afterthought. Fitted together the two share the
droplet's light, and which of them is left with it hangs on a digit: what the network says of the droplet must not.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pyrodrop.recognition.candidates import Candidates

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

# Degrees of freedom of the network's errors, as it was trained.
FREEDOM = 5.0
_LOG_PEAK = math.lgamma((FREEDOM + 1) / 2) - math.lgamma(FREEDOM / 2) - math.log(math.pi * FREEDOM) / 2


def log_density_of_errors(errors: Array, sd: Array) -> Array:
    """Log density of errors of which the network says that their standard deviation is sd: Student's t."""
    unit = np.sqrt((FREEDOM - 2) / FREEDOM) * sd
    return np.asarray(_LOG_PEAK - (FREEDOM + 1) / 2 * np.log1p(np.square(errors / unit) / FREEDOM) - np.log(unit))


def within_circles(x: Array, y: Array, radius: Array, of: tuple[Array, Array]) -> tuple[Indices, Indices]:
    """Which of N circles (px) hold which of M points x, y: pairs of a circle and a point in it."""
    held = cKDTree(np.stack(of, 1)).query_ball_point(np.stack([x, y], 1), radius)
    return np.repeat(np.arange(len(x)), [len(some) for some in held]), np.concatenate(held).astype(np.intp)


def log_word(proposals: Candidates, x: Array, y: Array, radius: Array) -> Array:
    """Log of presence times density that each of N proposals gives to a circle of its own, px, (N,)."""
    errors = np.stack([x - proposals.x, y - proposals.y, np.log(radius / proposals.radius)], 1)
    return np.asarray(np.log(proposals.proposed) + log_density_of_errors(errors, proposals.sd).sum(1))


def succeeded(kept: Candidates, gone: Candidates, x: Array, y: Array, radius: Array) -> Candidates:
    """The kept candidates, each with the words of a gone proposal where that describes its fitted circle better.

    A proposal speaks for one droplet only: the one, of those whose centre is in its circle, that it describes best.

    Args:
        kept: N candidates; of what the network has not proposed nothing changes.
        gone: those that were dropped beside them.
        x, y, radius: the kept ones' fitted circles, px, (N,).
    """
    heirs, free = np.flatnonzero(kept.proposed > 0), np.flatnonzero(gone.proposed > 0)
    if not len(heirs) or not len(free):
        return kept
    fitted, proposals = (x[heirs], y[heirs], radius[heirs]), gone.those(free)
    own = log_word(kept.those(heirs), *fitted)
    speaker, heir = within_circles(*proposals[:3], of=fitted[:2])
    words = log_word(proposals.those(speaker), *(values[heir] for values in fitted))
    taken, spoken = [values.copy() for values in kept], np.zeros(len(free), bool)
    for k in np.argsort(-words, kind="stable"):
        m, n = speaker[k], heir[k]
        if not spoken[m] and words[k] > own[n]:
            own[n], spoken[m] = words[k], True
            for values, others in zip(taken, proposals, strict=True):
                values[heirs[n]] = others[m]
    return Candidates(*taken)


def first_words(candidates: Candidates) -> NDArray[np.bool_]:
    """Which of N candidates have no likelier one about the same place and size, (N,).

    Of such two the centre of one lies within the other, and the radii differ by less than a factor of 2.
    """
    first = np.ones(len(candidates.x), bool)
    if len(first) < 2:
        return first
    pairs = np.sort(np.stack(within_circles(*candidates[:3], of=candidates[:2]), 1))
    unlike = np.abs(np.diff(np.log(candidates.radius[pairs]))[:, 0])
    pairs = pairs[(pairs[:, 0] != pairs[:, 1]) & (unlike < np.log(2))]
    less = candidates.proposed[pairs[:, 0]] < candidates.proposed[pairs[:, 1]]
    first[np.where(less, pairs[:, 0], pairs[:, 1])] = False
    return first
