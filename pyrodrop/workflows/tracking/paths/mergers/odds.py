"""How probable it is that two droplets have become a third: by their volume and where their rims met, compiled in bulk.

Two droplets whose rims meet become one of both volumes, r^3 = r1^3 + r2^3, at their common centre of volume. How
probable that is, beside a link of one of them and the end of the other, or the end of both and a beginning, is weighed
by the same weights as links are (``link_weights``). The chance that two rims touch until the next frame is that of two
walks: twice that of their distance being less than the sum of the radii then (the principle of reflection), and 1 where
they overlap already. Two that touch become one with the same probability in each frame.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.special import log_ndtr

from pyrodrop.workflows.tracking.paths.detections import Detections
from pyrodrop.workflows.tracking.paths.link_weights import (
    DOUBT,
    LENGTH,
    carry,
    chances,
    doubts,
    log_population,
    pair_weights,
    predict_many,
    seen_of,
)
from pyrodrop.workflows.tracking.paths.linking import Links
from pyrodrop.workflows.tracking.paths.path_filter import (
    LOOK,
    LOOK_VAR,
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
    filter_backwards,
    filter_paths,
    log_same,
)
from pyrodrop.workflows.tracking.paths.process import Lives, PathProcess
from pyrodrop.workflows.tracking.paths.unseen import Unseen, ends_and_begins, unseen_between, unseen_tables

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

_LEAST_LOG = -700.0
_LEAST_RADIUS = 1e-3


class Scene(NamedTuple):
    """All that the odds of a merger hang on.

    Attributes:
        detections, process, lives, unseen: as for links.
        numbers: ``PathProcess.numbers``.
        ahead, back: states of the filter at each detection, forwards and backwards, (N, 11).
        ends, begins: log weights of the end and the beginning of a path at each detection, (N,).
        none: log odds that what was seen up to each detection of its path is no droplet, (N,).
        log_density: of droplets with each one's radius and look; log_density_of_radius: with its radius, (N,).
        ordinal: place of each one's frame among the readable ones, (N,).
        onto, out_of: the detection after or before each, across a jump of its radius, -1 for none, (N,).
        jump_weight: log weight of the link across the jump to each, (N,).
    """

    detections: Detections
    process: PathProcess
    numbers: Float[Array, " 6"]
    lives: Lives
    unseen: Unseen
    ahead: Float[Array, "n 11"]
    back: Float[Array, "n 11"]
    ends: Float[Array, " n"]
    begins: Float[Array, " n"]
    none: Float[Array, " n"]
    log_density: Float[Array, " n"]
    log_density_of_radius: Float[Array, " n"]
    ordinal: Int[Numbers, " n"]
    onto: Int[Numbers, " n"]
    out_of: Int[Numbers, " n"]
    jump_weight: Float[Array, " n"]


def scene_of(
    detections: Detections,
    process: PathProcess,
    lives: Lives,
    links: Links,
    jumped: tuple[Numbers, Numbers] | None = None,
) -> Scene:
    """What the odds of mergers hang on.

    Args:
        detections, process, lives: as for links.
        links: those that are sure enough for the filter to go along them.
        jumped: heads and tails of links that were cut because the radius jumps across them, (J,) each: they remain what
            else may have become of the two.
    """
    n, numbers, seen = len(detections.frame), process.numbers(), seen_of(detections, process)
    ahead, back = np.empty((n, STATE)), np.empty((n, STATE))
    filter_paths(0, n, seen, links.before, detections.frame, numbers, ahead)
    filter_backwards(0, n, seen, links.after, detections.frame, numbers, back)
    unseen = unseen_tables(detections, process, lives)
    over, begin = ends_and_begins(detections, process, unseen)
    # what is alone may be no droplet, and then neither begins nor ends
    noise, alike = doubts(detections, lives)
    parts = np.empty((n, 3))
    carry(0, n, 1, links.before, begin, alike, parts)
    first, last = links.before < 0, links.after < 0
    ends = np.where(first, np.logaddexp(begin + over, noise) - begin, over)
    begins = np.where(last, np.logaddexp(begin + over, noise) - over, begin)
    of_radius = log_population(detections._replace(knows_look=False))
    density, ordinal = log_population(detections), detections.ordinal
    none = parts[:, DOUBT] / parts[:, LENGTH]
    none = np.where(first, np.logaddexp(none, noise - begin), none)
    known = (numbers, lives, unseen, ahead, back, ends, begins, none, density, of_radius, ordinal)
    nothing = np.full(n, -1, dtype=np.int64)
    scene = Scene(detections, process, *known, nothing, nothing, np.zeros(n))
    if jumped is None:
        return scene
    heads, tails = jumped
    onto, out_of, weight = nothing.copy(), nothing.copy(), np.zeros(n)
    onto[heads], out_of[tails] = tails, heads
    weight[tails] = _links(scene, heads, tails)
    return scene._replace(onto=onto, out_of=out_of, jump_weight=weight)


def log_odds(scene: Scene, first: Numbers, second: Numbers, product: Numbers) -> Float[Array, " m"]:
    """Log odds that each two have become the third, over all that else may have become of the three, (M,)."""
    frame, lives, ordinal = scene.detections.frame, scene.lives, scene.ordinal
    one, other = (later(scene, parent, frame[product] - frame[parent]) for parent in (first, second))
    apart = np.hypot(one[:, X] - other[:, X], one[:, Y] - other[:, Y])
    spread = np.sqrt((one[:, X_VAR] + one[:, Y_VAR] + other[:, X_VAR] + other[:, Y_VAR]) / 2)
    # frames in which the one that was seen last was there and the other was missed, and those in which the product was
    last = np.maximum(ordinal[first], ordinal[second])
    missed = ordinal[product] - last - 1 + np.abs(ordinal[first] - ordinal[second])
    both = log_meet(apart, one[:, R] + other[:, R], spread)
    both += math.log(lives.detected) + missed * math.log(1 - lives.detected)
    same = np.empty(len(first))
    _same(_joined(one, other, scene.process.rate_sd), scene.back[product], scene.process.rate_sd, same)
    both += same - scene.log_density_of_radius[product]
    ends = [_ends(scene, parent, product) for parent in (first, second)]
    apiece = ends[0] + ends[1] + _begins(scene, first, second, product)
    for goes_on, end in ((first, ends[1]), (second, ends[0])):
        apiece = np.logaddexp(apiece, _links(scene, goes_on, product) + end)
    # or one, whose centre lay within the other, was none but a piece of that: by itself it takes the place of both
    larger = np.where(one[:, R] > other[:, R], one[:, R_VAR], other[:, R_VAR])
    within = log_ndtr((np.maximum(one[:, R], other[:, R]) - apart) / np.sqrt(spread**2 + larger))
    apiece = np.logaddexp(apiece, both + within + np.logaddexp(scene.none[first], scene.none[second]))
    return np.asarray(np.maximum(both + math.log(lives.merging), _LEAST_LOG) - apiece)


def log_gains(scene: Scene, heads: Numbers, tails: Numbers) -> Float[Array, " p"]:
    """Log weights of links over those of an end and a beginning, (P,)."""
    return np.asarray(_links(scene, heads, tails) - scene.ends[heads] - scene.begins[tails])


def _ends(scene: Scene, parent: Numbers, product: Numbers) -> Float[Array, " m"]:
    """Log weights of a path that ends, or goes on across a jump to another detection than the product, (M,)."""
    onto = scene.onto[parent]
    on = np.where((onto >= 0) & (onto != product), scene.jump_weight[onto] - scene.begins[onto], -np.inf)
    return np.logaddexp(scene.ends[parent], on)


def _begins(scene: Scene, first: Numbers, second: Numbers, product: Numbers) -> Float[Array, " m"]:
    """Log weights of a path that begins, or came across a jump from another detection than the two, (M,)."""
    out_of = scene.out_of[product]
    other = (out_of >= 0) & (out_of != first) & (out_of != second)
    return np.logaddexp(
        scene.begins[product], np.where(other, scene.jump_weight[product] - scene.ends[out_of], -np.inf)
    )


def later(scene: Scene, which: Numbers, frames: Numbers) -> Float[Array, "m 11"]:
    """States of detections so many frames later."""
    states = np.empty((len(which), STATE))
    predict_many(scene.ahead[which], frames.astype(np.float64), scene.numbers, states)
    return states


def log_meet(apart: Array, touching: Array, spread: Array) -> Array:
    """Log probability that two rims meet, of centres so far apart that walk relative to one another by ``spread``."""
    return np.asarray(np.minimum(math.log(2) + log_ndtr(-(apart - touching) / spread), 0.0))


def _joined(one: Array, other: Array, rate_sd: float) -> Float[Array, "m 11"]:
    """States of what pairs of droplets become: both volumes at their common centre; the rate and the look are new."""
    joined = np.empty_like(one)
    radii = [np.maximum(each[:, R], _LEAST_RADIUS) for each in (one, other)]
    radius = np.cbrt(radii[0] ** 3 + radii[1] ** 3)
    share = (radii[0] / radius) ** 3
    for axis, variance in ((X, X_VAR), (Y, Y_VAR)):
        joined[:, axis] = share * one[:, axis] + (1 - share) * other[:, axis]
        joined[:, variance] = share**2 * one[:, variance] + (1 - share) ** 2 * other[:, variance]
    joined[:, R] = radius
    joined[:, R_VAR] = (radii[0] / radius) ** 4 * one[:, R_VAR] + (radii[1] / radius) ** 4 * other[:, R_VAR]
    joined[:, RATE], joined[:, R_RATE], joined[:, RATE_VAR] = 0.0, 0.0, rate_sd**2
    joined[:, LOOK], joined[:, LOOK_VAR] = 0.0, 1.0
    return joined


def _links(scene: Scene, heads: Numbers, tails: Numbers) -> Float[Array, " m"]:
    detections, weight = scene.detections, np.empty(len(heads))
    between = unseen_between(detections, scene.process, scene.unseen, heads, tails)
    frames = (detections.frame[tails] - detections.frame[heads]).astype(np.float64)
    known = (scene.log_density, scene.numbers, chances(scene.lives), detections.knows_look)
    pair_weights((heads, tails, frames, between), scene.ahead, scene.back, *known, weight)
    return weight


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _same(after, back, rate_sd, out):
    """``log_same`` of states, without their looks, into out, (M,)."""
    for m in range(len(out)):
        out[m] = log_same(after[m], back[m], rate_sd, False)
