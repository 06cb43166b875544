"""How good proposals are on images whose droplets are known."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

Floats = NDArray[np.float64]


def match(
    proposed: Floats, true: Floats, presence: Floats | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of proposed and true circles, (n, 3) arrays of x, y, r in px: two arrays of numbers.

    A pair may match if its centres are closer than half the true radius, or 3 px where that is not known, and 2 px at
    least. Matches are one to one, as many as there can be, at the least total distance; or, with the presence of each
    proposal, at the largest total presence, so that no unlikely proposal takes a droplet from a likely one.
    """
    if len(proposed) == 0 or len(true) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    allowed = np.where(np.isfinite(true[:, 2]), 0.5 * true[:, 2], 3.0).clip(min=2.0)
    distance = cdist(proposed[:, :2], true[:, :2])
    value = distance if presence is None else distance / allowed / 100 - presence[:, None]
    cost = np.where(distance <= allowed, value, 1e6)
    i, j = linear_sum_assignment(cost)
    near = cost[i, j] < 1e6
    return i[near], j[near]


class Scores(NamedTuple):
    """Sums over images, from which figures are made; `+` does not add them, `total` does."""

    true: float = 0.0  # droplets asked for
    reported: float = 0.0  # proposals of presence 1/2 or more, those of droplets not asked for left out
    matched: float = 0.0
    log_radius_error: float = 0.0  # sum of |log r / true r| of the matched

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 if there was nothing and nothing was reported."""
        return 2 * self.matched / (self.true + self.reported) if self.true + self.reported else 1.0

    @property
    def radius_error(self) -> float:
        """Mean absolute relative error of the radii, about."""
        return self.log_radius_error / max(self.matched, 1.0)


def total(scores: list[Scores]) -> Scores:
    """Scores of all images together."""
    return Scores(*np.sum(np.array(scores).reshape(-1, len(Scores._fields)), 0).tolist())


class Judged(NamedTuple):
    """Proposals of an image held against its truth."""

    scores: Scores
    presence: Floats  # of the proposals that count
    correct: NDArray[np.bool_]  # which of them are droplets that were asked for


def judge(proposed: Floats, presence: Floats, true: Floats, weight: Floats) -> Judged:
    """Hold proposals (n, 3) of the given presence against true circles (m, 3) of the given weights, 0 ... 1.

    A droplet of weight under 1/2 was not asked for, and proposals of it count neither for nor against.
    """
    i, j = match(proposed, true, presence)
    matched_weight = np.full(len(proposed), -1.0)
    matched_weight[i] = weight[j]
    asked = matched_weight >= 0.5
    counts = asked | (matched_weight < 0)
    sure = presence >= 0.5
    # Proposals under 1/2 may not take a droplet from a better one, so the report is matched by itself.
    a, b = match(proposed[sure], true)
    wanted = weight[b] >= 0.5
    reported = int(sure.sum()) - int((~wanted).sum())
    error = np.abs(np.log(proposed[sure][a, 2] / true[b, 2]))[wanted & (true[b, 2] > 0)]
    scores = Scores(float((weight >= 0.5).sum()), float(reported), float(wanted.sum()), float(error.sum()))
    return Judged(scores, presence[counts], asked[counts])


def calibration_error(presence: Floats, correct: NDArray[np.bool_], bins: int = 15) -> float:
    """Expected calibration error: mean of |share that is right - mean presence| over bins of equal width."""
    if len(presence) == 0:
        return 0.0
    index = np.minimum((presence * bins).astype(int), bins - 1)
    gap = np.bincount(index, correct.astype(float) - presence, bins)
    return float(np.abs(gap).sum() / len(presence))
