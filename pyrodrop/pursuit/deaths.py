"""What each droplet is worth to the image once its neighbours have moved into its place: compiled loops.

Two droplets that stand for one each look needed as long as the other stays as it is. Taking one out and letting
the neighbours settle shows what it is worth; so pairs that merged are told from droplets that are needed.
"""

import math

import numpy as np

from pyrodrop.pursuit.joint import axis_sums, couple, edge, far
from pyrodrop.pursuit.refine import CUT, Doubles, Floats, Integers, add, compiled, half_square, sweep, window

NEIGHBOURS = 4
COMPANY = 60  # droplets, those that overlap most, that may follow to first order when one is taken out
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
def worths(
    residual: Floats, droplets: Doubles, order: Integers, ranks: Integers, limits: Doubles
) -> tuple[Doubles, Integers]:
    """How much lower the half sum of squares is with a droplet than without, once its neighbours settled.

    Returns the worths (m,), and the neighbours (m, 4) of each droplet asked, -1 for none.

    Args:
        residual: (H, W), what the droplets leave of the image; not changed.
        droplets: (n, 4) x, y, r and amplitude; not changed.
        order: (n,) the droplets from left to right.
        ranks: (m,) places in that order of those that are asked.
        limits: (6,) as in ``refine.gain_of``.
    """
    height, width = residual.shape
    out = np.empty(ranks.size)
    nearest = np.empty((ranks.size, NEIGHBOURS), np.int64)
    for number in range(ranks.size):
        rank = ranks[number]
        x, y, r, a = droplets[order[rank]]
        i0, i1 = window(x, CUT * r, width)
        j0, j1 = window(y, CUT * r, height)
        near = neighbours(droplets, order, rank)
        nearest[number] = near
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
        out[number] = half_square(part) - together
    return out, nearest


@compiled
def first_order_worths(droplets: Doubles, asked: Integers, height: int, width: int, limits: Doubles) -> Doubles:
    """Worths (m,) as the normal equations have them: all that overlap a droplet, and the background, follow.

    A faint broad droplet may stand for nothing but a background that is too low, and no few neighbours could take
    its place. With A the Gauss-Newton matrix of the background and all that overlap a droplet g of amplitude a, and c
    their inner products with g, its worth is a^2 (<g, g> - c A^-1 c) / 2.

    Args:
        droplets: (n, 4) x, y, r and amplitude, which should have settled.
        asked: (m,) numbers of those that are asked.
        height, width: of the image in px.
        limits: (6,) as in ``refine.gain_of``.
    """
    out = np.empty(asked.size)
    for number in range(asked.size):
        k = asked[number]
        members = company(droplets, k)
        total = 4 * members.size + 2  # the background, and the amplitude of the droplet itself, come last
        matrix = np.zeros((total, total))
        for i in range(members.size):
            one = droplets[members[i]]
            for j in range(i + 1):
                fill(one, droplets[members[j]], height, width, matrix[4 * i : 4 * i + 4, 4 * j : 4 * j + 4])
            matrix[4 * i + 2, 4 * i + 2] += limits[5]
            matrix[total - 2, 4 * i : 4 * i + 4] = edge(one, height, width)
            cross = np.zeros((4, 4))
            fill(droplets[k], one, height, width, cross)
            matrix[total - 1, 4 * i : 4 * i + 4] = cross[3]
        own = np.zeros((4, 4))
        fill(droplets[k], droplets[k], height, width, own)
        matrix[total - 2, total - 2] = height * width
        matrix[total - 1, total - 2] = edge(droplets[k], height, width)[3]
        for i in range(total - 1):
            matrix[i, i] += 1e-9 * matrix[i, i] + 1e-12  # droplets of amplitude 0 have no slope
        matrix[total - 1, total - 1] = own[3, 3]
        left = last_pivot(matrix)
        out[number] = 0.5 * droplets[k, 3] * droplets[k, 3] * left
    return out


@compiled
def company(droplets: Doubles, k: int) -> Integers:
    """The droplets that overlap droplet k, at most ``COMPANY`` of them, those that overlap most."""
    n = droplets.shape[0]
    members, overlaps = np.empty(n, np.int64), np.empty(n)
    count = 0
    for m in range(n):
        if m != k and not far(droplets[k], droplets[m]):
            dx, dy = droplets[m, 0] - droplets[k, 0], droplets[m, 1] - droplets[k, 1]
            width = droplets[m, 2] ** 2 + droplets[k, 2] ** 2
            # The square of <g, g'> over <g', g'>, but for what is the same for all.
            overlaps[count] = (droplets[m, 2] / width) ** 2 * math.exp(-(dx * dx + dy * dy) / width)
            members[count] = m
            count += 1
    if count > COMPANY:
        return members[np.argsort(-overlaps[:count])[:COMPANY]].copy()
    return members[:count].copy()


@compiled
def fill(one: Doubles, other: Doubles, height: int, width: int, out: Doubles) -> None:
    """The inner products (4, 4) of the derivatives of two droplets; left as they are if they share no pixel."""
    if not far(one, other):
        sx, sy = np.empty((3, 3)), np.empty((3, 3))
        axis_sums(one[0], one[2], other[0], other[2], width, sx)
        axis_sums(one[1], one[2], other[1], other[2], height, sy)
        couple(one, other, sx, sy, out)


@compiled
def last_pivot(matrix: Doubles) -> float:
    """The last diagonal entry of a symmetric matrix once all others are eliminated, 0 if that is not possible.

    The lower triangle is read, and overwritten with its Cholesky factor.
    """
    size = matrix.shape[0]
    for j in range(size):
        for i in range(j, size):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i > j:
                matrix[i, j] = total / matrix[j, j]
            elif j == size - 1:
                return max(total, 0.0)
            elif total > 0.0:
                matrix[j, j] = math.sqrt(total)
            else:
                return 0.0
    return 0.0
