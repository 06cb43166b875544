"""An image seen at several droplet radii: its correlation with a Gaussian droplet at every point of a grid.

A grid of radius r needs a point only every 0.6 r: between its points a droplet explains at least 95 % of what
it would in its own place, and a few Gauss-Newton steps find the rest. So all scales together cost little more
than the finest.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch

from pyrodrop.pursuit.refine import Doubles, Floats, Integers, compiled

FILTER_CUT = 3.5  # radii at which the filters end; they only propose, so they may be rough
RATIO = 1.4  # from one scale to the next: half way between two, a droplet explains 97 % of what its own would
SPACING = 0.6  # of the points of a grid, in radii
TILE = 8  # grid points a side of the tiles whose best score is kept


class Scales(NamedTuple):
    """Droplet radii and the grids they are tried on, those of all scales one after another in flat arrays.

    Attributes:
        radii: (S,) droplet radii in px.
        layout: (S + 1, 8): stride in px, height and width of the grid of a scale, and where its part begins
            of the correlations, of weights, of nx, of ny, and of the tiles; the last row says where the last
            part ends.
        weights: exp(-d^2 / (2 r^2)) at whole pixels d of every scale.
        nx, ny: <g, g> along x and y at the columns and rows of every grid, over the pixels of the image only.
    """

    radii: Doubles
    layout: Integers
    weights: Floats
    nx: Floats
    ny: Floats


def scales_between(low: float, high: float, size: tuple[int, ...]) -> Scales:
    """The grids for radii from low to high px, evenly spaced in log r, on an image of (H, W) pixels."""
    height, width = size
    count = 1 + math.ceil(math.log(high / low) / math.log(RATIO))
    radii = np.geomspace(low, high, count)
    layout = np.zeros((count + 1, 8), np.int64)
    weights, nx, ny = [], [], []
    for s, r in enumerate(radii):
        stride = max(1, int(SPACING * r))
        half = math.ceil(FILTER_CUT * r)
        weights.append(np.exp(-0.5 * (np.arange(-half, half + 1) / r) ** 2).astype(np.float32))
        nx.append(norms(weights[s], stride, width))
        ny.append(norms(weights[s], stride, height))
        rows, columns = ny[s].size, nx[s].size
        tiles = math.ceil(rows / TILE) * math.ceil(columns / TILE)
        layout[s, :3] = stride, rows, columns
        layout[s + 1, 3:] = layout[s, 3:] + np.array([rows * columns, weights[s].size, columns, rows, tiles])
    return Scales(radii, layout, np.concatenate(weights), np.concatenate(nx), np.concatenate(ny))


def correlate(residual: Floats, scales: Scales) -> Floats:
    """Correlations <residual, g> of the residual (H, W) at all points of all grids, in one flat array."""
    layout = scales.layout
    out = np.empty(layout[-1, 3], np.float32)

    def one(s: int) -> None:
        stride, rows, columns = layout[s, :3]
        grid = out[layout[s, 3] : layout[s + 1, 3]].reshape(rows, columns)
        respond(residual, scales.weights[layout[s, 4] : layout[s + 1, 4]], stride, grid)

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(one, range(len(scales.radii))))
    return out


@compiled
def respond(residual: Floats, weights: Floats, stride: int, out: Floats) -> None:
    """Correlate the residual with a droplet on every stride-th pixel; nothing lies outside the image."""
    height, width = residual.shape
    half = weights.size // 2
    column = np.zeros(width + 2 * half, np.float32)
    inside = column[half : half + width]
    for jj in range(out.shape[0]):
        j = jj * stride
        inside[:] = 0.0
        for t in range(max(0, half - j), min(weights.size, height + half - j)):
            w = weights[t]
            row = residual[j - half + t]
            for i in range(width):
                inside[i] += w * row[i]
        if stride == 1:
            line = out[jj]
            line[:] = 0.0
            for t in range(weights.size):
                w = weights[t]
                shifted = column[t : t + width]
                for i in range(width):
                    line[i] += w * shifted[i]
        else:
            for ii in range(out.shape[1]):
                part = column[ii * stride : ii * stride + weights.size]
                total = np.float32(0.0)
                for t in range(weights.size):
                    total += weights[t] * part[t]
                out[jj, ii] = total


@compiled
def norms(weights: Floats, stride: int, size: int) -> Floats:
    """<g, g> along one axis, over the pixels of the image, at every stride-th pixel."""
    half = weights.size // 2
    out = np.empty((size + stride - 1) // stride, np.float32)
    for ii in range(out.size):
        i = ii * stride
        total = 0.0
        for t in range(max(0, half - i), min(weights.size, size + half - i)):
            total += weights[t] * weights[t]
        out[ii] = total
    return out
