"""How probable a link is, and a path: the costs of the assignment, compiled.

All are relative to the density of droplets in the image, n / A of them an area, with the radii and looks that there
are: so a droplet that was there before the first frame has the weight 1, and so has one that comes in from beyond the
edge. What remains are droplets that appear and vanish within, at rates that are learnt, and detections that are none.
"""

import math

import numba
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from pyrodrop.workflows.tracking.paths.detections import Detections
from pyrodrop.workflows.tracking.paths.path_filter import (
    STATE,
    begun,
    log_same,
    log_sum,
    predicted,
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


def doubts(detections: Detections, lives: Lives) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Log odds that each detection is none: one of its frame alone, and one that looks like a droplet in others too.

    Of the first kind is only what is linked to nothing. What the second kind looks like it does in all of its frames,
    so its odds are those of a path: by the mean of its detections' logarithms, counted once (``log_path``).
    """
    odds = np.log((1 - detections.presence) / detections.presence)
    return odds + math.log(lives.spurious), odds + math.log(lives.alike)


def chances(lives: Lives) -> Float[Array, " 3"]:
    """What compiled code takes of the lives: detected, vanishing, appearing."""
    return np.array([lives.detected, lives.vanishing, lives.appearing])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def log_path(edges, alike, noise, length):
    """Log weight of a path, less those of its links.

    edges: log weight of its beginning and its end. alike: mean log odds that it is no droplet, though it comes and goes
    like one. noise: log odds that its detection, if it is the only one, is none of its frame alone.
    """
    weight = edges + log_sum(0.0, alike)
    return log_sum(weight, noise) if length == 1 else weight


# Of a path up to a detection, or from it on: weight of where it begins, or ends; sum of its doubts; how many it has.
EDGE, DOUBT, LENGTH = 0, 1, 2


@numba.njit(cache=True, nogil=True, error_model="numpy")
def carry(low, high, step, other, edges, alike, parts):
    """Write what paths hold up to detections from low to high, forwards (step 1) or backwards (-1)."""
    for n in range(low, high, step):
        last = other[n]
        parts[n, EDGE] = edges[n] if last < 0 else parts[last, EDGE]
        parts[n, DOUBT] = alike[n] + (0.0 if last < 0 else parts[last, DOUBT])
        parts[n, LENGTH] = 1.0 + (0.0 if last < 0 else parts[last, LENGTH])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def log_link(state, later, frames, log_unseen, log_density, process, lives, knows_look, after):
    """Log weight of a link: of one droplet, detected in both frames and in none of the readable ones between them.

    state: of the earlier detection. later: of the later one, by the filter run backwards. frames: time between them.
    log_unseen: see ``log_between``. log_density: ``log_population`` of the later one. lives: ``chances``.
    after: room for a state.
    """
    predicted(state, frames, process, after)
    same = log_same(after, later, process[3], knows_look, lives[1], lives[2])
    return same - log_density + math.log(lives[0]) + log_unseen


@numba.njit(cache=True, nogil=True, error_model="numpy")
def first_states(seen, process, states):
    """States of paths that begin with each detection, (N, 11)."""
    for n in range(len(seen)):
        begun(seen[n], process, states[n])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def pair_weights(pairs, states, later, log_density, process, lives, knows_look, out):
    """``log_link`` of pairs, into out, (P,): heads and tails, time and log_unseen between them, (P,) each."""
    heads, tails, frames, log_unseen = pairs
    after = np.empty(STATE)
    for p in range(len(heads)):
        i, j = heads[p], tails[p]
        out[p] = log_link(
            states[i], later[j], frames[p], log_unseen[p], log_density[j], process, lives, knows_look, after
        )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def predict_many(states, frames, process, out):
    """States (K, 11) so many frames later, (K,), into out, (K, 11)."""
    for n in range(len(states)):
        predicted(states[n], frames[n], process, out[n])
