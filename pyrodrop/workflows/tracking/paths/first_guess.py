"""How far droplets move between frames, from nothing but where they are: the process that the linking begins with.

Of all pairs of detections of two successive frames, those of one droplet have displacements about the common drift,
like radii and like looks; all others are spread evenly. That is a mixture, whose parameters are found by expectation
and maximisation (Dempster, Laird and Rubin, Journal of the Royal Statistical Society B 39, 1, 1977), from several
beginnings: the motion may be far smaller than the distances, or nearly as large. No radius of search is asked for.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pyrodrop.workflows.tracking.paths.detections import Detections
from pyrodrop.workflows.tracking.paths.process import PathProcess

Array = NDArray[np.float64]

# Pairs of frames that are looked at, and about how many detections of each.
_PAIRS_OF_FRAMES, _DETECTIONS = 10, 300
# Pairs are looked at up to this many mean distances apart.
_REACH = 4.0
_STEPS = 40
_ENOUGH = 0.1  # log likelihood that a further step has to gain
# Shares of the squared mean distance that the variance of a step is begun with.
_BEGINNINGS = (1e-4, 1e-2, 0.1)


class _Pairs(NamedTuple):
    """Pairs of detections of successive frames: number of the first among all, displacement (P, 2) over the time
    between them, its measurement variance, differences of log radius and of look with theirs, and that time.
    """

    first: NDArray[np.int64]
    step: Float[Array, "p 2"]
    step_var: Float[Array, " p"]
    growth: Float[Array, " p"]
    growth_var: Float[Array, " p"]
    fading: Float[Array, " p"]
    fading_var: Float[Array, " p"]


class _Mixture(NamedTuple):
    drift: Array
    step_var: float
    growth_var: float
    fading_var: float
    share: float


def first_guess(detections: Detections) -> PathProcess:
    """The process to begin with: drift and diffusion by the mixture of all displacements, the rest of their spread.

    Args:
        detections: of all frames.

    Returns:
        A process whose drift is the same in all frames.
    """
    reference = float(np.average(detections.radius, weights=detections.presence))
    spacing = math.sqrt(detections.area / detections.per_frame)
    pairs = _pairs(detections, _REACH * spacing)
    density = detections.per_frame / detections.area
    if len(pairs.first):
        spread_r = 2 * float(np.var(np.log(detections.radius))) + 1e-6
        spread_a = 2 * float(np.var(detections.look)) + 1e-6
        starts = [
            _Mixture(drift, share * spacing**2, spread_r / 50, spread_a / 50, 0.5)
            for drift in (np.zeros(2), _peak(pairs, spacing))
            for share in _BEGINNINGS
        ]
        fits = [_fitted(pairs, start, density, (spread_r, spread_a), detections.knows_look) for start in starts]
        best = max(fits, key=lambda fit: fit[1])[0]
    else:
        best = _Mixture(np.zeros(2), 0.01 * spacing**2, 1e-4, 1e-4, 0.5)
    drift = np.tile(best.drift, (detections.frames, 1))
    drift[-1] = 0.0
    rate = max(math.sqrt(best.growth_var) * reference, 1e-4 * reference)
    return PathProcess(
        max(best.step_var / 2, 1e-8 * spacing**2),
        0.0,
        reference,
        rate,
        10.0,
        max(best.fading_var, 1e-8),
        1.0,
        1.0,
        1.0,
        drift,
    )


def _pairs(detections: Detections, reach: float) -> _Pairs:
    """Pairs of detections of some successive readable frames that are less than ``reach`` apart."""
    starts, readable = detections.starts, detections.readable
    number = len(readable) - 1
    chosen = np.unique(np.linspace(0, max(number - 1, 0), min(_PAIRS_OF_FRAMES, max(number, 0))).astype(int))
    parts: list[tuple[Array, ...]] = []
    where = np.stack([detections.x, detections.y], 1)
    for place in chosen:
        some = np.arange(starts[place], starts[place + 1])
        some = some[:: max(len(some) // _DETECTIONS, 1)]
        others = np.arange(starts[place + 1], starts[place + 2])
        if not len(some) or not len(others):
            continue
        near = cKDTree(where[others]).query_ball_point(where[some], reach)
        i = np.repeat(some, [len(each) for each in near])
        j = others[np.array([n for each in near for n in each], dtype=np.int64)]
        time = float(readable[place + 1] - readable[place])
        both = (detections.x_var[i] + detections.x_var[j] + detections.y_var[i] + detections.y_var[j]) / 2
        growth = np.log(detections.radius[j] / detections.radius[i])
        parts.append(
            (
                i,
                *((where[j] - where[i]) / time).T,
                both / time**2,
                growth,
                detections.radius_var[i] / detections.radius[i] ** 2
                + detections.radius_var[j] / detections.radius[j] ** 2,
                detections.look[j] - detections.look[i],
                detections.look_var[i] + detections.look_var[j],
            )
        )
    if not parts:
        return _Pairs(np.zeros(0, np.int64), np.zeros((0, 2)), *(np.zeros(0) for _ in range(5)))
    first, x, y, step_var, growth, growth_var, fading, fading_var = (
        np.concatenate([part[n] for part in parts]) for n in range(8)
    )
    return _Pairs(first.astype(np.int64), np.stack([x, y], 1), step_var, growth, growth_var, fading, fading_var)


def _peak(pairs: _Pairs, spacing: float) -> Array:
    """The displacement about which most pairs with like radii and looks lie, more than evenly: a drift."""
    alike = np.exp(-0.5 * pairs.growth**2 / (pairs.growth_var + np.median(pairs.growth**2) / 20 + 1e-12))
    alike *= np.exp(-0.5 * pairs.fading**2 / (pairs.fading_var + np.median(pairs.fading**2) / 20 + 1e-12))
    edge = _REACH * spacing
    cells = 48
    inside = np.hypot(*pairs.step.T) < edge
    across, down = pairs.step[inside].T
    counts, x, y = np.histogram2d(across, down, cells, ((-edge, edge), (-edge, edge)), weights=alike[inside])
    column, row = np.unravel_index(int(counts.argmax()), counts.shape)
    return np.array([(x[column] + x[column + 1]) / 2, (y[row] + y[row + 1]) / 2])


def _fitted(
    pairs: _Pairs, start: _Mixture, density: float, spreads: tuple[float, float], knows_look: bool
) -> tuple[_Mixture, float]:
    """A mixture that expectation and maximisation end in, and its log likelihood."""
    now, likelihood = start, -math.inf
    detections = len(np.unique(pairs.first))
    _, owner = np.unique(pairs.first, return_inverse=True)
    for _ in range(_STEPS):
        last = likelihood
        off = ((pairs.step - now.drift) ** 2).sum(1)
        var = now.step_var + pairs.step_var
        log = -0.5 * off / var - np.log(2 * math.pi * var) - math.log(density)
        for value, own, both, spread in (
            (pairs.growth, now.growth_var, pairs.growth_var, spreads[0]),
            *([(pairs.fading, now.fading_var, pairs.fading_var, spreads[1])] if knows_look else []),
        ):
            log += _log_ratio(value, own + both, spread)
        weight = np.exp(np.clip(log, -700, 300)) * now.share / (1 - now.share)
        total = np.bincount(owner, weight, detections)
        mine = weight / (1 + total)[owner]
        likelihood = float(np.log1p(total).sum() + detections * math.log(1 - now.share))
        if likelihood - last < _ENOUGH:
            break
        sum_mine = mine.sum() + 1e-12
        # each pair by how much of its spread is the motion's
        gain = now.step_var / var
        trust = mine / var
        drift = (trust[:, None] * pairs.step).sum(0) / (trust.sum() + 1e-12)
        step_var = (mine * (gain**2 * off / 2 + gain * pairs.step_var)).sum() / sum_mine
        growth_var = _own_var(mine, pairs.growth, now.growth_var, pairs.growth_var)
        fading_var = _own_var(mine, pairs.fading, now.fading_var, pairs.fading_var)
        share = float(np.clip(mine.sum() / detections, 0.01, 0.999))
        now = _Mixture(drift, max(float(step_var), 1e-12), growth_var, fading_var, share)
    return now, likelihood


def _log_ratio(value: Array, variance: Array, spread: float) -> Array:
    """Log density of a difference between frames of one droplet over that between two droplets."""
    return np.asarray(
        -0.5 * value**2 / variance - 0.5 * np.log(variance) + 0.5 * value**2 / spread + 0.5 * np.log(spread)
    )


def _own_var(mine: Array, value: Array, own: float, both: Array) -> float:
    """The variance of a change that is not the measurement's, after a step of expectation and maximisation."""
    gain = own / (own + both)
    return max(float((mine * (gain**2 * value**2 + gain * both)).sum() / (mine.sum() + 1e-12)), 1e-10)
