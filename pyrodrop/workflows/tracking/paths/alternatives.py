"""How probable each link is: other assignments of all frames, drawn from their posterior.

A Gibbs sampler over cuts between frames. At a cut all paths fall into heads, before it, and tails, after it. What the
detections of a head say of its droplet is a state of the filter, what those of a tail say is one of the filter run
backwards; so the posterior of which head goes on in which tail, given all else, is exact (``link_weights``), and
matchings are drawn from it by Metropolis moves that add, remove, move or exchange links (Oh, Russell and Sastry, IEEE
Transactions on Automatic Control 54, 481, 2009). The cuts are gone through forwards and backwards, and the filters with
them. A pair that has no alternative but its absence needs no draws.
"""

from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from pyrodrop.workflows.tracking.paths.detections import Detections
from pyrodrop.workflows.tracking.paths.link_weights import (
    chances,
    log_edge,
    log_link,
    log_population,
    seen_of,
    spurious_odds,
)
from pyrodrop.workflows.tracking.paths.linking import Links, Numbers
from pyrodrop.workflows.tracking.paths.path_filter import STATE, filter_backwards, filter_paths
from pyrodrop.workflows.tracking.paths.process import Lives, PathProcess

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
    scene = _Scene(
        seen_of(detections, process),
        detections.frame,
        detections.ordinal,
        detections.starts,
        log_population(detections),
        np.log(spurious_odds(detections, lives)),
        process.numbers(),
        process.drifted,
        chances(lives),
        np.array(detections.size, dtype=np.float64),
        detections.knows_look,
    )
    begin = max(sweeps // 10, 1)
    pairs = (links.heads, links.tails, first_pair, cut_pairs, cut_starts)
    _sample(scene, before, after, pairs, counts, alone, (begin, sweeps), np.random.default_rng(seed))
    return LinkPosterior(links.heads, links.tails, counts / sweeps, alone / sweeps)


class _Scene(NamedTuple):
    """What compiled code takes of the detections and the process."""

    seen: Array
    frame: Numbers
    ordinal: Numbers
    starts: Numbers
    log_density: Array
    log_spurious: Array
    process: Array
    drifted: Array
    lives: Array
    size: Array
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
def _edge(scene, state, n, backwards):
    """Log weight of the beginning or the end of a path at a detection."""
    t = scene.frame[n]
    other = max(t - 1, 0) if backwards else min(t + 1, len(scene.drifted) - 1)
    further = scene.ordinal[n] if backwards else len(scene.starts) - 2 - scene.ordinal[n]
    return log_edge(
        state,
        scene.drifted[other, 0] - scene.drifted[t, 0],
        scene.drifted[other, 1] - scene.drifted[t, 1],
        scene.drifted[t, 0],
        scene.drifted[t, 1],
        scene.size,
        scene.lives[2] if backwards else scene.lives[1],
        scene.lives[0],
        further,
        scene.process,
    )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _log_sum(a, b):
    high = max(a, b)
    return high + np.log(np.exp(a - high) + np.exp(b - high))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _unlinked(scene, ahead, back, n, before, after, is_head):
    """Log weight of a head that ends, or a tail that begins, relative to what it has if it is linked.

    A path of one detection may be no droplet.
    """
    if is_head:
        end = _edge(scene, ahead[n], n, False)
        if before[n] >= 0:
            return end
        other = _edge(scene, ahead[n], n, True)
        return _log_sum(other + end, scene.log_spurious[n]) - other
    begin = _edge(scene, back[n], n, True)
    if after[n] >= 0:
        return begin
    other = _edge(scene, back[n], n, False)
    return _log_sum(begin + other, scene.log_spurious[n]) - other


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _pair_of(heads, tails, first_pair, i, j):
    """Number of the pair (i, j), or -1."""
    for e in range(first_pair[i], first_pair[i + 1]):
        if tails[e] == j:
            return e
    return -1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _visit(scene, cut, before, after, states, pairs, settled, gain, counts, rng):
    """Draw the links across a cut, but for settled pairs; count those into its frame where ``counts`` has room."""
    heads, tails, first_pair, cut_pairs, cut_starts = pairs
    ahead, back = states
    room = np.empty(STATE)
    live = np.empty(cut_starts[cut + 1] - cut_starts[cut], np.int64)
    number = 0
    for at in range(cut_starts[cut], cut_starts[cut + 1]):
        e = cut_pairs[at]
        if settled[e]:
            continue
        i, j = heads[e], tails[e]
        if (after[i] >= 0 and scene.ordinal[after[i]] < cut) or (before[j] >= 0 and scene.ordinal[before[j]] >= cut):
            continue
        frames, missed = scene.frame[j] - scene.frame[i], scene.ordinal[j] - scene.ordinal[i] - 1
        gain[e] = log_link(
            ahead[i],
            back[j],
            float(frames),
            missed,
            scene.log_density[j],
            scene.process,
            scene.lives,
            scene.knows_look,
            room,
        )
        gain[e] -= _unlinked(scene, ahead, back, i, before, after, True)
        gain[e] -= _unlinked(scene, ahead, back, j, before, after, False)
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
                if after[heads[e]] == tails[e] and scene.ordinal[tails[e]] == cut:
                    counts[e] += 1.0 / _ROUNDS


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
            change -= gain[_pair_of(heads, tails, first_pair, i, j0)]
        if i0 >= 0:
            change -= gain[_pair_of(heads, tails, first_pair, i0, j)]
        if j0 >= 0 and i0 >= 0:
            other = _pair_of(heads, tails, first_pair, i0, j0)
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
def _count_alone(scene, ahead, before, after, alone):
    """Add the probability of each detection that it is no droplet, given the links."""
    for n in range(len(before)):
        if before[n] < 0 and after[n] < 0:
            both = _edge(scene, ahead[n], n, True) + _edge(scene, ahead[n], n, False)
            alone[n] += 1.0 / (1.0 + np.exp(both - scene.log_spurious[n]))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sample(scene, before, after, pairs, counts, alone, sweeps, rng):
    n, cuts = len(before), len(scene.starts) - 1
    ahead, back = np.empty((n, STATE)), np.empty((n, STATE))
    gain, nothing = np.empty(len(pairs[0])), np.empty(0)
    settled = np.zeros(len(gain), np.bool_)
    filter_backwards(0, n, scene.seen, after, scene.frame, scene.process, back)
    for sweep in range(sweeps[0] + sweeps[1]):
        if sweep == sweeps[0]:
            _settle(pairs, before, after, gain, settled)
        kept = counts if sweep >= sweeps[0] else nothing
        for cut in range(cuts):
            if cut:
                _visit(scene, cut, before, after, (ahead, back), pairs, settled, gain, nothing, rng)
            filter_paths(
                scene.starts[cut], scene.starts[cut + 1], scene.seen, before, scene.frame, scene.process, ahead
            )
        for cut in range(cuts - 1, -1, -1):
            filter_backwards(
                scene.starts[cut], scene.starts[cut + 1], scene.seen, after, scene.frame, scene.process, back
            )
            if cut:
                _visit(scene, cut, before, after, (ahead, back), pairs, settled, gain, kept, rng)
        if sweep >= sweeps[0]:
            _count_alone(scene, ahead, before, after, alone)
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
