"""Two droplets exchanged for a while: a move of the sampler of links at two cuts at once.

Droplets that look alike meet, and go on for frames before it is told which is which. An exchange at the cut where they
met makes each of them the other for ever after, which their radii and looks forbid; so does one where they part. Only
both at once lead from one of the ways they may have gone to the other. What lies between the cuts goes on in the other
path; the weights of both paths are those of the filter along them, and the move is taken with Metropolis' probability.
"""

import numba
import numpy as np

from pyrodrop.workflows.tracking.paths.link_weights import DOUBT, LENGTH, carry, log_link
from pyrodrop.workflows.tracking.paths.path_filter import STATE, begun, log_sum, predicted, updated

# The second cut is the first, or up to the so-manieth, at which the two paths may be exchanged.
_FURTHEST = 4


@numba.njit(cache=True, nogil=True, error_model="numpy")
def pair_of(heads, tails, first_pair, i, j):
    """Number of the pair (i, j), or -1."""
    for e in range(first_pair[i], first_pair[i + 1]):
        if tails[e] == j:
            return e
    return -1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def exchange_blocks(scene, cut, before, after, known, pairs, settled, rng):
    """Propose an exchange of blocks, from this cut on, for each pair across it that is not settled.

    known: states of heads and tails, and what their paths hold (``carry``): of all heads before the cut and all tails
    after it, as they are where the sampler goes backwards; those after the cut are kept true.
    """
    heads, tails, _, cut_pairs, cut_starts = pairs
    for at in range(cut_starts[cut], cut_starts[cut + 1]):
        e = cut_pairs[at]
        i, j = heads[e], tails[e]
        if settled[e] or after[i] < 0 or before[j] < 0:
            continue
        if scene.ordinal[after[i]] >= cut and scene.ordinal[before[j]] < cut:
            _exchange(scene, i, j, before, after, known, pairs, rng)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _exchange(scene, i1, j2, before, after, known, pairs, rng):
    """Propose to exchange what follows two heads up to a second cut, and take that with Metropolis' probability.

    i1, j2: a head and a tail across the first cut, each in a path that crosses it. The move is its own inverse, and as
    probable to be proposed: which second cuts there are hangs on the two paths, not on which of them is whose.
    """
    heads, tails, first_pair = pairs[0], pairs[1], pairs[2]
    j1, i2 = after[i1], before[j2]
    if j1 == j2 or pair_of(heads, tails, first_pair, i2, j1) < 0:
        return
    left = rng.integers(1, _FURTHEST + 1)
    n1, n2 = j1, j2
    while True:
        m1, m2 = after[n1], after[n2]
        if m1 < 0 or m2 < 0:
            return
        last, first = max(scene.ordinal[n1], scene.ordinal[n2]), min(scene.ordinal[m1], scene.ordinal[m2])
        able = last < first and pair_of(heads, tails, first_pair, n1, m2) >= 0
        if able and pair_of(heads, tails, first_pair, n2, m1) >= 0:
            left -= 1
            if left == 0:
                break
        if scene.ordinal[m1] <= first:
            n1 = m1
        if scene.ordinal[m2] <= first:
            n2 = m2
    change = _chain(scene, i1, j2, n2, m1, after, known, pairs) + _chain(scene, i2, j1, n1, m2, after, known, pairs)
    change -= _chain(scene, i1, j1, n1, m1, after, known, pairs) + _chain(scene, i2, j2, n2, m2, after, known, pairs)
    if change < 0 and rng.random() >= np.exp(change):
        return
    for i, j, n, m in ((i1, j2, n2, m1), (i2, j1, n1, m2)):
        after[i], before[j] = j, i
        after[n], before[m] = m, n
    back = known[0][1]
    for j, n in ((j2, n2), (j1, n1)):
        while True:
            predicted(back[after[n]], float(scene.frame[after[n]] - scene.frame[n]), scene.process, back[n])
            updated(back[n], scene.seen[n])
            carry(n, n - 1, -1, after, scene.ends, scene.alike, known[1][1])
            if n == j:
                break
            n = before[n]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _chain(scene, i, j, n, m, after, known, pairs):
    """Log weight of a path that goes on from the head i with the detections j to n, and then with the tail m."""
    (ahead, back), (head, tail) = known
    state, seen, room = np.empty(STATE), np.empty(STATE), np.empty(STATE)
    state[:] = ahead[i]
    doubt, length = head[i, DOUBT] + tail[m, DOUBT], head[i, LENGTH] + tail[m, LENGTH]
    total, last, at = 0.0, i, j
    while True:
        e = pair_of(pairs[0], pairs[1], pairs[2], last, at)
        dt = float(scene.frame[at] - scene.frame[last])
        if at == m:
            seen[:] = back[m]
        else:
            begun(scene.seen[at], scene.process, seen)
        total += log_link(
            state, seen, dt, scene.unseen[e], scene.density[at], scene.process, scene.lives, scene.knows_look, room
        )
        if at == m:
            break
        predicted(state, dt, scene.process, room)
        updated(room, scene.seen[at])
        state[:] = room
        doubt += scene.alike[at]
        length += 1.0
        last, at = at, m if at == n else after[at]
    return total + log_sum(0.0, doubt / length)
