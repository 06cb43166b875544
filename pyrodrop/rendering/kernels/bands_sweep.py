"""The work of the ``bands`` kernel: one band of one grid at a time, kept in cache from first touch to last.

A call sweeps the levels from coarse to fine, each band drawing its droplets over what the coarser level left; on the
image itself it takes the residual and at once its sums with the same droplets; then it sweeps back from fine to
coarse with the transposed filter. Where no droplet is broad, there is the image and nothing else.
"""

import math

import numba
import numpy as np

from pyrodrop.rendering.kernels import bands_lanes as lanes
from pyrodrop.rendering.kernels.bands_lanes import (
    add_four_rows,
    close_moments,
    fill_gaussian,
    gather_four_rows,
    take_ticket,
)
from pyrodrop.rendering.kernels.bands_pyramid import (
    PAD,
    coarsen_row,
    coarsened_row,
    copy_row,
    fast,
    refine_row,
    refined_rows,
)
from pyrodrop.rendering.kernels.bands_reach import (
    BANDS,
    FIRST_BAND,
    GRID,
    HEIGHT,
    MARGIN,
    REST,
    ROWS,
    WIDTH,
    find_reach,
    on_level,
    span,
)

WORTH_A_THREAD = 1 << 14  # points of a level below which waking a second thread costs more than it saves

BOTH, DRAW, PULL = 0, 1, 2  # the loss and its gradient; the image; the gradient for a given one by the image

WEIGHTS = lanes.WEIGHTS
LANES = lanes.lanes(32)  # of float32, and a multiple of those of float64
SCALE = math.sqrt(math.log2(math.e) / 2)  # exp(-q / 2) = 2^-(SCALE^2 q)


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
def columns_of_block(centre, above, reach, x, first, count):
    """Columns of the disc of four rows that start ``above`` below the centre, in whole vectors from ``first``."""
    near = max(0.0, above, -above - 3.0)
    half = math.sqrt(max(0.0, reach * reach - near * near))
    low = max(0, int(max(x - half, 0.0)) - first) // LANES * LANES
    high = min(count, (int(min(x + half, float(first + count))) - first) // LANES * LANES + LANES)
    return low, max(high, low)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def visit(pull, x, y, r, amplitude, cut, top_row, bottom_row, width, buffer, across, columns, down, moments, sums):
    """Draws one droplet into the rows of a band, or sums the residual there with its factors.

    x, y, r: in points of the band's grid, float64. sums, shape (4,): with p = E * residual and distances d from the
    centre, sum p, sum p dx, sum p dy, sum p (dx^2 + dy^2).
    """
    number = buffer.dtype.type
    size = buffer.itemsize
    reach = cut * r
    left, right = span(x, reach, width)
    above, below = span(y, reach, 1 << 40)
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
    if pull:
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
        low, high = columns_of_block(y, above + j - y, reach, x, first, count)
        place = buffer.ctypes.data + (above + j - top_row) * stride + (first + low) * size
        start = across.ctypes.data + low * size
        if pull:
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
    if pull:
        sums[0], sums[1], sums[2], sums[3] = close_moments(
            columns.ctypes.data, across.ctypes.data, count, moments.ctypes.data, number(first - x)
        )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def work(ticket, level, job, x, y, r, amplitude, bg, picture, cut, table, reach, grids, rests, sums, loss, pull_bg):
    """One thread's share of a level: bands, one after the other, until none is left.

    job: BOTH, DRAW or PULL; picture: what was seen, (1, H, W) for all or (B, H, W), the image to write (B, H, W) or the
    gradient by the image (B, H, W).
    """
    _, band_of, slot_of, starts, entries, tops, sound = reach
    number = bg.dtype.type
    droplets = x.shape[1]
    all_bands = table[-1, FIRST_BAND]
    height, width, bands = table[level, HEIGHT], table[level, WIDTH], table[level, BANDS]
    coarser = min(level + 1, table.shape[0] - 2)
    coarse_height, coarse_width = table[coarser, HEIGHT], table[coarser, WIDTH]
    grid_from, coarse_from, rest_from = table[level, GRID], table[coarser, GRID], table[level, REST]
    shift = MARGIN // 2 if level else MARGIN
    # A row length that is a power of two would put the rows of a block on the same lines of the cache.
    stride = (width + LANES - 1) // LANES * LANES + LANES
    stride += 16 if stride % 256 < 16 else 0
    buffer = np.zeros((ROWS + 4, stride), number)
    across, columns = np.empty(stride, number), np.empty(stride, number)
    down, moments = np.zeros((3, WEIGHTS), number), np.empty(2 * LANES, number)
    mixed, odd = np.empty(coarse_width, number), np.zeros((width + 1) // 2 + 2 * PAD, number)
    while True:
        task = take_ticket(ticket.ctypes.data)
        if task >= bands * x.shape[0]:
            break
        b, t = task // bands, task % bands
        top = tops[b]
        if level > top:
            continue
        top_row, bottom_row = t * ROWS, min(t * ROWS + ROWS, height)
        rows = bottom_row - top_row
        buffer[rows : rows + 4] = 0
        position = b * all_bands + table[level, FIRST_BAND] + t
        if job != PULL:
            base = number(0)
            if level == 0:
                base = bg[b] if sound[b] else number(np.nan)
            if level < top:
                grid = grids[b, coarse_from : coarse_from + coarse_height * coarse_width]
                grid = grid.reshape(coarse_height, coarse_width)
                for j in range(rows):
                    refine_row(refined_rows(grid, top_row + j, shift, mixed), shift, base, buffer[j], width)
            else:
                buffer[:rows] = base
            for e in range(starts[position], starts[position + 1]):
                n = entries[e]
                xs, ys, rs = on_level(level, x[b, n], y[b, n], r[b, n])
                if amplitude[b, n] != 0:
                    visit(
                        False, xs, ys, rs, amplitude[b, n], cut, top_row, bottom_row, width,
                        buffer, across, columns, down, moments, sums[0],
                    )  # fmt: skip
            if level > 0:
                grid = grids[b, grid_from : grid_from + height * width].reshape(height, width)
                for j in range(rows):
                    copy_row(buffer[j, :width], grid[top_row + j])
                continue
        if level == 0:
            half_squares, total = 0.0, 0.0
            seen = picture[min(b, picture.shape[0] - 1)]
            for j in range(rows):
                if job == DRAW:
                    copy_row(buffer[j, :width], picture[b, top_row + j])
                elif job == PULL:
                    copy_row(picture[b, top_row + j], buffer[j, :width])
                    total += sum_row(buffer[j, :width])
                else:
                    difference, squares = subtract_row(seen[top_row + j], width, buffer[j])
                    total += difference
                    half_squares += squares / 2
            loss[b, t], pull_bg[b, t] = half_squares, total
            if job == DRAW:
                continue
        else:
            finer = table[level - 1, REST]
            fine_height = table[level - 1, HEIGHT]
            rest = rests[b, finer : finer + fine_height * width].reshape(fine_height, width)
            for j in range(rows):
                coarsened_row(rest, top_row + j, MARGIN if level == 1 else MARGIN // 2, buffer[j, :width])
        buffer[:rows, width:] = 0
        for e in range(starts[position], starts[position + 1]):
            n = entries[e]
            xs, ys, rs = on_level(level, x[b, n], y[b, n], r[b, n])
            k = b * droplets + n
            visit(
                True, xs, ys, rs, amplitude[b, n], cut, top_row, bottom_row, width, buffer, across, columns, down,
                moments, sums[slot_of[k] + position - b * all_bands - band_of[k]],
            )  # fmt: skip
        if level < top:
            rest = rests[b, rest_from : rest_from + height * coarse_width].reshape(height, coarse_width)
            for j in range(rows):
                coarsen_row(buffer[j], width, shift, odd, rest[top_row + j])


@numba.njit(cache=True, nogil=True, parallel=True)
def share(
    threads, ticket, level, job, x, y, r, amplitude, bg, picture, cut, table, reach, grids, rests, sums, loss, pull_bg
):
    """All bands of a level, on so many threads, each taking the next band when it is done with its last."""
    for _ in numba.prange(threads):
        work(ticket, level, job, x, y, r, amplitude, bg, picture, cut, table, reach, grids, rests, sums, loss, pull_bg)


@numba.njit(cache=True, nogil=True)
def sweep_level(
    threads, level, job, x, y, r, amplitude, bg, picture, cut, table, reach, grids, rests, sums, loss, pull_bg
):
    """All bands of a level; one thread starts no others, which matters where many processes share the machine."""
    ticket = np.zeros(1, np.int64)
    points = table[level, HEIGHT] * table[level, WIDTH] * x.shape[0]
    if threads > 1 and points >= WORTH_A_THREAD:
        share(
            threads, ticket, level, job, x, y, r, amplitude, bg, picture, cut, table, reach, grids, rests, sums, loss,
            pull_bg,
        )  # fmt: skip
    else:
        work(ticket, level, job, x, y, r, amplitude, bg, picture, cut, table, reach, grids, rests, sums, loss, pull_bg)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def add_up(x, y, r, amplitude, reach, sums, by_x, by_y, by_r, by_amplitude):
    """Gradients, shape (B, N), from the sums of each droplet's entries, added in order of the bands."""
    levels_of, _, slot_of, _, _, _, sound = reach
    for b in range(x.shape[0]):
        for n in range(x.shape[1]):
            k = b * x.shape[1] + n
            p, px, py, pp = 0.0, 0.0, 0.0, 0.0
            for s in range(slot_of[k], slot_of[k + 1]):
                p += sums[s, 0]
                px += sums[s, 1]
                py += sums[s, 2]
                pp += sums[s, 3]
            height = float(amplitude[b, n])
            if slot_of[k] == slot_of[k + 1]:
                # Nothing reached: nothing to divide by a radius that may be zero. A NaN of the droplet's own stays.
                height = 0.0 * (x[b, n] + y[b, n] + r[b, n] + height) if not sound[b] else 0.0
                by_x[b, n], by_y[b, n], by_r[b, n], by_amplitude[b, n] = height, height, height, height
                continue
            # The sums are in points of the droplet's grid, and so is the radius that they are divided by; what is
            # left over is one division by the grid's spacing.
            spacing = 2.0 ** levels_of[k]
            radius = float(r[b, n]) / spacing
            by_x[b, n] = height * px / (radius * radius) / spacing
            by_y[b, n] = height * py / (radius * radius) / spacing
            by_r[b, n] = height * pp / (radius * radius * radius) / spacing
            by_amplitude[b, n] = p


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sweep(
    threads, job, x, y, r, amplitude, bg, picture, cut, broad, table, store,
    half_squares, by_x, by_y, by_r, by_amplitude, by_bg,
):  # fmt: skip
    """Whole call: x, y, r, amplitude (B, N), bg (B,); writes the picture (job DRAW) or the gradients.

    store: room for the grids and what is left of the residual on each level, B times the table's totals of both.
    half_squares: (B,), written for BOTH; by_...: shapes of x, y, r, amplitude and bg, written for BOTH and PULL.
    """
    reach = find_reach(x, y, r, amplitude, table, cut, broad)
    tops = reach[5]
    images = x.shape[0]
    top = 0
    for b in range(images):
        top = max(top, tops[b])
    split = images * table[-1, GRID]
    grids = store[:split].reshape(images, table[-1, GRID])
    rests = store[split : split + images * table[-1, REST]].reshape(images, table[-1, REST])
    sums = np.empty((reach[2][-1] + 1, 4), bg.dtype)
    loss = np.empty((images, table[0, BANDS]), np.float64)
    pull_bg = np.empty((images, table[0, BANDS]), np.float64)
    if job != PULL:
        for level in range(top, 0, -1):
            sweep_level(
                threads, level, DRAW, x, y, r, amplitude, bg, picture, cut, table, reach, grids, rests, sums, loss,
                pull_bg,
            )  # fmt: skip
    sweep_level(threads, 0, job, x, y, r, amplitude, bg, picture, cut, table, reach, grids, rests, sums, loss, pull_bg)
    if job == DRAW:
        return
    for level in range(1, top + 1):
        sweep_level(
            threads,
            level,
            PULL,
            x,
            y,
            r,
            amplitude,
            bg,
            picture,
            cut,
            table,
            reach,
            grids,
            rests,
            sums,
            loss,
            pull_bg,
        )
    add_up(x, y, r, amplitude, reach, sums, by_x, by_y, by_r, by_amplitude)
    for b in range(images):
        half_squares[b] = loss[b].sum()
        by_bg[b] = pull_bg[b].sum()
