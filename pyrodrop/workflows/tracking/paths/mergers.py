"""Droplets that became one, told by their volume; and droplets that became two, which is the same backwards in time.

Two droplets whose rims meet become one of both volumes, r^3 = r1^3 + r2^3, at their common centre of volume. How
probable that is, beside a link of one of them and the end of the other, or the end of both and a beginning, is weighed
by the same weights as links are (``link_weights``). The chance that two rims touch until the next frame is that of two
walks: twice that of their distance being less than the sum of the radii then (the principle of reflection), and 1 where
they overlap already. Two that touch become one with the same probability in each frame.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import expit, log_ndtr

from pyrodrop.workflows.tracking.paths.detections import Detections
from pyrodrop.workflows.tracking.paths.link_weights import chances, doubts, log_link, log_population, seen_of
from pyrodrop.workflows.tracking.paths.linking import Links, Numbers
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
    predicted,
)
from pyrodrop.workflows.tracking.paths.process import Lives, PathProcess
from pyrodrop.workflows.tracking.paths.unseen import Unseen, ends_and_begins, unseen_between, unseen_tables

Array = NDArray[np.float64]

# A merger that is missed by so many standard deviations of where its product should be is none.
_FAR = 6.0
# Readable frames between the last detection of a droplet and the first of what it became, at most.
_LATE = 4
_LEAST_LOG = -700.0
# Times that mergers are weighed, at most: a droplet that merges again and again is disentangled one by one.
_ROUNDS = 5


class Mergers(NamedTuple):
    """Droplets that became one, M times.

    Attributes:
        first, second: last detections of the two, the larger first, (M,).
        product: first detection of what they became, (M,).
        probability: of each merger, (M,).
    """

    first: Int[Numbers, " m"]
    second: Int[Numbers, " m"]
    product: Int[Numbers, " m"]
    probability: Float[Array, " m"]


class _Scene(NamedTuple):
    """All that the weights of a merger hang on."""

    detections: Detections
    process: PathProcess
    numbers: Array
    lives: Lives
    unseen: Unseen
    ahead: Array
    back: Array
    ends: Array
    begins: Array
    log_density: Array
    log_density_without_look: Array
    ordinal: Numbers


def mergers(detections: Detections, process: PathProcess, lives: Lives, links: Links) -> Mergers:
    """Mergers that are more probable than not, in the order of their products, each detection in one of them.

    A radius jumps in a merger, and what the filter says of it for some frames after is wrong, and with it the odds of
    the next merger of the same droplet. So they are weighed again, with the products of those that were found as new
    droplets, until they stay the same.

    Args:
        detections: of all frames.
        process, lives: how droplets move, come and go.
        links: the links; one that leads into a product is a mistake that ``without_mergers`` takes out.
    """
    nothing = np.zeros(0, dtype=np.int64)
    found = Mergers(nothing, nothing, nothing, np.zeros(0))
    for _ in range(_ROUNDS):
        again = _weighed(_scene(detections, process, lives, without_mergers(links, found)), links)
        if all(np.array_equal(a, b) for a, b in zip(again[:3], found[:3], strict=True)):
            return again
        found = again
    return found


def _weighed(scene: _Scene, links: Links) -> Mergers:
    """Mergers by the states of a scene, whose paths may be cut where the links are not."""
    detections = scene.detections
    found: dict[tuple[int, int, int], float] = {}
    trees = [
        cKDTree(scene.back[low:high][:, [X, Y]]) if high > low else None
        for low, high in zip(detections.starts[:-1], detections.starts[1:], strict=True)
    ]
    ends = np.flatnonzero((links.after < 0) & (scene.ordinal < len(detections.readable) - 1))
    near_ends = _by_frame(ends, scene.ordinal)
    for k in ends.tolist():
        following = int(scene.ordinal[k]) + 1
        for place in range(following, min(following + _LATE, len(trees))):
            tree = trees[place]
            if tree is None:
                continue
            reach = _reach(scene, k, place)
            for offset in tree.query_ball_point(scene.ahead[k, [X, Y]], reach):
                j = int(detections.starts[place]) + offset
                i = int(links.before[j])
                partners = [i] if i >= 0 else _other_ends(near_ends, scene, k, j)
                for partner in partners:
                    key = (min(partner, k), max(partner, k), j)
                    if partner != k and key not in found:
                        found[key] = _log_odds(scene, partner, k, j)
    return _chosen(found, scene)


def without_mergers(links: Links, joined: Mergers) -> Links:
    """Links of which none leads into the product of a merger: it is a new droplet."""
    before, after = links.before.copy(), links.after.copy()
    into = before[joined.product]
    after[into[into >= 0]] = -1
    before[joined.product] = -1
    return links._replace(before=before, after=after)


def without_splits(links: Links, parted: Mergers) -> Links:
    """Links of which none leads out of what was split: both parts are new droplets."""
    before, after = links.before.copy(), links.after.copy()
    out = after[parted.product]
    before[out[out >= 0]] = -1
    after[parted.product] = -1
    return links._replace(before=before, after=after)


def meetings(detections: Detections, process: PathProcess, lives: Lives, links: Links) -> float:
    """How often the rims of two droplets touch between a frame and the next, as it is to be expected: what
    ``Lives.merging`` is a share of. Two that overlap for many frames are counted in each of them, as ``_log_odds`` asks
    in each of them whether they have become one.
    """
    scene = _scene(detections, process, lives, links)
    total = 0.0
    room = np.empty(STATE)
    for low, high in zip(detections.starts[:-2], detections.starts[1:-1], strict=True):
        states = scene.ahead[low:high]
        if high - low < 2:
            continue
        predicted(states[0], 1.0, scene.numbers, room)
        step = room[X_VAR] - states[0, X_VAR]
        reach = 2 * states[:, R].max() + _FAR * math.sqrt(2 * (step + float(np.median(states[:, X_VAR]))))
        pairs = cKDTree(states[:, [X, Y]]).query_pairs(reach, output_type="ndarray")
        one, other = states[pairs[:, 0]], states[pairs[:, 1]]
        apart = np.hypot(one[:, X] - other[:, X], one[:, Y] - other[:, Y])
        spread = np.sqrt(one[:, X_VAR] + other[:, X_VAR] + 2 * step)
        total += float(np.exp(_log_meet(apart, one[:, R] + other[:, R], spread)).sum())
    return total


def _scene(detections: Detections, process: PathProcess, lives: Lives, links: Links) -> _Scene:
    n, numbers, seen = len(detections.frame), process.numbers(), seen_of(detections, process)
    ahead, back = np.empty((n, STATE)), np.empty((n, STATE))
    filter_paths(0, n, seen, links.before, detections.frame, numbers, ahead)
    filter_backwards(0, n, seen, links.after, detections.frame, numbers, back)
    unseen = unseen_tables(detections, process, lives)
    over, begin = ends_and_begins(detections, process, unseen)
    # what is alone may be no droplet, and then neither begins nor ends
    noise, _ = doubts(detections, lives)
    first, last = links.before < 0, links.after < 0
    ends = np.where(first, np.logaddexp(begin + over, noise) - begin, over)
    begins = np.where(last, np.logaddexp(begin + over, noise) - over, begin)
    without = log_population(detections._replace(knows_look=False))
    density, ordinal = log_population(detections), detections.ordinal
    return _Scene(detections, process, numbers, lives, unseen, ahead, back, ends, begins, density, without, ordinal)


def _by_frame(numbers: Numbers, ordinal: Numbers) -> dict[int, Numbers]:
    places = ordinal[numbers]
    return {int(place): numbers[places == place] for place in np.unique(places)}


def _other_ends(near_ends: dict[int, Numbers], scene: _Scene, k: int, j: int) -> list[int]:
    """Paths that ended shortly before a detection and near it: what may have become one with ``k``."""
    found: list[int] = []
    for place in range(scene.ordinal[j] - _LATE, scene.ordinal[j]):
        others = near_ends.get(place)
        if others is None:
            continue
        apart = np.hypot(*(scene.ahead[others][:, [X, Y]] - scene.back[j, [X, Y]]).T)
        reach = 2 * scene.back[j, R] + _FAR * np.sqrt(scene.ahead[others][:, X_VAR] + _spread(scene, j))
        found += [int(i) for i in others[apart < reach] if i != k]
    return found


def _spread(scene: _Scene, j: int) -> float:
    """Variance of where a droplet has come to until a detection, at most so many frames after it was last seen."""
    room = np.empty(STATE)
    predicted(scene.back[j], float(_LATE), scene.numbers, room)
    return float(room[X_VAR])


def _reach(scene: _Scene, k: int, place: int) -> float:
    """How far from the last detection of ``k`` its product may lie."""
    room = np.empty(STATE)
    frames = float(scene.detections.readable[place] - scene.detections.frame[k])
    predicted(scene.ahead[k], frames, scene.numbers, room)
    largest = float(scene.detections.radius[scene.detections.starts[place] : scene.detections.starts[place + 1]].max())
    return 2 * largest + _FAR * math.sqrt(2 * room[X_VAR])


def _log_meet(apart: Array, touching: Array, spread: Array) -> Array:
    """Log probability that two rims meet, of centres so far apart that walk relative to one another by ``spread``."""
    return np.asarray(np.minimum(math.log(2) + log_ndtr(-(apart - touching) / spread), 0.0))


def _log_odds(scene: _Scene, i: int, k: int, j: int) -> float:
    """Log odds that i and k have become j, over all that else may have become of the three."""
    one, other, merged = np.empty(STATE), np.empty(STATE), np.empty(STATE)
    frame, lives = scene.detections.frame, scene.lives
    predicted(scene.ahead[i], float(frame[j] - frame[i]), scene.numbers, one)
    predicted(scene.ahead[k], float(frame[j] - frame[k]), scene.numbers, other)
    a, b = max(one[R], 1e-3) ** 3, max(other[R], 1e-3) ** 3
    radius, share = (a + b) ** (1 / 3), a / (a + b)
    for axis, variance in ((X, X_VAR), (Y, Y_VAR)):
        merged[axis] = share * one[axis] + (1 - share) * other[axis]
        merged[variance] = share**2 * one[variance] + (1 - share) ** 2 * other[variance]
    merged[R] = radius
    merged[R_VAR] = (max(one[R], 1e-3) / radius) ** 4 * one[R_VAR] + (max(other[R], 1e-3) / radius) ** 4 * other[R_VAR]
    merged[RATE], merged[R_RATE], merged[RATE_VAR] = 0.0, 0.0, scene.process.rate_sd**2
    merged[LOOK], merged[LOOK_VAR] = 0.0, 1.0
    apart = np.hypot(one[X] - other[X], one[Y] - other[Y])
    spread = math.sqrt(one[X_VAR] + one[Y_VAR] + other[X_VAR] + other[Y_VAR]) / math.sqrt(2)
    # what is missed between the later of the two and j
    missed = scene.ordinal[j] - max(scene.ordinal[i], scene.ordinal[k]) - 1
    both = float(_log_meet(np.array(apart), np.array(one[R] + other[R]), np.array(spread)))
    both += math.log(lives.merging) + math.log(lives.detected) + missed * math.log(1 - lives.detected)
    both += log_same(merged, scene.back[j], scene.process.rate_sd, False) - scene.log_density_without_look[j]
    apiece = [scene.ends[i] + scene.ends[k] + scene.begins[j]]
    for goes, ends in ((i, k), (k, i)):
        apiece.append(_link(scene, goes, j) + scene.ends[ends])
    return max(both, _LEAST_LOG) - float(np.logaddexp.reduce(apiece))


def _link(scene: _Scene, i: int, j: int) -> float:
    frame = scene.detections.frame
    between = unseen_between(scene.detections, scene.process, scene.unseen, np.array([i]), np.array([j]))
    return float(
        log_link(
            scene.ahead[i],
            scene.back[j],
            float(frame[j] - frame[i]),
            between[0],
            scene.log_density[j],
            scene.numbers,
            chances(scene.lives),
            scene.detections.knows_look,
            np.empty(STATE),
        )
    )


def _chosen(found: dict[tuple[int, int, int], float], scene: _Scene) -> Mergers:
    """The mergers that are more probable than not, each detection in one of them."""
    taken: set[int] = set()
    products: set[int] = set()
    rows: list[tuple[int, int, int, float]] = []
    for (i, k, j), odds in sorted(found.items(), key=lambda item: -item[1]):
        if odds <= 0:
            break
        if {i, k} & taken or j in products:
            continue
        taken |= {i, k}
        products.add(j)
        large, small = (i, k) if scene.ahead[i, R] >= scene.ahead[k, R] else (k, i)
        rows.append((large, small, j, float(expit(odds))))
    rows.sort(key=lambda row: row[2])
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4)
    first, second, product = columns[:, :3].astype(np.int64).T
    return Mergers(first, second, product, columns[:, 3])
