"""Detections linked into paths, frame by frame: costs by the model of paths, the assignment by SciPy."""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from pyrodrop.workflows.tracking.paths import path_filter as states_of
from pyrodrop.workflows.tracking.paths.detections import Detections
from pyrodrop.workflows.tracking.paths.link_weights import (
    chances,
    doubts,
    first_states,
    log_population,
    pair_weights,
    predict_many,
    seen_of,
)
from pyrodrop.workflows.tracking.paths.path_filter import STATE, filter_paths
from pyrodrop.workflows.tracking.paths.process import Lives, PathProcess
from pyrodrop.workflows.tracking.paths.unseen import ends_and_begins, unseen_between, unseen_tables

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

# A link that is e^-12 times as probable as its absence, 6 in a million, is not looked at.
_MARGIN = 12.0
# A path that was not detected for so long that the chance of it is e^-_MARGIN is over, unless it may be beyond the
# edge; and never longer than this.
_MOST_MISSED = 50
# A path's end is near the edge where the edge makes it so much more probable, as a logarithm.
_NEAR = 0.01


class Links(NamedTuple):
    """Which detections follow which, N of them.

    Attributes:
        before, after: the detection before and after each in its path, -1 for none, (N,).
        heads, tails: pairs of detections that may be linked, E of them, sorted by the first, then the second.
    """

    before: Int[Numbers, " n"]
    after: Int[Numbers, " n"]
    heads: Int[Numbers, " e"]
    tails: Int[Numbers, " e"]

    @property
    def path(self) -> Int[Numbers, " n"]:
        """Number of each detection's path, in the order in which paths begin, (N,)."""
        return path_numbers(self.before)

    def pair_numbers(self, heads: Int[Numbers, " p"], tails: Int[Numbers, " p"]) -> Int[Numbers, " p"]:
        """Number of each of these pairs among those that may be linked, -1 where it is none of them, (P,)."""
        return pair_numbers(self.heads, self.tails, heads, tails)


def pair_numbers(
    all_heads: Int[Numbers, " e"], all_tails: Int[Numbers, " e"], heads: Int[Numbers, " p"], tails: Int[Numbers, " p"]
) -> Int[Numbers, " p"]:
    """Number of each pair among all, which are sorted by the first, then the second; -1 where it is none, (P,)."""
    if not len(all_heads):
        return np.full(len(heads), -1, dtype=np.int64)
    wide = int(all_tails.max()) + 1
    keys = all_heads * wide + all_tails
    asked = heads * wide + tails
    at = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.asarray(np.where((keys[at] == asked) & (tails < wide) & (tails >= 0), at, -1))


def path_numbers(before: Int[Numbers, " n"]) -> Int[Numbers, " n"]:
    """Number of each detection's path, in the order in which paths begin, (N,); a detection follows a smaller one."""
    begins = before < 0
    number = np.where(begins, np.cumsum(begins) - 1, -1)
    root = np.where(begins, np.arange(len(before)), before)
    while (root != root[root]).any():
        root = root[root]
    return np.asarray(number[root])


def link(detections: Detections, process: PathProcess, lives: Lives) -> Links:
    """Link detections into paths.

    Each frame's detections are assigned to the paths that there are by then, so that the product of the weights is
    greatest (``link_weights``): of links, of beginnings and of ends. No radius of search is asked for: a pair is
    looked at where its link is not e^12 times less probable than that both are unlinked.
    """
    n = len(detections.frame)
    forward = _Forward(detections, process, lives)
    before = np.full(n, -1, dtype=np.int64)
    after = np.full(n, -1, dtype=np.int64)
    starts, heads = detections.starts, np.zeros(0, dtype=np.int64)
    rivalled = np.zeros(n, bool)
    found: list[tuple[Numbers, Numbers]] = []
    for place in range(len(detections.readable)):
        tails = np.arange(starts[place], starts[place + 1])
        if len(tails) and len(heads):
            first, second, gain = forward.candidates(heads, tails)
            found.append((first, second))
            rivals = np.bincount(second - tails[0], minlength=len(tails))
            free = after[first] < 0
            first, second, gain = first[free], second[free], gain[free]
            chosen = _assigned(first, second, gain)
            before[second[chosen]] = first[chosen]
            after[first[chosen]] = second[chosen]
            # its droplet may have been missed here, and what it took be another's: later ones are pairs of it, too
            rivalled[first[chosen]] = rivals[second[chosen] - tails[0]] > 1
        forward.take_in(tails, before)
        unseen = place + 1 - detections.ordinal[heads] if len(heads) else heads
        may_come = (unseen <= forward.most_missed) | (forward.near_edge[heads] & (unseen <= _MOST_MISSED))
        # one that took a rival's detection is looked at for one frame more: twice in a row would be rare, and dear
        goes_on = np.where(after[heads] < 0, may_come, rivalled[heads] & (unseen <= 2))
        heads = np.concatenate([heads[goes_on], tails])
    first = np.concatenate([pair[0] for pair in found]) if found else np.zeros(0, dtype=np.int64)
    second = np.concatenate([pair[1] for pair in found]) if found else np.zeros(0, dtype=np.int64)
    order = np.lexsort((second, first))
    return Links(before, after, first[order], second[order])


class _Forward:
    """What is known of all detections up to a frame."""

    def __init__(self, detections: Detections, process: PathProcess, lives: Lives) -> None:
        n = len(detections.frame)
        self.detections, self.lives = detections, chances(lives)
        self.path_process, self.process = process, process.numbers()
        self.seen = seen_of(detections, process)
        self.states = np.empty((n, STATE))
        self.first = np.empty((n, STATE))
        first_states(self.seen, self.process, self.first)
        self.log_density = log_population(detections)
        self.unseen = unseen_tables(detections, process, lives)
        self.over, begin = ends_and_begins(detections, process, self.unseen)
        self.near_edge = self.over > self.unseen.inner[0, detections.frame] + _NEAR
        noise, self.alike = doubts(detections, lives)
        # a path goes on, or is what was seen once
        self.alone = np.logaddexp(begin + np.logaddexp(0, self.alike), noise)
        self.begin, self.noise = begin, noise
        # of the path that a detection is the last of by now: how many it has, and the sum of their doubts
        self.length, self.doubt = np.ones(n), self.alike.copy()
        self.end = np.empty(n)
        missing = -math.log(max(1.0 - lives.detected, 1e-9))
        self.most_missed = min(1 + math.ceil(_MARGIN / missing), _MOST_MISSED)

    def take_in(self, tails: Numbers, before: Numbers) -> None:
        """Write states and weights of an end of the detections of a frame, after those before them are known."""
        if not len(tails):
            return
        filter_paths(tails[0], tails[-1] + 1, self.seen, before, self.detections.frame, self.process, self.states)
        linked = before[tails] >= 0
        heads = before[tails[linked]]
        self.length[tails[linked]] += self.length[heads]
        self.doubt[tails[linked]] += self.doubt[heads]
        alike = np.logaddexp(0, self.doubt[tails] / self.length[tails])
        alone = np.logaddexp(self.begin[tails] + self.over[tails] + alike, self.noise[tails]) - self.begin[tails]
        self.end[tails] = np.where(linked, self.over[tails] + alike, alone)

    def candidates(self, heads: Numbers, tails: Numbers) -> tuple[Numbers, Numbers, Array]:
        """Pairs that may be linked, and the log weight of a link over that of none, for each."""
        frame = self.detections.frame
        frames = (frame[tails[0]] - frame[heads]).astype(np.float64)
        ahead = np.empty((len(heads), STATE))
        predict_many(self.states[heads], frames, self.process, ahead)
        reach = self._reach(ahead, heads, tails)
        tree = cKDTree(self.seen[tails][:, :2])
        near = tree.query_ball_point(ahead[:, [states_of.X, states_of.Y]], reach)
        lengths = np.array([len(each) for each in near], dtype=np.int64)
        which = np.repeat(np.arange(len(heads)), lengths)
        chained = [number for each in near for number in each]
        first, second = heads[which], tails[np.array(chained, dtype=np.int64)]
        weight = np.empty(len(first))
        known = (self.log_density, self.process, self.lives, self.detections.knows_look)
        pair_weights((first, second, frames[which], np.zeros(len(first))), self.states, self.first, *known, weight)
        doubt = (self.doubt[first] + self.alike[second]) / (self.length[first] + 1)
        gain = weight + np.logaddexp(0, doubt) - self.end[first] - self.alone[second]
        kept = gain > -_MARGIN
        first, second, gain = first[kept], second[kept], gain[kept]
        gain += unseen_between(self.detections, self.path_process, self.unseen, first, second)
        kept = gain > -_MARGIN
        return first[kept], second[kept], gain[kept]

    def _reach(self, ahead: Array, heads: Numbers, tails: Numbers) -> Array:
        """How far from where each head is expected a tail may be for its link to be within the margin, (H,), px."""
        seen = self.seen[tails]
        spread = np.maximum(ahead[:, states_of.X_VAR], ahead[:, states_of.Y_VAR]) + seen[:, 4:6].max()
        # the best that radius and look could say, and the worst that the alternative could
        best = -0.5 * np.log(2 * math.pi * (ahead[:, states_of.R_VAR] + seen[:, 6].min()))
        if self.detections.knows_look:
            best -= 0.5 * np.log(2 * math.pi * (ahead[:, states_of.LOOK_VAR] + seen[:, 7].min()))
        best -= self.log_density[tails].min() + np.log(2 * math.pi * spread)
        best -= self.end[heads] + self.alone[tails].min() - np.logaddexp(0, self.alike[tails].max())
        return np.asarray(np.sqrt(2 * spread * np.maximum(best + _MARGIN, 0.0)))


def _assigned(first: Numbers, second: Numbers, gain: Array) -> Bool[NDArray[np.bool_], " p"]:
    """Which pairs an assignment takes whose sum of gains is greatest, (P,)."""
    chosen = np.zeros(len(gain), bool)
    good = np.flatnonzero(gain > 0)
    if not len(good):
        return chosen
    rows, row = np.unique(first[good], return_inverse=True)
    columns, column = np.unique(second[good], return_inverse=True)
    # rows and columns as the nodes of one graph, whose parts are assigned each by itself
    nodes = len(rows) + len(columns)
    graph = coo_array((np.ones(len(good)), (row, column + len(rows))), shape=(nodes, nodes))
    _, part = connected_components(graph, directed=False)
    part_of = part[row]
    size = np.bincount(part_of)
    chosen[good[size[part_of] == 1]] = True
    order = np.argsort(part_of, kind="stable")
    bounds = np.flatnonzero(np.diff(part_of[order], prepend=-1, append=-2))
    for low, high in pairwise(bounds):
        if high - low > 1:
            pairs = order[low:high]
            chosen[good[pairs[_best(row[pairs], column[pairs], gain[good[pairs]])]]] = True
    return chosen


def _best(row: Numbers, column: Numbers, gain: Array) -> Bool[NDArray[np.bool_], " p"]:
    """The pairs of one part that its assignment takes."""
    _, r = np.unique(row, return_inverse=True)
    _, c = np.unique(column, return_inverse=True)
    cost: Float[Array, "r c"] = np.zeros((r.max() + 1, c.max() + 1))
    cost[r, c] = -gain
    taken = np.zeros(cost.shape, bool)
    taken[linear_sum_assignment(cost)] = True
    return np.asarray(taken[r, c])
