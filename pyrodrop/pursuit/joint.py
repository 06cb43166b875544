"""All droplets at once: the normal equations of Gauss-Newton steps, as compiled loops over numpy arrays.

A sweep that fits one droplet after another creeps where droplets overlap, for each step undoes a part of the last.
In ``together.py`` all droplets and the background move at once. A Gaussian and its derivatives are products of a row
and a column, so their inner products, the entries of the normal equations, are products of short sums, with no
pixel visited (see ``refine.py``). Steps are in x / r, y / r, log r and amplitude.
"""

import math

import numpy as np

from pyrodrop.pursuit.refine import CUT, Doubles, Floats, Integers, add, compiled, measure, window

# Farther apart than this times the root of r^2 + r'^2, two droplets that end at CUT radii share no pixel, so nothing
# is left out and the matrix stays positive definite.
APART = CUT * math.sqrt(2.0)


@compiled
def axis_sums(c: float, r: float, d: float, s: float, size: int, out: Doubles) -> None:
    """Sums over pixels of g g' u^p v^q, p and q from 0 to 2, into out (3, 3); u and v in radii from each centre.

    Args:
        c, r: centre and radius of g along this axis.
        d, s: those of g'.
        size: number of pixels along this axis.
    """
    first, last = window(c, CUT * r, size)
    low, high = window(d, CUT * s, size)
    out[:] = 0.0
    for i in range(max(first, low), min(last, high)):
        u, v = (i - c) / r, (i - d) / s
        g = math.exp(-0.5 * (u * u + v * v))
        gu, gv = g * u, g * v
        out[0, 0] += g
        out[0, 1] += gv
        out[1, 0] += gu
        out[1, 1] += gu * v
        out[0, 2] += gv * v
        out[2, 0] += gu * u
        out[1, 2] += gu * v * v
        out[2, 1] += gu * u * v
        out[2, 2] += gu * u * v * v


@compiled
def couple(one: Doubles, other: Doubles, sx: Doubles, sy: Doubles, out: Doubles) -> None:
    """Inner products of the derivatives of two droplets by x / r, y / r, log r and amplitude, into out (4, 4).

    sx, sy: their sums along x and y, from ``axis_sums``.
    """
    a, b = one[3], other[3]
    out[0, 0] = a * b * sx[1, 1] * sy[0, 0]
    out[0, 1] = a * b * sx[1, 0] * sy[0, 1]
    out[0, 2] = a * b * (sx[1, 2] * sy[0, 0] + sx[1, 0] * sy[0, 2])
    out[0, 3] = a * sx[1, 0] * sy[0, 0]
    out[1, 0] = a * b * sx[0, 1] * sy[1, 0]
    out[1, 1] = a * b * sx[0, 0] * sy[1, 1]
    out[1, 2] = a * b * (sx[0, 2] * sy[1, 0] + sx[0, 0] * sy[1, 2])
    out[1, 3] = a * sx[0, 0] * sy[1, 0]
    out[2, 0] = a * b * (sx[2, 1] * sy[0, 0] + sx[0, 1] * sy[2, 0])
    out[2, 1] = a * b * (sx[2, 0] * sy[0, 1] + sx[0, 0] * sy[2, 1])
    out[2, 2] = a * b * (sx[2, 2] * sy[0, 0] + sx[2, 0] * sy[0, 2] + sx[0, 2] * sy[2, 0] + sx[0, 0] * sy[2, 2])
    out[2, 3] = a * (sx[2, 0] * sy[0, 0] + sx[0, 0] * sy[2, 0])
    out[3, 0] = b * sx[0, 1] * sy[0, 0]
    out[3, 1] = b * sx[0, 0] * sy[0, 1]
    out[3, 2] = b * (sx[0, 2] * sy[0, 0] + sx[0, 0] * sy[0, 2])
    out[3, 3] = sx[0, 0] * sy[0, 0]


@compiled
def slopes(residual: Floats, droplets: Doubles, limits: Doubles) -> Doubles:
    """Minus the gradient of the cost by x / r, y / r, log r and amplitude of each droplet, (n, 4)."""
    out = np.empty((droplets.shape[0], 4))
    nothing, moments = np.zeros(4), np.empty(15)
    nothing[2] = 1.0
    for k in range(droplets.shape[0]):
        x, y, r, a = droplets[k]
        measure(residual, x, y, r, nothing, moments)
        out[k, 0] = a * moments[1]
        out[k, 1] = a * moments[2]
        out[k, 2] = a * (moments[3] + moments[4]) - limits[5] * (math.log(r) - limits[4])
        out[k, 3] = moments[0]
    return out


@compiled
def far(one: Doubles, other: Doubles) -> bool:
    """Whether two droplets share no pixel."""
    dx, dy = one[0] - other[0], one[1] - other[1]
    return bool(dx * dx + dy * dy > APART * APART * (one[2] * one[2] + other[2] * other[2]))


@compiled
def moved(droplets: Doubles, step: Doubles, height: int, width: int, limits: Doubles) -> Doubles:
    """The droplets (n, 4) after a step (n, 4) in x / r, y / r, log r and amplitude, within the limits."""
    out = np.empty_like(droplets)
    for k in range(droplets.shape[0]):
        x, y, r, a = droplets[k]
        out[k, 0] = min(max(x + r * min(max(step[k, 0], -1.0), 1.0), 0.0), float(width))
        out[k, 1] = min(max(y + r * min(max(step[k, 1], -1.0), 1.0), 0.0), float(height))
        out[k, 2] = min(max(r * math.exp(min(max(step[k, 2], -0.5), 0.5)), limits[2]), limits[3])
        out[k, 3] = min(max(a + step[k, 3], limits[0]), limits[1])
    return out


@compiled
def held(droplets: Doubles, slope: Doubles, height: int, width: int, limits: Doubles) -> Doubles:
    """1 for each parameter (n, 4) that lies on a limit which the slope pushes it against, else 0."""
    out = np.zeros_like(droplets)
    for k in range(droplets.shape[0]):
        for p in range(4):
            low, high, value = 0.0, float(width), droplets[k, p]
            if p == 1:
                high = float(height)
            elif p == 2:
                low, high = limits[2], limits[3]
            elif p == 3:
                low, high = limits[0], limits[1]
            if (value <= low and slope[k, p] <= 0.0) or (value >= high and slope[k, p] >= 0.0):
                out[k, p] = 1.0
            if p < 3 and droplets[k, 3] == 0.0:
                out[k, p] = 1.0
    return out


@compiled
def prior_cost(droplets: Doubles, limits: Doubles) -> float:
    """The share of the prior of the radii in the cost; limits as in ``refine.gain_of``."""
    total = 0.0
    for k in range(droplets.shape[0]):
        z = math.log(droplets[k, 2]) - limits[4]
        total += 0.5 * limits[5] * z * z
    return total


@compiled
def pairs(droplets: Doubles, order: Integers) -> Integers:
    """Pairs (P, 2) of droplets that overlap, each once, and each with itself; order: from left to right."""
    n = droplets.shape[0]
    widest = 0.0
    for k in range(n):
        widest = max(widest, droplets[k, 2])
    count = 0
    out = np.empty((max(16 * n, 16), 2), np.int64)
    for rank in range(n):
        k = order[rank]
        reach = APART * math.sqrt(droplets[k, 2] ** 2 + widest**2)
        place = rank
        while place < n and droplets[order[place], 0] - droplets[k, 0] <= reach:
            m = order[place]
            place += 1
            if far(droplets[k], droplets[m]):
                continue
            if count == out.shape[0]:
                larger = np.empty((2 * count, 2), np.int64)
                larger[:count] = out
                out = larger
            out[count, 0], out[count, 1] = k, m
            count += 1
    return out[:count].copy()


@compiled
def blocks(droplets: Doubles, pairs: Integers, height: int, width: int, limits: Doubles) -> tuple[Doubles, Doubles]:
    """Blocks (P, 4, 4) of the Gauss-Newton matrix for pairs (P, 2) of droplets, and its border (n, 4) with the
    background.
    """
    out = np.empty((pairs.shape[0], 4, 4))
    sx, sy = np.empty((3, 3)), np.empty((3, 3))
    for p in range(pairs.shape[0]):
        k, m = pairs[p]
        axis_sums(droplets[k, 0], droplets[k, 2], droplets[m, 0], droplets[m, 2], width, sx)
        axis_sums(droplets[k, 1], droplets[k, 2], droplets[m, 1], droplets[m, 2], height, sy)
        couple(droplets[k], droplets[m], sx, sy, out[p])
        if k == m:
            out[p, 2, 2] += limits[5]
    border = np.empty((droplets.shape[0], 4))
    for k in range(droplets.shape[0]):
        border[k] = edge(droplets[k], height, width)
    return out, border


@compiled
def edge(one: Doubles, height: int, width: int) -> Doubles:
    """Sums over the pixels of the derivatives of a droplet by x / r, y / r, log r and amplitude, (4,)."""
    x, y, r, a = one
    sx, sy = np.zeros(3), np.zeros(3)
    for axis in range(2):
        centre, size, sums = (x, width, sx) if axis == 0 else (y, height, sy)
        first, last = window(centre, CUT * r, size)
        for i in range(first, last):
            u = (i - centre) / r
            g = math.exp(-0.5 * u * u)
            sums[0] += g
            sums[1] += g * u
            sums[2] += g * u * u
    out = np.empty(4)
    out[0], out[1] = a * sx[1] * sy[0], a * sx[0] * sy[1]
    out[2], out[3] = a * (sx[2] * sy[0] + sx[0] * sy[2]), sx[0] * sy[0]
    return out


@compiled
def change(residual: Floats, old: Doubles, new: Doubles, level: float) -> None:
    """Put old droplets back into the residual, take new ones and a level out of it, in place."""
    for j in range(residual.shape[0]):
        row = residual[j]
        for i in range(row.size):
            row[i] -= np.float32(level)
    for k in range(old.shape[0]):
        add(residual, old[k, 0], old[k, 1], old[k, 2], old[k, 3])
    for k in range(new.shape[0]):
        add(residual, new[k, 0], new[k, 1], new[k, 2], -new[k, 3])
