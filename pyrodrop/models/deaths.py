"""What each droplet is worth to the image once its neighbours have moved into its place: compiled loops.

Two droplets that stand for one each look needed as long as the other stays as it is. Taking one out and letting
the neighbours settle shows what it is worth; so pairs that merged are told from droplets that are needed.
"""

import math

import numpy as np

from pyrodrop.models.refine import CUT, Doubles, Floats, Integers, add, compiled, half_square, sweep, window

NEIGHBOURS = 4
PASSES = 2  # in which they settle
GROWTH = 1.3  # by how much a neighbour that moves in may outgrow the part of the image that is looked at


@compiled
def neighbours(droplets: Doubles, order: Integers, rank: int) -> Integers:
    """The droplets that overlap most with the one that is rank-th from the left, by |<g, g'>| a'; -1 for none.

    Those more than three times as broad are left out: they would not follow.
    """
    x, y, r, _ = droplets[order[rank]]
    found = np.full(NEIGHBOURS, -1)
    overlaps = np.zeros(NEIGHBOURS)
    for direction in (-1, 1):
        place = rank + direction
        while 0 <= place < order.size:
            k = order[place]
            dx, dy, other = droplets[k, 0] - x, droplets[k, 1] - y, droplets[k, 2]
            if abs(dx) > 6.0 * r:
                break
            if other < 3.0 * r:
                width = r * r + other * other
                shared = abs(droplets[k, 3]) * other * other / width
                shared *= math.exp(-0.5 * (dx * dx + dy * dy) / width)
                slot = NEIGHBOURS - 1
                if shared > max(overlaps[slot], 1e-3 * abs(droplets[k, 3])):
                    while slot > 0 and overlaps[slot - 1] < shared:
                        overlaps[slot], found[slot] = overlaps[slot - 1], found[slot - 1]
                        slot -= 1
                    overlaps[slot], found[slot] = shared, k
            place += direction
    return found


@compiled
def worths(residual: Floats, droplets: Doubles, order: Integers, limits: Doubles) -> tuple[Doubles, Integers]:
    """How much lower the half sum of squares is with a droplet than without, once its neighbours settled.

    Returns the worths (n,), and the neighbours (n, 4) of each droplet, -1 for none.

    Args:
        residual: (H, W), what the droplets leave of the image; not changed.
        droplets: (n, 4) x, y, r and amplitude; not changed.
        order: (n,) the droplets from left to right.
        limits: (6,) as in ``refine.gain_of``.
    """
    height, width = residual.shape
    out = np.empty(droplets.shape[0])
    nearest = np.empty((droplets.shape[0], NEIGHBOURS), np.int64)
    for rank in range(order.size):
        x, y, r, a = droplets[order[rank]]
        i0, i1 = window(x, CUT * r, width)
        j0, j1 = window(y, CUT * r, height)
        near = neighbours(droplets, order, rank)
        nearest[order[rank]] = near
        count = 0
        for k in near:
            if k >= 0:
                reach = CUT * GROWTH * droplets[k, 2]
                first, last = window(droplets[k, 0], reach, width)
                i0, i1 = min(i0, first), max(i1, last)
                first, last = window(droplets[k, 1], reach, height)
                j0, j1 = min(j0, first), max(j1, last)
                count += 1
        group = np.empty((count + 1, 4))
        group[count] = droplets[order[rank]]
        group[:count] = droplets[near[:count]]
        group[:, 0] -= i0
        group[:, 1] -= j0
        # The neighbours settle as long with the droplet as without it, or an unsettled lot would look worthless.
        part = residual[j0:j1, i0:i1].copy()
        settled = group.copy()
        for _ in range(PASSES):
            sweep(part, settled, limits, 2)
        together = half_square(part)
        part[:] = residual[j0:j1, i0:i1]
        add(part, x - i0, y - j0, r, a)
        for _ in range(PASSES):
            sweep(part, group[:count], limits, 2)
        out[order[rank]] = half_square(part) - together
    return out, nearest
