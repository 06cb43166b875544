"""Matching pursuit with Gaussian droplets over scales: the compiled loops behind ``start.py``.

The residual is correlated with droplets of several radii once; after that every droplet found changes the
correlations by a product of two short sums (see ``refine.py``), so the strongest of what is left is always
known.
"""

import math

import numpy as np

from pyrodrop.pursuit.refine import CUT, Doubles, Floats, Integers, add, compiled, improve, profile, window
from pyrodrop.pursuit.scales import TILE


@compiled
def overlap(weights: Floats, stride: int, size: int, centre: float, r: float, reach: float) -> tuple[int, Floats]:
    """First grid point within reach of the centre, and <g, g'> along one axis from that point on."""
    half = weights.size // 2
    first, last = window(centre, CUT * r, size)
    g = profile(centre, r, first, last)
    low, high = window(centre, reach, size)
    low = low // stride
    high = (high - 1) // stride + 1
    out = np.zeros(high - low, np.float32)
    for ii in range(low, high):
        i = ii * stride - half
        begin, end = max(first, i), min(last, i + weights.size)
        if begin < end:
            a, b = g[begin - first : end - first], weights[begin - i : end - i]
            total = np.float32(0.0)
            for p in range(a.size):
                total += a[p] * b[p]
            out[ii - low] = total
    return low, out


@compiled
def best_of_tile(
    response: Floats, nx: Floats, ny: Floats, j0: int, i0: int, low: float, high: float
) -> tuple[float, int]:
    """The best F in the tile of grid points that begins at (j0, i0), and which point has it."""
    best = np.float32(-np.inf)
    where = 0
    lo, hi, half = np.float32(low), np.float32(high), np.float32(0.5)
    for j in range(j0, min(j0 + TILE, response.shape[0])):
        for i in range(i0, min(i0 + TILE, response.shape[1])):
            c = response[j, i]
            n = ny[j] * nx[i]
            a = min(max(c / n, lo), hi)
            score = a * (c - half * a * n)
            if score > best:
                best = score
                where = j * response.shape[1] + i
    return float(best), where


@compiled
def rescan(
    response: Floats, nx: Floats, ny: Floats, box: tuple[int, int, int, int], limits: Doubles, bonus: float,
    best: Doubles, where: Integers, row_best: Doubles, row_where: Integers,
) -> None:  # fmt: skip
    """Bring the best of tiles and of rows of tiles up to date within a box (j0, j1, i0, i1) of the grid."""
    across = (response.shape[1] + TILE - 1) // TILE
    for tj in range(box[0] // TILE, (box[1] - 1) // TILE + 1):
        for ti in range(box[2] // TILE, (box[3] - 1) // TILE + 1):
            score, point = best_of_tile(response, nx, ny, tj * TILE, ti * TILE, limits[0], limits[1])
            best[tj * across + ti] = score + bonus
            where[tj * across + ti] = point
        top = tj * across
        for tile in range(tj * across, (tj + 1) * across):
            if best[tile] > best[top]:
                top = tile
        row_best[tj] = best[top]
        row_where[tj] = where[top]


@compiled
def pursue(
    residual: Floats, responses: Floats, radii: Doubles, layout: Integers, weights: Floats,
    nx: Floats, ny: Floats, limits: Doubles, droplets: Doubles, steps: int,
) -> int:  # fmt: skip
    """Place droplets where they explain most, strongest first; returns how many explain anything.

    What was found is taken out of the residual (H, W), and responses, its correlations with all scales as
    made by ``scales.correlate``, follow. The fields of ``scales.Scales`` come next, and limits as in
    ``refine.gain_of``. droplets (n, 4) is filled with x, y, r and amplitude, each after so many Gauss-Newton
    steps.
    """
    scales = layout.shape[0] - 1
    height, width = residual.shape
    tiles = layout[scales, 7]
    best, where = np.empty(tiles), np.empty(tiles, np.int64)
    row_best, row_where = np.empty(tiles), np.empty(tiles, np.int64)  # more than there are rows of tiles
    bonus = np.empty(scales)
    nothing = np.zeros(4)
    nothing[2] = 1.0
    for k in range(-1, droplets.shape[0]):
        x, y, r, a = 0.0, 0.0, 0.0, 0.0
        if k >= 0:
            top, value = -1, -np.inf
            scale = 0
            for s in range(scales):
                for row in range((layout[s, 1] + TILE - 1) // TILE):
                    if row_best[layout[s, 7] + row] > value:
                        scale, value, top = s, row_best[layout[s, 7] + row], row_where[layout[s, 7] + row]
            droplets[k, 0] = top % layout[scale, 2] * layout[scale, 0]
            droplets[k, 1] = top // layout[scale, 2] * layout[scale, 0]
            droplets[k, 2] = radii[scale]
            improve(residual, nothing, droplets[k], limits, steps)
            x, y, r, a = droplets[k]
            if a == 0.0:
                return k
            add(residual, x, y, r, -a)
        for s in range(scales):
            stride, h, w = layout[s, 0], layout[s, 1], layout[s, 2]
            grid = responses[layout[s, 3] : layout[s, 3] + h * w].reshape(h, w)
            across = nx[layout[s, 5] : layout[s, 5] + w]
            down = ny[layout[s, 6] : layout[s, 6] + h]
            box = (0, h, 0, w)
            if k >= 0:
                template = weights[layout[s, 4] : layout[s + 1, 4]]
                reach = CUT * math.sqrt(r * r + radii[s] * radii[s])
                i0, kx = overlap(template, stride, width, x, r, reach)
                j0, ky = overlap(template, stride, height, y, r, reach)
                for j in range(ky.size):
                    factor = np.float32(a) * ky[j]
                    line = grid[j0 + j, i0 : i0 + kx.size]
                    for i in range(kx.size):
                        line[i] -= factor * kx[i]
                box = (j0, j0 + ky.size, i0, i0 + kx.size)
            else:
                z = math.log(radii[s]) - limits[4]
                bonus[s] = -0.5 * limits[5] * z * z
            rescan(
                grid, across, down, box, limits, bonus[s], best[layout[s, 7] : layout[s + 1, 7]],
                where[layout[s, 7] : layout[s + 1, 7]], row_best[layout[s, 7] : layout[s + 1, 7]],
                row_where[layout[s, 7] : layout[s + 1, 7]],
            )  # fmt: skip
    return len(droplets)
