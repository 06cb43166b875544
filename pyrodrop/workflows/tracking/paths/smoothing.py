"""Paths as all of their detections say, before and after each frame: centres, and draws of radii.

The filter goes forwards over all frames of a path, those without a detection too. Centres are smoothed back (Rauch,
Tung and Striebel, AIAA Journal 3, 1445, 1965); radius and rate are drawn back from the last frame (Carter and Kohn,
Biometrika 81, 541, 1994), so that whatever is made of radii in several frames has the interval that it deserves.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from numpy.typing import NDArray

from pyrodrop.workflows.tracking.paths.detections import Detections
from pyrodrop.workflows.tracking.paths.link_weights import seen_of
from pyrodrop.workflows.tracking.paths.path_filter import (
    R_RATE,
    R_VAR,
    RATE,
    RATE_VAR,
    STATE,
    X_VAR,
    Y_VAR,
    R,
    X,
    Y,
    begun,
    log_normal,
    predicted,
    updated,
)
from pyrodrop.workflows.tracking.paths.process import PathProcess

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

_LEAST_RADIUS, _LEAST_POWER = 1e-3, 1e-9
# Kinds of paths: standard deviation and correlation time of their rates, over those of all, and the power of the radius
# whose rate it is. Droplets that are about to vanish change faster than the rest, and others hardly at all; by surface
# or by diffusion, r^2 or r^3 changes the most evenly. Which kind a path is of is learnt from its radii.
_KINDS = np.array(
    [(sd, time, power) for sd in (0.2, 0.5, 1.0, 2.0, 4.0) for time in (0.03, 0.3, 2.0) for power in (1, 2, 3)]
)
# Sweeps of Gibbs' sampler over kinds and their shares: to begin with, and for each draw.
_STEPS, _SWEEPS = 50, 4


class SmoothPaths(NamedTuple):
    """Paths, a row a path and frame, M rows, path by path.

    Attributes:
        path: number of the path, (M,).
        frame: number of the frame, (M,).
        row: number of the detection, -1 where there is none, (M,).
        centre: x and y, px, (M, 2). centre_sd: their standard deviations, (M, 2).
        radius: draws of the radius, px, (M, draws). Draw for draw they are of one path, not of the same one among
            paths.
    """

    path: Int[Numbers, " m"]
    frame: Int[Numbers, " m"]
    row: Int[Numbers, " m"]
    centre: Float[Array, "m 2"]
    centre_sd: Float[Array, "m 2"]
    radius: Float32[NDArray[np.float32], "m draws"]

    @property
    def bounds(self) -> Int[Numbers, " p1"]:
        """Where each path begins, and at last M, (paths + 1,)."""
        return np.searchsorted(self.path, np.arange(self.path[-1] + 2)) if len(self.path) else np.zeros(1, np.int64)

    def those(self, which: NDArray[np.bool_]) -> "SmoothPaths":
        """The rows where this is true, (M,)."""
        return SmoothPaths(
            self.path[which],
            self.frame[which],
            self.row[which],
            self.centre[which],
            self.centre_sd[which],
            self.radius[which],
        )


def smoothed(
    detections: Detections,
    process: PathProcess,
    path: Numbers,
    kept: Bool[NDArray[np.bool_], " n"],
    draws: int = 100,
    seed: int = 0,
) -> SmoothPaths:
    """Smooth paths.

    Args:
        detections: of all frames.
        process: how droplets move and change.
        path: number of each detection's path, (N,).
        kept: detections that count, (N,): whole paths.
        draws: of the radii.
        seed: of the draws.
    """
    rows = np.flatnonzero(kept)
    rows = rows[np.lexsort((detections.frame[rows], path[rows]))]
    begins = np.flatnonzero(np.diff(path[rows], prepend=-1))
    first, last = detections.frame[rows[begins]], detections.frame[rows[np.append(begins[1:], len(rows)) - 1]]
    lengths = last - first + 1
    bounds = np.append(0, np.cumsum(lengths))
    number = np.repeat(np.arange(len(begins)), lengths)
    frame = np.arange(bounds[-1]) - bounds[number] + first[number]
    row = np.full(len(number), -1, dtype=np.int64)
    own = np.repeat(np.arange(len(begins)), np.diff(np.append(begins, len(rows))))
    row[bounds[own] + detections.frame[rows] - first[own]] = rows
    centre, centre_var = np.empty((len(row), 2)), np.empty((len(row), 2))
    radius = np.empty((len(row), draws), dtype=np.float32)
    seen, numbers = seen_of(detections, process), process.numbers()
    kinds = np.tile(numbers, (len(_KINDS), 1))
    kinds[:, 3:5] *= _KINDS[:, :2]
    powers = _KINDS[:, 2].astype(np.int64)
    typical = (
        np.add.reduceat(seen[rows, 2], begins) / np.diff(np.append(begins, len(rows))) if len(rows) else rows * 1.0
    )
    by_power = np.stack([_to_power(seen, power) for power in range(powers.max() + 1)])
    log_likelihood = np.zeros((len(begins), len(_KINDS)))
    _radius_likelihoods(bounds, row, by_power, kinds, powers, typical, log_likelihood)
    rng = np.random.default_rng(seed)
    which = np.sort(drawn_kinds(log_likelihood, draws, rng), axis=1)
    _smooth(bounds, row, seen, numbers, centre, centre_var)
    _draw_paths(bounds, row, by_power, (kinds, powers, typical), which, radius, rng)
    return SmoothPaths(number, frame, row, centre + process.drifted[frame], np.sqrt(centre_var), radius)


def _to_power(seen: Float[Array, "n 8"], power: int) -> Float[Array, "n 8"]:
    """What the filter sees where it follows a power of the radius in the place of the radius."""
    if power == 0:
        return np.zeros_like(seen)
    other = seen.copy()
    other[:, 2] = seen[:, 2] ** power
    other[:, 6] = seen[:, 6] * (power * seen[:, 2] ** (power - 1)) ** 2
    return other


def drawn_kinds(log_likelihood: Float[Array, "p k"], draws: int, rng: np.random.Generator) -> Int[Numbers, "p draws"]:
    """Draws of the kind of each path, by Gibbs' sampler: kinds given what share each has, and shares given kinds.

    Shares at their best values would make what few paths seem to be alike surer than it is. Their prior is Dirichlet's
    of as much weight as one path (Perks, Journal of the Institute of Actuaries 73, 285, 1947).
    """
    paths, number = log_likelihood.shape
    likelihood = np.exp(log_likelihood - log_likelihood.max(1, keepdims=True))
    share = np.full(number, 1 / number)
    which = np.zeros((paths, draws), dtype=np.int64)
    for sweep in range(-_STEPS, draws * _SWEEPS):
        cumulative = np.cumsum(likelihood * share, axis=1)
        kind = (cumulative < rng.random((paths, 1)) * cumulative[:, -1:]).sum(1)
        share = rng.dirichlet(np.bincount(kind, minlength=number) + 1 / number)
        if sweep >= 0:
            which[:, sweep // _SWEEPS] = kind
    return which


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _forwards(low, number, row, seen, process, states, ahead):
    """The filter along a path, over all of its frames; returns the log likelihood of its radii."""
    total = 0.0
    begun(seen[row[low]], process, states[0])
    for t in range(1, number):
        predicted(states[t - 1], 1.0, process, ahead[t])
        states[t] = ahead[t]
        n = row[low + t]
        if n >= 0:
            total += log_normal(seen[n, 2] - ahead[t, R], ahead[t, R_VAR] + seen[n, 6])
            updated(states[t], seen[n])
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _longest(bounds):
    longest = 0
    for p in range(len(bounds) - 1):
        longest = max(longest, bounds[p + 1] - bounds[p])
    return longest


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _of_power(process, power, typical, out):
    """Write the process of a power of the radius: its rate is that of the radius times power radius^(power - 1)."""
    out[:] = process
    out[3] *= power * typical ** (power - 1)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _radius_likelihoods(bounds, row, by_power, kinds, powers, typical, out):
    """Log likelihood of the radii of each path, were it of each kind, into out, (paths, kinds)."""
    process = np.empty(kinds.shape[1])
    states, ahead = np.empty((_longest(bounds), STATE)), np.empty((_longest(bounds), STATE))
    for p in range(len(bounds) - 1):
        for k in range(len(kinds)):
            power, number = powers[k], bounds[p + 1] - bounds[p]
            _of_power(kinds[k], power, typical[p], process)
            out[p, k] = _forwards(bounds[p], number, row, by_power[power], process, states, ahead)
            # densities of a power of the radius as those of the radius
            for at in range(bounds[p] + 1, bounds[p + 1]):
                if row[at] >= 0:
                    out[p, k] += math.log(power * by_power[1, row[at], 2] ** (power - 1))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _draw_paths(bounds, row, by_power, all_kinds, which, radius, rng):
    """Draws of the radii of all paths; of each path the draws are of the kinds ``which``, sorted."""
    kinds, powers, typical = all_kinds
    process = np.empty(kinds.shape[1])
    states, ahead = np.empty((_longest(bounds), STATE)), np.empty((_longest(bounds), STATE))
    for p in range(len(bounds) - 1):
        low, number, kind = bounds[p], bounds[p + 1] - bounds[p], -1
        for draw in range(radius.shape[1]):
            if which[p, draw] != kind:
                kind = which[p, draw]
                _of_power(kinds[kind], powers[kind], typical[p], process)
                _forwards(low, number, row, by_power[powers[kind]], process, states, ahead)
            _draw_radii(low, number, states, ahead, process, radius[:, draw], rng)
            if powers[kind] > 1:
                for at in range(low, low + number):
                    radius[at, draw] = max(radius[at, draw] ** (1.0 / powers[kind]), _LEAST_RADIUS)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _smooth(bounds, row, seen, process, centre, centre_var):
    states, ahead = np.empty((_longest(bounds), STATE)), np.empty((_longest(bounds), STATE))
    for p in range(len(bounds) - 1):
        low, number = bounds[p], bounds[p + 1] - bounds[p]
        _forwards(low, number, row, seen, process, states, ahead)
        _centres(low, number, states, ahead, centre, centre_var)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _centres(low, number, states, ahead, centre, centre_var):
    for t in range(number - 1, -1, -1):
        for axis, (at, var) in enumerate(((X, X_VAR), (Y, Y_VAR))):
            mean, variance = states[t, at], states[t, var]
            if t < number - 1:
                gain = variance / ahead[t + 1, var]
                mean += gain * (centre[low + t + 1, axis] - ahead[t + 1, at])
                variance += gain * gain * (centre_var[low + t + 1, axis] - ahead[t + 1, var])
            centre[low + t, axis], centre_var[low + t, axis] = mean, variance


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _draw_radii(low, number, states, ahead, process, radius, rng):
    """One draw of the radii of a path, from its last frame to its first."""
    kept = math.exp(-1.0 / process[4])
    way = process[4] * (1.0 - kept)
    r = v = 0.0
    for t in range(number - 1, -1, -1):
        s = states[t]
        mean_r, mean_v = s[R], s[RATE]
        a, b, c = s[R_VAR], s[R_RATE], s[RATE_VAR]
        if t < number - 1:
            n = ahead[t + 1]
            # covariance of this state and the next, and the gain of the one by the other
            rr, rv = a + way * b, kept * b
            vr, vv = b + way * c, kept * c
            det = n[R_VAR] * n[RATE_VAR] - n[R_RATE] ** 2
            g_rr = (rr * n[RATE_VAR] - rv * n[R_RATE]) / det
            g_rv = (rv * n[R_VAR] - rr * n[R_RATE]) / det
            g_vr = (vr * n[RATE_VAR] - vv * n[R_RATE]) / det
            g_vv = (vv * n[R_VAR] - vr * n[R_RATE]) / det
            off_r, off_v = r - n[R], v - n[RATE]
            mean_r += g_rr * off_r + g_rv * off_v
            mean_v += g_vr * off_r + g_vv * off_v
            a, b, c = a - g_rr * rr - g_rv * rv, b - g_rr * vr - g_rv * vv, c - g_vr * vr - g_vv * vv
        sd = math.sqrt(max(a, 0.0))
        first, second = rng.standard_normal(), rng.standard_normal()
        r = mean_r + sd * first
        v = mean_v + (b / sd * first if sd > 0 else 0.0)
        v += math.sqrt(max(c - (b * b / a if a > 0 else 0.0), 0.0)) * second
        radius[low + t] = max(r, _LEAST_POWER)
