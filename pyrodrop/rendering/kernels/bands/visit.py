"""One droplet in one band of the ``bands`` kernel: drawn into the band's rows, or their residual summed with it."""

import math
from typing import NamedTuple

import numba

from pyrodrop.rendering.kernels.bands import lanes
from pyrodrop.rendering.kernels.bands.lanes import add_four_rows, close_moments, fill_gaussian, gather_four_rows
from pyrodrop.rendering.kernels.bands.pyramid import fast
from pyrodrop.rendering.kernels.bands.reach import span

LANES = lanes.lanes(32)  # of float32, and a multiple of those of float64
SCALE = math.sqrt(math.log2(math.e) / 2)  # exp(-q / 2) = 2^-(SCALE^2 q)


class Droplet(NamedTuple):
    """Centre and radius in points of a band's grid, float64, and amplitude."""

    x: float
    y: float
    r: float
    amplitude: float


class Rows(NamedTuple):
    """Rows of a grid from top to below bottom, and how many points wide it is."""

    top: int
    bottom: int
    width: int


@numba.njit(cache=True, nogil=True, fastmath=fast)
def subtract_row(seen, width, row):
    """Row -= seen; returns the sums of the differences and of their squares."""
    total = row.dtype.type(0)
    squares = row.dtype.type(0)
    for i in range(width):
        difference = row[i] - seen[i]
        row[i] = difference
        total += difference
        squares += difference * difference
    return total, squares


@numba.njit(cache=True, nogil=True, fastmath=fast)
def sum_row(row):
    """Sum of a row."""
    total = row.dtype.type(0)
    for i in range(row.shape[0]):
        total += row[i]
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def columns_of_block(centre, above, extent, x, first, count):
    """Columns of the disc of four rows that start ``above`` below the centre, in whole vectors from ``first``."""
    near = max(0.0, above, -above - 3.0)
    half = math.sqrt(max(0.0, extent * extent - near * near))
    low = max(0, int(max(x - half, 0.0)) - first) // LANES * LANES
    high = min(count, (int(min(x + half, float(first + count))) - first) // LANES * LANES + LANES)
    return low, max(high, low)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def visit(summing, droplet, cut, rows_of, scratch, sums):
    """Draws one ``Droplet`` into the ``Rows`` of a band or, summing, sums the residual there with its factors.

    cut: the radii at which the droplet ends. scratch: ``Scratch``, whose buffer has the rows. sums, shape (4,): with
    p = E * residual and distances d from the centre, sum p, sum p dx, sum p dy, sum p (dx^2 + dy^2).
    """
    x, y, r, amplitude = droplet
    top_row, bottom_row, width = rows_of
    buffer, across, columns = scratch.buffer, scratch.across, scratch.columns
    down, moments = scratch.down, scratch.moments
    number = buffer.dtype.type
    size = buffer.itemsize
    extent = cut * r
    left, right = span(x, extent, width)
    above, below = span(y, extent, 1 << 40)
    above, below = max(above, top_row), min(below, bottom_row - 1)
    first = left // LANES * LANES
    count = (right - first) // LANES * LANES + LANES
    scale = number(SCALE / r)
    like = number(0)
    fill_gaussian(across.ctypes.data, count, number(first - x), scale)
    rows = below - above + 1
    fill_gaussian(down.ctypes.data, (rows + LANES - 1) // LANES * LANES, number(above - y), scale)
    for j in range(rows, rows + 4):
        down[0, j] = 0
    if summing:
        for j in range(rows + 4):
            distance = number(above + j - y)
            down[1, j] = down[0, j] * distance
            down[2, j] = down[1, j] * distance
        columns[:count] = 0
        moments[:] = 0
    else:
        height = number(amplitude)
        for j in range(rows):
            down[0, j] *= height
    stride = buffer.shape[1] * size
    for j in range(0, rows, 4):
        low, high = columns_of_block(y, above + j - y, extent, x, first, count)
        place = buffer.ctypes.data + (above + j - top_row) * stride + (first + low) * size
        start = across.ctypes.data + low * size
        if summing:
            gather_four_rows(
                place,
                stride,
                down.ctypes.data + j * size,
                start,
                high - low,
                columns.ctypes.data + low * size,
                moments.ctypes.data,
                like,
            )
        else:
            add_four_rows(place, stride, down.ctypes.data + j * size, start, high - low, like)
    if summing:
        sums[0], sums[1], sums[2], sums[3] = close_moments(
            columns.ctypes.data, across.ctypes.data, count, moments.ctypes.data, number(first - x)
        )
