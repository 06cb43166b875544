"""Of several proposals for one droplet one fitted circle stays; whichever proposal describes it best speaks for it.

The network may propose a droplet twice, once surely and once as an afterthought. Fitted together the two share the
droplet's light, and which of them is left with it hangs on a digit: what the network says of the droplet must not.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.stats import t as student

from pyrodrop.recognition.candidates import Candidates

Array = NDArray[np.float64]

# Degrees of freedom of the network's errors, as it was trained.
FREEDOM = 5.0


def log_words(proposals: Candidates, x: Array, y: Array, radius: Array) -> Array:
    """Log of presence times density that each of M proposals gives to each of N fitted circles, px, (M, N)."""
    said = np.stack([proposals.x, proposals.y, np.log(proposals.radius)], 1)
    errors = np.stack([x, y, np.log(radius)], 1) - said[:, None]
    unit = (np.sqrt((FREEDOM - 2) / FREEDOM) * proposals.sd)[:, None]
    density = student.logpdf(errors / unit, FREEDOM) - np.log(unit)
    return np.asarray(np.log(proposals.proposed)[:, None] + density.sum(2))


def succeeded(kept: Candidates, gone: Candidates, x: Array, y: Array, radius: Array) -> Candidates:
    """The kept candidates, each with the words of a gone proposal where that describes its fitted circle better.

    A proposal speaks for one droplet only: the one, of all whose centre is in its circle, that it describes best.

    Args:
        kept: N candidates; of what the network has not proposed nothing changes.
        gone: those that were dropped beside them.
        x, y, radius: the kept ones' fitted circles, px, (N,).
    """
    heirs, free = np.flatnonzero(kept.proposed > 0), np.flatnonzero(gone.proposed > 0)
    if not len(heirs) or not len(free):
        return kept
    x, y, radius = x[heirs], y[heirs], radius[heirs]
    speakers, proposals = kept.those(heirs), gone.those(free)
    own = np.diagonal(log_words(speakers, x, y, radius)).copy()
    words = log_words(proposals, x, y, radius)
    apart = np.hypot(proposals.x[:, None] - x, proposals.y[:, None] - y)
    words[apart > np.maximum(proposals.radius[:, None], radius)] = -np.inf
    taken = [values.copy() for values in kept]
    for m in np.argsort(-words.max(1), kind="stable"):
        n = int(words[m].argmax())
        if words[m, n] > own[n]:
            own[n] = words[m, n]
            for values, others in zip(taken, gone, strict=True):
                values[heirs[n]] = others[free[m]]
    return Candidates(*taken)


def first_words(candidates: Candidates) -> NDArray[np.bool_]:
    """Which of N candidates have no likelier one about the same place and size, (N,).

    The centre of such a one lies within the circle of the larger, and the radii differ by less than a factor of 2.
    """
    first = np.ones(len(candidates.x), bool)
    if len(first) < 2:
        return first
    centres = np.stack([candidates.x, candidates.y], 1)
    pairs = cKDTree(centres).query_pairs(float(candidates.radius.max()), output_type="ndarray")
    apart = np.hypot(*(centres[pairs[:, 0]] - centres[pairs[:, 1]]).T)
    of_one = (apart < candidates.radius[pairs].max(1)) & (
        np.abs(np.diff(np.log(candidates.radius[pairs]))[:, 0]) < np.log(2)
    )
    pairs = pairs[of_one]
    less = candidates.proposed[pairs[:, 0]] < candidates.proposed[pairs[:, 1]]
    first[np.where(less, pairs[:, 0], pairs[:, 1])] = False
    return first
