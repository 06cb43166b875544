"""How probable a link is, and the beginning and the end of a path: the costs of the assignment, compiled.

All are relative to the density of droplets in the image, n / A of them an area, with the radii and looks that there
are: so a droplet that was there before the first frame has the weight 1, and so has one that comes in from beyond the
edge. A droplet whose next position lies beyond it leaves. What remains are droplets that appear and vanish within,
at rates that are learnt. A path may end some frames before its droplet does, undetected: those are summed.
"""

import math

import numba
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from pyrodrop.workflows.tracking.paths.detections import Detections
from pyrodrop.workflows.tracking.paths.path_filter import (
    STATE,
    X_VAR,
    Y_VAR,
    X,
    Y,
    begun,
    log_same,
    predicted,
    share_beyond,
)
from pyrodrop.workflows.tracking.paths.process import Lives, PathProcess

Array = NDArray[np.float64]

# Of the densities of radii and looks: this share is of three times their width, for those that are unlike the rest.
_UNLIKE, _WIDER = 0.1, 3.0


def seen_of(detections: Detections, process: PathProcess) -> Float[Array, "n 8"]:
    """What the filter sees: centres without the drift, radius and look, and their variances as they truly are."""
    drifted = process.drifted[detections.frame]
    return np.stack(
        [
            detections.x - drifted[:, 0],
            detections.y - drifted[:, 1],
            detections.radius,
            detections.look,
            detections.x_var * process.position_factor,
            detections.y_var * process.position_factor,
            detections.radius_var * process.radius_factor,
            detections.look_var * process.look_factor,
        ],
        1,
    )


def log_population(detections: Detections) -> Float[Array, " n"]:
    """Log density of droplets with a detection's radius and look in its frame, an area, (N,)."""
    total = np.full(len(detections.frame), math.log(detections.per_frame / detections.area))
    total += _log_density(np.log(detections.radius), detections) - np.log(detections.radius)
    if detections.knows_look:
        total += _log_density(detections.look, detections)
    return total


def _log_density(values: Array, detections: Detections) -> Array:
    """Log density of numbers in their frames: normal by the frame's mean and the spread of all, with wider tails."""
    weight, ordinal, number = detections.presence, detections.ordinal, len(detections.readable)
    of_frame = np.bincount(ordinal, weight, number)
    # a frame of few droplets leans on all of them, as if it had ten more
    overall = float(np.average(values, weights=weight))
    mean = (np.bincount(ordinal, weight * values, number) + 10 * overall) / (of_frame + 10)
    off = values - mean[ordinal]
    spread = max(float(np.sqrt(np.average(off**2, weights=weight))), 1e-3)
    scaled = -0.5 * (off / spread) ** 2
    wide = -0.5 * (off / (_WIDER * spread)) ** 2 - math.log(_WIDER)
    mixed = np.logaddexp(math.log(1 - _UNLIKE) + scaled, math.log(_UNLIKE) + wide)
    return np.asarray(mixed - 0.5 * math.log(2 * math.pi) - math.log(spread))


def spurious_odds(detections: Detections, lives: Lives) -> Float[Array, " n"]:
    """Odds that each detection is none, (N,)."""
    return lives.spurious * (1 - detections.presence) / detections.presence


def chances(lives: Lives) -> Float[Array, " 4"]:
    """What compiled code takes of the lives: detected, vanishing, appearing."""
    return np.array([lives.detected, lives.vanishing, lives.appearing])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def log_edge(state, step_x, step_y, drifted_x, drifted_y, size, rate, detected, further, process):
    """Log weight of a path's end, or of its beginning, looking backwards.

    state: of its last detection, without the drift. step: the drift to the next frame. drifted: the drift so far.
    size: height and width. rate: vanishing or appearing. further: how many readable frames follow.
    """
    after = np.empty(STATE)
    predicted(state, 1.0, process, after)
    beyond_x = share_beyond(after[X] + drifted_x + step_x, after[X_VAR], size[1])
    beyond_y = share_beyond(after[Y] + drifted_y + step_y, after[Y_VAR], size[0])
    beyond = 1.0 - max(1.0 - beyond_x, 0.0) * max(1.0 - beyond_y, 0.0)
    gone = beyond + (1.0 - beyond) * rate
    missed = (1.0 - detected) * (1.0 - gone)
    never = missed**further
    return math.log(gone * (1.0 - never) / (1.0 - missed) + never + 1e-300)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def log_link(state, later, frames, missed, log_density, process, lives, knows_look, after):
    """Log weight of a link: of one droplet, detected in both frames and in none of the readable ones between them.

    state: of the earlier detection. later: of the later one, by the filter run backwards. frames: time between them.
    missed: readable frames between them. log_density: ``log_population`` of the later one. after: room for a state.
    """
    predicted(state, frames, process, after)
    alike = log_same(after, later, process[3], knows_look) - log_density
    return alike + math.log(lives[0]) + missed * math.log(1.0 - lives[0]) + (missed + 1) * math.log(1.0 - lives[1])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def edge_weights(states, times, drifted, size, rate, detected, further, backwards, process, out):
    """``log_edge`` of many: states (N, 11), frame numbers (N,), drifted (frames, 2), further (N,), into out, (N,)."""
    last = len(drifted) - 1
    for n in range(len(times)):
        t = times[n]
        other = max(t - 1, 0) if backwards else min(t + 1, last)
        step_x, step_y = drifted[other, 0] - drifted[t, 0], drifted[other, 1] - drifted[t, 1]
        out[n] = log_edge(
            states[n], step_x, step_y, drifted[t, 0], drifted[t, 1], size, rate, detected, further[n], process
        )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def first_states(seen, process, states):
    """States of paths that begin with each detection, (N, 11)."""
    for n in range(len(seen)):
        begun(seen[n], process, states[n])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def pair_weights(pairs, states, later, log_density, process, lives, knows_look, out):
    """``log_link`` of pairs, into out, (P,): heads and tails, time and missed frames between them, (P,) each."""
    heads, tails, frames, missed = pairs
    after = np.empty(STATE)
    for p in range(len(heads)):
        i, j = heads[p], tails[p]
        out[p] = log_link(states[i], later[j], frames[p], missed[p], log_density[j], process, lives, knows_look, after)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def predict_many(states, frames, process, out):
    """States (K, 11) so many frames later, (K,), into out, (K, 11)."""
    for n in range(len(states)):
        predicted(states[n], frames[n], process, out[n])
