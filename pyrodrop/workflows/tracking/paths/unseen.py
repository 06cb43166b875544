"""How probable it is that a droplet goes unseen: beyond the edge of the image, missed, or gone.

Droplets live in a plane of which the image is a part, so one that leaves may come back, and is the same. Along the
normal of an edge its walk is one of independent steps; the probability of being seen in none of a row of frames is
that of a walk with the weights of not being seen on its way, worked out on a grid of distances, by the recursion of
Chapman and Kolmogorov. The edges are taken each by itself: a corner is approximate.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from numpy.typing import NDArray

from pyrodrop.workflows.tracking.paths.detections import Detections
from pyrodrop.workflows.tracking.paths.path_filter import step_of
from pyrodrop.workflows.tracking.paths.process import Lives, PathProcess

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

# Cells of the grid in standard deviations of a step; how far it reaches outwards and inwards; how far a step does.
_CELL, _OUT, _IN, _STEP = 0.5, 40.0, 8.0, 4.0


class Unseen(NamedTuple):
    """Tables of not being seen, for droplets at distances from each of the four edges.

    Attributes:
        after, before: log probability that a droplet is seen in no later, or no earlier, frame, by the edge (left,
            right, top, bottom), the size of its step, the frame that it is in, and its distance from the edge,
            inwards, on the grid, (4, S, T, G).
        inner: the same far from all edges, for after and before, (2, T).
        sizes: logarithms of the standard deviations of steps, (S,).
        low: where the grid begins, in standard deviations.
        inwards: way that the drift goes away from each edge, from each frame to the next, px, (4, T).
        readable: which frames can be read, (T,).
        drifted: where the drift has taken all droplets by each frame, px, (T, 2).
        sides: width and height, px, (2,).
        detected, vanishing: see ``Lives``.
    """

    after: Float32[NDArray[np.float32], "4 s t g"]
    before: Float32[NDArray[np.float32], "4 s t g"]
    inner: Float[Array, "2 t"]
    sizes: Float[Array, " s"]
    low: float
    inwards: Float[Array, "4 t"]
    readable: Bool[NDArray[np.bool_], " t"]
    drifted: Float[Array, "t 2"]
    sides: Float[Array, " 2"]
    detected: float
    vanishing: float


def unseen_tables(detections: Detections, process: PathProcess, lives: Lives) -> Unseen:
    """Tables for a stack.

    Args:
        detections: of all frames: their radii say how large steps are.
        process, lives: how droplets move, come and go.
    """
    sd = np.sqrt([step_of(r, process.numbers()) for r in np.quantile(detections.radius, [0.01, 0.5, 0.99])])
    # at a distance in steps only the drift in steps differs, and little: three sizes are enough
    sizes = np.linspace(math.log(sd.min()), math.log(sd.max()), 3) if sd.max() > sd.min() else np.log(sd[1:2])
    readable = np.zeros(detections.frames, bool)
    readable[detections.readable] = True
    inwards = np.stack([process.drift[:, 0], -process.drift[:, 0], process.drift[:, 1], -process.drift[:, 1]])
    # a drift that goes far in a step needs a grid as far inwards
    far = min(float(np.abs(inwards).max()) / float(np.exp(sizes[0])), _OUT)
    cells = int((_OUT + _IN + 2 * far) / _CELL)
    shape = (4, len(sizes), detections.frames, cells)
    after, before = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    inner = np.zeros((2, detections.frames))
    for edge in range(4):
        for at, size in enumerate(np.exp(sizes)):
            way = inwards[edge] / size
            _table(way, readable, lives.detected, lives.vanishing, -_OUT, after[edge, at], inner[0])
            # backwards in time the steps are the other way round
            back = np.append(-way[:-1][::-1], 0.0)
            turned, turned_inner = before[edge, at][::-1], inner[1][::-1]
            _table(back, readable[::-1], lives.detected, lives.appearing, -_OUT, turned, turned_inner)
    sides = np.array([detections.size[1], detections.size[0]], dtype=np.float64)
    known = (inwards, readable, process.drifted, sides, lives.detected, lives.vanishing)
    return Unseen(after, before, inner, sizes, -_OUT, *known)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _stepped(value, way, low, first, out):
    """Write what a step makes of values on the grid: their mean over where it leads to; ``first`` is what lies inside
    of the grid. Beyond the grid, outwards, is as at its end.
    """
    cells = len(value)
    reach = int(_STEP / _CELL) + 1
    weights = np.empty(2 * reach + 1)
    shift = round(way / _CELL)
    rest = way / _CELL - shift
    for k in range(2 * reach + 1):
        a, b = (k - reach - 0.5 - rest) * _CELL, (k - reach + 0.5 - rest) * _CELL
        weights[k] = 0.5 * (math.erf(b / math.sqrt(2.0)) - math.erf(a / math.sqrt(2.0)))
    weights /= weights.sum()
    for g in range(cells):
        total = 0.0
        for k in range(2 * reach + 1):
            to = g + shift + k - reach
            total += weights[k] * (first if to >= cells else value[max(to, 0)])
        out[g] = total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _table(way, readable, detected, gone, low, out, inner):
    """Log probability of being seen in no later frame, by the frame and the cell; and that far from the edge."""
    frames, cells = out.shape
    seen, ahead = np.ones(cells), np.empty(cells)
    inside = 1.0
    out[frames - 1, :], inner[frames - 1] = 0.0, 0.0
    for t in range(frames - 2, -1, -1):
        if readable[t + 1]:
            for g in range(cells):
                if low + (g + 0.5) * _CELL > 0.0:
                    seen[g] *= 1.0 - detected
            inside *= 1.0 - detected
        _stepped(seen, way[t], low, inside, ahead)
        lost = gone if readable[t + 1] else 0.0
        for g in range(cells):
            seen[g] = lost + (1.0 - lost) * ahead[g]
            out[t, g] = math.log(seen[g] + 1e-300)
        inside = lost + (1.0 - lost) * inside
        inner[t] = math.log(inside + 1e-300)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _distance(unseen, edge, x, y):
    """How far a place lies inwards from an edge, px."""
    if edge == 0:
        return x + 0.5
    if edge == 1:
        return unseen.sides[0] - 0.5 - x
    if edge == 2:
        return y + 0.5
    return unseen.sides[1] - 0.5 - y


@numba.njit(cache=True, nogil=True, error_model="numpy")
def log_never(unseen, x, y, step_sd, t, backwards):
    """Log probability that a droplet at a place, of a step's standard deviation, in frame t, is seen in no later frame,
    or in no earlier one.
    """
    table = unseen.before if backwards else unseen.after
    inner = unseen.inner[1 if backwards else 0, t]
    cells = table.shape[3]
    size, number = math.log(step_sd), len(unseen.sizes)
    at = 0.0
    if number > 1:
        at = (size - unseen.sizes[0]) / (unseen.sizes[1] - unseen.sizes[0])
        at = min(max(at, 0.0), number - 1.0)
    s = min(int(at), max(number - 2, 0))
    share = at - s
    seen_still = 1.0
    base = 1.0 - math.exp(inner)
    for edge in range(4):
        place = (_distance(unseen, edge, x, y) / step_sd - unseen.low) / _CELL - 0.5
        if place >= cells - 1:
            continue
        place = max(place, 0.0)
        g = min(int(place), cells - 2)
        f = place - g
        value = (1.0 - f) * table[edge, s, t, g] + f * table[edge, s, t, g + 1]
        if share > 0.0:
            value *= 1.0 - share
            value += share * ((1.0 - f) * table[edge, s + 1, t, g] + f * table[edge, s + 1, t, g + 1])
        if base > 0.0:
            seen_still *= min((1.0 - math.exp(value)) / base, 1.0)
    return math.log(max(1.0 - base * seen_still, 1e-300))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def log_between(unseen, x0, y0, t0, x1, y1, t1, step_sd):
    """Log probability that a droplet which is at one place in frame t0 and at another in t1 is there, and seen in none
    of the frames between them.
    """
    missed = 0
    for t in range(t0 + 1, t1):
        if unseen.readable[t]:
            missed += 1
    total = (missed + 1) * math.log(1.0 - unseen.vanishing)
    if missed == 0:
        return total
    within = (1.0 - unseen.detected) ** missed
    share = within
    frames = t1 - t0
    for edge in range(4):
        a, b = _distance(unseen, edge, x0, y0) / step_sd, _distance(unseen, edge, x1, y1) / step_sd
        # a bridge's standard deviation is half the root of its frames, at most
        if min(a, b) < 2.0 * math.sqrt(frames):
            share += max(_bridge(unseen, edge, a, b, t0, t1, step_sd) - within, 0.0)
    return total + math.log(min(share, 1.0) + 1e-300)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _bridge(unseen, edge, a, b, t0, t1, step_sd):
    """Probability that a walk from a to b, distances from an edge in steps, is seen in none of the frames between."""
    low = -(_OUT if t1 - t0 > 8 else 12.0)
    high = max(a, b) + 2.0 * _STEP
    cells = int((high - low) / _CELL) + 1
    value, ahead = np.empty(cells), np.empty(cells)
    way = unseen.inwards[edge]
    total = 0.0
    for t in range(t0, t1):
        total += way[t] / step_sd
    # what is given is where it ends: the steps to there from each cell, times the walk's from the beginning, backwards
    mean_step = total / (t1 - t0)
    for g in range(cells):
        # the drift of a bridge is the way between its ends, and the common drift's deviations from its mean
        off = b - (low + (g + 0.5) * _CELL) - way[t1 - 1] / step_sd
        value[g] = math.exp(-0.5 * off * off)
    for t in range(t1 - 1, t0, -1):
        if unseen.readable[t]:
            for g in range(cells):
                if low + (g + 0.5) * _CELL > 0.0:
                    value[g] *= 1.0 - unseen.detected
        if t - 1 == t0:
            break
        _stepped(value, way[t - 1] / step_sd, low, 0.0, ahead)
        value, ahead = ahead, value
    # the first step, from a itself
    result = 0.0
    for g in range(cells):
        left = low + g * _CELL - a - way[t0] / step_sd
        result += value[g] * 0.5 * (math.erf((left + _CELL) / math.sqrt(2.0)) - math.erf(left / math.sqrt(2.0)))
    off = b - a - mean_step * (t1 - t0)
    number = float(t1 - t0)
    return result / (math.exp(-0.5 * off * off / number) / math.sqrt(number) + 1e-300)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def logs_between(unseen, pairs, places, frame, process, out):
    """``log_between`` of pairs of detections, heads and tails, (P,) each, into out, (P,).

    places: x, y and radius of all detections, (N, 3).
    """
    heads, tails = pairs
    for p in range(len(heads)):
        i, j = heads[p], tails[p]
        if frame[j] - frame[i] == 1:
            out[p] = math.log(1.0 - unseen.vanishing)
            continue
        step = math.sqrt(step_of(places[i, 2], process))
        first, last = places[i], places[j]
        out[p] = log_between(unseen, first[0], first[1], frame[i], last[0], last[1], frame[j], step)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def logs_never(unseen, places, frame, process, backwards, out):
    """``log_never`` of detections, into out, (N,): places are x, y and radius, (N, 3)."""
    for n in range(len(frame)):
        step = math.sqrt(step_of(places[n, 2], process))
        out[n] = log_never(unseen, places[n, 0], places[n, 1], step, frame[n], backwards)


def ends_and_begins(
    detections: Detections, process: PathProcess, unseen: Unseen
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Log weights of the end and of the beginning of a path at each detection, (N,) each."""
    ends, begins = np.empty(len(detections.frame)), np.empty(len(detections.frame))
    for backwards, out in ((False, ends), (True, begins)):
        logs_never(unseen, places_of(detections), detections.frame, process.numbers(), backwards, out)
    return ends, begins


def unseen_between(
    detections: Detections, process: PathProcess, unseen: Unseen, heads: Int[Numbers, " p"], tails: Int[Numbers, " p"]
) -> Float[Array, " p"]:
    """Log probability of having been there and unseen between the detections of pairs, (P,)."""
    out = np.empty(len(heads))
    logs_between(unseen, (heads, tails), places_of(detections), detections.frame, process.numbers(), out)
    return out


def places_of(detections: Detections) -> Float[Array, "n 3"]:
    """x, y and radius of detections, (N, 3)."""
    return np.stack([detections.x, detections.y, detections.radius], 1)
