"""How probable each link is: other assignments of all frames, drawn from their posterior.

A Gibbs sampler over cuts between frames. At a cut all paths fall into heads, before it, and tails, after it. What the
detections of a head say of its droplet is a state of the filter, what those of a tail say is one of the filter run
backwards; so the posterior of which head goes on in which tail, given all else, is exact (``link_weights``), and
matchings are drawn from it by Metropolis moves that add, remove, move or exchange links (Oh, Russell and Sastry, IEEE
Transactions on Automatic Control 54, 481, 2009), and by others that exchange blocks between two cuts (``blocks``). The
cuts are gone through forwards and backwards, and the filters with them. A pair that has no alternative but its absence
needs no draws.
"""

from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from pyrodrop.workflows.tracking.paths.blocks import exchange_blocks, pair_of
from pyrodrop.workflows.tracking.paths.detections import Detections
from pyrodrop.workflows.tracking.paths.link_weights import (
    DOUBT,
    EDGE,
    LENGTH,
    carry,
    chances,
    doubts,
    log_link,
    log_path,
    log_population,
    seen_of,
)
from pyrodrop.workflows.tracking.paths.linking import Links, Numbers
from pyrodrop.workflows.tracking.paths.path_filter import STATE, filter_backwards, filter_paths
from pyrodrop.workflows.tracking.paths.process import Lives, PathProcess
from pyrodrop.workflows.tracking.paths.unseen import ends_and_begins, unseen_between, unseen_tables

Array = NDArray[np.float64]

# Draws of the links at a cut in each visit, and moves proposed for each of them and each pair that crosses.
_ROUNDS, _MOVES = 4, 3
# A link without alternatives that is e^12 times as probable as its absence is not drawn any more.
_SETTLED = 12.0


class LinkPosterior(NamedTuple):
    """How probable links are.

    Attributes:
        heads, tails: pairs of detections, (E,), as those of ``Links``.
        probability: that the pair is consecutive in one path, (E,).
        spurious: probability that a detection is no droplet, (N,).
    """

    heads: Numbers
    tails: Numbers
    probability: Float[Array, " e"]
    spurious: Float[Array, " n"]


def link_posterior(
    detections: Detections, process: PathProcess, lives: Lives, links: Links, sweeps: int = 40, seed: int = 0
) -> LinkPosterior:
    """How probable each pair's link is, by drawing assignments.

    Args:
        detections: of all frames.
        process, lives: how droplets move, come and go.
        links: where to begin, and which pairs there are.
        sweeps: how often all cuts are gone through forwards and backwards, after a tenth as many to begin with.
        seed: of the draws.

    Returns:
        Probabilities of all pairs, in their order.
    """
    n = len(detections.frame)
    before, after = links.before.copy(), links.after.copy()
    cut_pairs, cut_starts = _pairs_of_cuts(detections.ordinal, links.heads, links.tails, len(detections.readable))
    first_pair = np.searchsorted(links.heads, np.arange(n + 1))
    counts, alone = np.zeros(len(links.heads)), np.zeros(n)
    unseen = unseen_tables(detections, process, lives)
    ends, begins = ends_and_begins(detections, process, unseen)
    noise, alike = doubts(detections, lives)
    scene = _Scene(
        seen_of(detections, process),
        detections.frame,
        detections.ordinal,
        detections.starts,
        log_population(detections),
        ends,
        begins,
        noise,
        alike,
        unseen_between(detections, process, unseen, links.heads, links.tails),
        process.numbers(),
        chances(lives),
        detections.knows_look,
    )
    begin = max(sweeps // 10, 1)
    pairs = (links.heads, links.tails, first_pair, cut_pairs, cut_starts)
    _sample(scene, before, after, pairs, counts, alone, (begin, sweeps), np.random.default_rng(seed))
    return LinkPosterior(links.heads, links.tails, counts / sweeps, alone / sweeps)


class _Scene(NamedTuple):
    """What compiled code takes of detections, pairs and process; densities, weights and odds as logarithms."""

    seen: Array
    frame: Numbers
    ordinal: Numbers
    starts: Numbers
    density: Array
    ends: Array
    begins: Array
    noise: Array
    alike: Array
    unseen: Array
    process: Array
    lives: Array
    knows_look: bool


def _pairs_of_cuts(ordinal: Numbers, heads: Numbers, tails: Numbers, number: int) -> tuple[Numbers, Numbers]:
    """The pairs that cross each cut before a readable frame, one cut after the other, and where each begins."""
    reach = ordinal[tails] - ordinal[heads]
    pair = np.repeat(np.arange(len(heads)), reach)
    step = np.arange(len(pair)) - np.repeat(np.cumsum(reach) - reach, reach)
    cut = ordinal[heads][pair] + 1 + step
    order = np.argsort(cut, kind="stable")
    return pair[order], np.searchsorted(cut[order], np.arange(number + 1))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _gain(scene, e, i, j, states, parts, room):
    """Log weight of a head and a tail that are one path, over that of two."""
    (ahead, back), (head, tail) = states, (parts[0][i], parts[1][j])
    frames = float(scene.frame[j] - scene.frame[i])
    gain = log_link(
        ahead[i],
        back[j],
        frames,
        scene.unseen[e],
        scene.density[j],
        scene.process,
        scene.lives,
        scene.knows_look,
        room,
    )
    length = head[LENGTH] + tail[LENGTH]
    gain += log_path(head[EDGE] + tail[EDGE], (head[DOUBT] + tail[DOUBT]) / length, 0.0, length)
    length = head[LENGTH]
    gain -= log_path(head[EDGE] + scene.ends[i], head[DOUBT] / length, scene.noise[i], length)
    length = tail[LENGTH]
    return gain - log_path(scene.begins[j] + tail[EDGE], tail[DOUBT] / length, scene.noise[j], length)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _visit(scene, cut, before, after, known, pairs, settled, gain, counts, rng):
    """Draw the links across a cut, but for settled pairs; count those into its frame where ``counts`` has room.

    What is counted is the probability of a link given all others, of which the link itself is one draw.
    """
    heads, tails, first_pair, cut_pairs, cut_starts = pairs
    (states, parts), room = known, np.empty(STATE)
    live = np.empty(cut_starts[cut + 1] - cut_starts[cut], np.int64)
    number = 0
    for at in range(cut_starts[cut], cut_starts[cut + 1]):
        e = cut_pairs[at]
        if settled[e]:
            continue
        i, j = heads[e], tails[e]
        if (after[i] >= 0 and scene.ordinal[after[i]] < cut) or (before[j] >= 0 and scene.ordinal[before[j]] >= cut):
            continue
        gain[e] = _gain(scene, e, i, j, states, parts, room)
        live[number] = e
        number += 1
    if number == 0:
        return
    for _ in range(_ROUNDS):
        for _ in range(_MOVES * number):
            _move(live[rng.integers(0, number)], heads, tails, first_pair, before, after, gain, rng)
        if len(counts):
            for at in range(number):
                e = live[at]
                i, j = heads[e], tails[e]
                free = after[i] < 0 and before[j] < 0
                if (free or after[i] == j) and scene.ordinal[j] == cut:
                    counts[e] += 1.0 / (1.0 + np.exp(-gain[e])) / _ROUNDS


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _move(e, heads, tails, first_pair, before, after, gain, rng):
    """Propose to link a pair, or to part it, and take that with Metropolis' probability. Each move is its own inverse's
    equal in the chance of being proposed.
    """
    i, j = heads[e], tails[e]
    j0, i0 = after[i], before[j]
    other = -1
    if j0 == j:
        change = -gain[e]
    else:
        change = gain[e]
        if j0 >= 0:
            change -= gain[pair_of(heads, tails, first_pair, i, j0)]
        if i0 >= 0:
            change -= gain[pair_of(heads, tails, first_pair, i0, j)]
        if j0 >= 0 and i0 >= 0:
            other = pair_of(heads, tails, first_pair, i0, j0)
            if other < 0:
                return
            change += gain[other]
    if change < 0 and rng.random() >= np.exp(change):
        return
    if j0 >= 0:
        before[j0] = -1
    if i0 >= 0:
        after[i0] = -1
    if j0 == j:
        after[i] = -1
        return
    after[i], before[j] = j, i
    if other >= 0:
        after[i0], before[j0] = j0, i0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _count_none(scene, before, after, head, none):
    """Add the probability of each detection that it is no droplet, which is that of its path, given the links."""
    number = len(before)
    carry(0, number, 1, before, scene.begins, scene.alike, head)
    of_path = np.empty(number)
    for n in range(number - 1, -1, -1):
        if after[n] >= 0:
            of_path[n] = of_path[after[n]]
        else:
            edges, length = head[n, EDGE] + scene.ends[n], head[n, LENGTH]
            whole = log_path(edges, head[n, DOUBT] / length, scene.noise[n], length)
            of_path[n] = 1.0 - np.exp(edges - whole)
        none[n] += of_path[n]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sample(scene, before, after, pairs, counts, none, sweeps, rng):
    n, cuts = len(before), len(scene.starts) - 1
    states = (np.empty((n, STATE)), np.empty((n, STATE)))
    parts = (np.empty((n, 3)), np.empty((n, 3)))
    gain, nothing = np.empty(len(pairs[0])), np.empty(0)
    settled = np.zeros(len(gain), np.bool_)
    filter_backwards(0, n, scene.seen, after, scene.frame, scene.process, states[1])
    carry(n - 1, -1, -1, after, scene.ends, scene.alike, parts[1])
    for sweep in range(sweeps[0] + sweeps[1]):
        if sweep == sweeps[0]:
            _settle(pairs, before, after, gain, settled)
        kept = counts if sweep >= sweeps[0] else nothing
        for cut in range(cuts):
            if cut:
                _visit(scene, cut, before, after, (states, parts), pairs, settled, gain, nothing, rng)
            low, high = scene.starts[cut], scene.starts[cut + 1]
            filter_paths(low, high, scene.seen, before, scene.frame, scene.process, states[0])
            carry(low, high, 1, before, scene.begins, scene.alike, parts[0])
        for cut in range(cuts - 1, -1, -1):
            low, high = scene.starts[cut], scene.starts[cut + 1]
            filter_backwards(low, high, scene.seen, after, scene.frame, scene.process, states[1])
            carry(high - 1, low - 1, -1, after, scene.ends, scene.alike, parts[1])
            if cut:
                exchange_blocks(scene, cut, before, after, (states, parts), pairs, settled, rng)
                _visit(scene, cut, before, after, (states, parts), pairs, settled, gain, kept, rng)
        if sweep >= sweeps[0]:
            _count_none(scene, before, after, parts[0], none)
    for e in range(len(gain)):
        if settled[e]:
            counts[e] = sweeps[1] / (1.0 + np.exp(-gain[e]))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _settle(pairs, before, after, gain, settled):
    """Mark the links whose detections have no other pair, and which are surer than ``_SETTLED``."""
    heads, tails, first_pair = pairs[0], pairs[1], pairs[2]
    into = np.zeros(len(before), np.int64)
    for e in range(len(gain)):
        into[tails[e]] += 1
    for e in range(len(gain)):
        i, j = heads[e], tails[e]
        only = first_pair[i + 1] - first_pair[i] == 1 and into[j] == 1
        settled[e] = only and after[i] == j and gain[e] > _SETTLED
