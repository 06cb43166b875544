"""Droplets that became one, told by their volume; and droplets that became two, which is the same backwards in time.

Any path that ends may have become one with another that goes on, or ends too, near by. All such triples are weighed
(``odds``), and those that are more probable than not are taken, the most probable ones first.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import expit

from pyrodrop.workflows.tracking.paths.detections import Detections
from pyrodrop.workflows.tracking.paths.jumps import jumps, without_jumps
from pyrodrop.workflows.tracking.paths.linking import Links
from pyrodrop.workflows.tracking.paths.mergers.odds import Scene, later, log_gains, log_meet, log_odds, scene_of
from pyrodrop.workflows.tracking.paths.path_filter import STATE, X_VAR, R, X, Y, predicted
from pyrodrop.workflows.tracking.paths.process import Lives, PathProcess

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

# A merger that is missed by so many standard deviations of where its product should be is none.
_FAR = 6.0
# Readable frames between the last detection of a droplet and the first of what it became, at most.
_LATE = 4
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
    jumped = jumps(detections, process, lives, links)
    tails = np.flatnonzero(jumped)
    heads = links.before[tails]
    steady = _linked_anew(detections, process, lives, without_jumps(links, jumped), heads, tails)
    grown = heads[detections.radius[tails] > detections.radius[heads]]
    # what ends, or jumps to a larger radius, which may be what it has become
    ends = np.union1d(np.flatnonzero(links.after < 0), grown)
    nothing = np.zeros(0, dtype=np.int64)
    found = Mergers(nothing, nothing, nothing, np.zeros(0))
    for _ in range(_ROUNDS):
        scene = scene_of(detections, process, lives, without_mergers(steady, found), (heads, tails))
        triples = _triples(scene, steady, ends)
        again = _chosen(triples, log_odds(scene, *triples.T), scene)
        if all(np.array_equal(a, b) for a, b in zip(again[:3], found[:3], strict=True)):
            return again
        found = again
    return found


def _linked_anew(
    detections: Detections, process: PathProcess, lives: Lives, steady: Links, heads: Numbers, tails: Numbers
) -> Links:
    """Links to where a radius jumped, from what else may go on there without a jump, the most probable ones first.

    heads, tails: of the links across jumps, which were cut.
    """
    able = np.isin(steady.tails, tails) & (steady.after[steady.heads] < 0)
    able &= ~np.isin(np.arange(len(able)), steady.pair_numbers(heads, tails))
    first, second = steady.heads[able], steady.tails[able]
    gain = log_gains(scene_of(detections, process, lives, steady), first, second)
    before, after = steady.before.copy(), steady.after.copy()
    for at in np.argsort(-gain, kind="stable"):
        i, j = first[at], second[at]
        if gain[at] > 0 and after[i] < 0 and before[j] < 0:
            after[i], before[j] = j, i
    return steady._replace(before=before, after=after)


def _triples(scene: Scene, links: Links, ends: Int[Numbers, " e"]) -> Int[Numbers, "m 3"]:
    """Two droplets, of which one or both end, and a detection that they may have become; no triple twice, sorted."""
    starts, readable = scene.detections.starts, scene.detections.readable
    frames = list(pairwise(starts))
    trees = [cKDTree(scene.back[low:high][:, [X, Y]]) if high > low else None for low, high in frames]
    largest = np.array([scene.detections.radius[low:high].max(initial=0.0) for low, high in frames])
    ends = ends[scene.ordinal[ends] < len(readable) - 1]
    near_ends = _by_frame(ends, scene.ordinal)
    found: set[tuple[int, int, int]] = set()
    for late in range(1, _LATE + 1):
        those = ends[scene.ordinal[ends] + late < len(readable)]
        places = scene.ordinal[those] + late
        ahead = later(scene, those, readable[places] - scene.detections.frame[those])
        reach = 2 * largest[places] + _FAR * np.sqrt(2 * ahead[:, X_VAR])
        for k, place, far in zip(those.tolist(), places.tolist(), reach.tolist(), strict=True):
            tree = trees[place]
            for offset in [] if tree is None else tree.query_ball_point(scene.ahead[k, [X, Y]], far):
                j = int(starts[place]) + offset
                i = int(links.before[j])
                partners = [i] if i >= 0 else _other_ends(near_ends, scene, k, j)
                found |= {(min(i, k), max(i, k), j) for i in partners if i != k}
    return np.array(sorted(found), dtype=np.int64).reshape(-1, 3)


def without_mergers(links: Links, joined: Mergers) -> Links:
    """Links of which none leads into the product of a merger, which is a new droplet, or on from what became of it.

    Where a link that is cut led past the product, from one of the two to a later detection, the product goes on there.
    """
    before, after = links.before.copy(), links.after.copy()
    into = before[joined.product]
    after[into[into >= 0]] = -1
    before[joined.product] = -1
    parents, products = np.concatenate([joined.first, joined.second]), np.tile(joined.product, 2)
    later_ones = after[parents]
    known = links.pair_numbers(products, later_ones) >= 0
    for parent, product, on, able in zip(parents, products, later_ones, known, strict=True):
        if on >= 0:
            after[parent], before[on] = -1, -1
            if able and after[product] < 0:
                after[product], before[on] = on, product
    return links._replace(before=before, after=after)


def meetings(detections: Detections, process: PathProcess, lives: Lives, links: Links) -> float:
    """How often the rims of two droplets touch between a frame and the next, as it is to be expected: what
    ``Lives.merging`` is a share of. Two that overlap for many frames are counted in each of them, as ``_log_odds`` asks
    in each of them whether they have become one.
    """
    scene = scene_of(detections, process, lives, links)
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
        total += float(np.exp(log_meet(apart, one[:, R] + other[:, R], spread)).sum())
    return total


def _by_frame(numbers: Numbers, ordinal: Numbers) -> dict[int, Numbers]:
    places = ordinal[numbers]
    return {int(place): numbers[places == place] for place in np.unique(places)}


def _other_ends(near_ends: dict[int, Numbers], scene: Scene, k: int, j: int) -> list[int]:
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


def _spread(scene: Scene, j: int) -> float:
    """Variance of where a droplet has come to until a detection, at most so many frames after it was last seen."""
    room = np.empty(STATE)
    predicted(scene.back[j], float(_LATE), scene.numbers, room)
    return float(room[X_VAR])


def _chosen(triples: Int[Numbers, "m 3"], odds: Float[Array, " m"], scene: Scene) -> Mergers:
    """The mergers that are more probable than not, each detection in one of them."""
    taken: set[int] = set()
    products: set[int] = set()
    rows: list[tuple[int, int, int, float]] = []
    for at in np.argsort(-odds, kind="stable"):
        if odds[at] <= 0:
            break
        i, k, j = triples[at].tolist()
        if {i, k} & taken or j in products:
            continue
        taken |= {i, k}
        products.add(j)
        large, small = (i, k) if scene.ahead[i, R] >= scene.ahead[k, R] else (k, i)
        rows.append((large, small, j, float(expit(odds[at]))))
    rows.sort(key=lambda row: row[2])
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4)
    first, second, product = columns[:, :3].astype(np.int64).T
    return Mergers(first, second, product, columns[:, 3])
