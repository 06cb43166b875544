"""The work of the ``bands`` kernel: one band of one grid at a time, kept in cache from first touch to last.

A call sweeps the levels from coarse to fine, each band drawing its droplets over what the coarser level left; on the
image itself it takes the residual and at once its sums with the same droplets; then it sweeps back from fine to
coarse with the transposed filter. Where no droplet is broad, there is the image and nothing else.

Several threads may take part in a call. Each takes the next band of a level, works it out in memory of its own, and
then keeps it: moves it to where it belongs. Where the caller finds that another thread has stopped in the middle of a
band, as the system makes it do on a busy machine, it works that band out once more; the first to keep it has it kept.
So the caller never waits for longer than it takes to keep a band, and what a late thread does has no effect.
"""

import numba
import numpy as np

from pyrodrop.rendering.kernels.bands.data import (
    CLAIMS,
    DONE,
    DRAW,
    NEXT,
    VJP,
    scratch_of,
    step_of,
    steps_of,
)
from pyrodrop.rendering.kernels.bands.pyramid import (
    coarsen_row,
    coarsened_row,
    copy_row,
    refine_row,
    refined_rows,
)
from pyrodrop.rendering.kernels.bands.reach import (
    BANDS,
    FIRST_BAND,
    GRID,
    HEIGHT,
    MARGIN,
    REST,
    ROWS,
    WIDTH,
    on_level,
)
from pyrodrop.rendering.kernels.bands.tickets import CAN_YIELD, count_done, number_done, sched_yield, take_ticket
from pyrodrop.rendering.kernels.bands.visit import Droplet, Rows, subtract_row, sum_row, visit

# A thread that finds a step unfinished looks so often before it does something about it: about a tenth of a
# millisecond, which is what a band takes.
PATIENCE = 100_000


@numba.njit(cache=True, nogil=True, error_model="numpy")
def work_out(task, level, job, droplets, planes, plan, reach, scratch):
    """One band of a level, into a thread's own memory; returns half its sum of squares and its sum."""
    x, y, r, amplitude, bg = droplets
    cut, _, table = plan
    buffer, sums, mixed = scratch.buffer, scratch.sums, scratch.mixed
    number = bg.dtype.type
    height, width, bands = table[level, HEIGHT], table[level, WIDTH], table[level, BANDS]
    above = min(level + 1, table.shape[0] - 2)
    coarse_height, coarse_width, coarse_from = table[above, HEIGHT], table[above, WIDTH], table[above, GRID]
    shift = MARGIN // 2 if level else MARGIN
    b, t = task // bands, task % bands
    top = reach.top[b]
    top_row, bottom_row = t * ROWS, min(t * ROWS + ROWS, height)
    rows, own_rows = bottom_row - top_row, Rows(top_row, bottom_row, width)
    first = b * table[-1, FIRST_BAND] + table[level, FIRST_BAND] + t
    half_squares, total = 0.0, 0.0
    buffer[rows : rows + 4] = 0
    if job != VJP:
        base = number(0)
        if level == 0:
            base = bg[b] if reach.sound[b] else number(np.nan)
        if level < top:
            grid = planes.grids[b, coarse_from : coarse_from + coarse_height * coarse_width]
            grid = grid.reshape(coarse_height, coarse_width)
            for j in range(rows):
                refine_row(refined_rows(grid, top_row + j, shift, mixed), shift, base, buffer[j], width)
        else:
            buffer[:rows] = base
        for e in range(reach.start[first], reach.start[first + 1]):
            n = reach.entries[e]
            xs, ys, rs = on_level(level, x[b, n], y[b, n], r[b, n])
            if amplitude[b, n] != 0:
                visit(False, Droplet(xs, ys, rs, amplitude[b, n]), cut, own_rows, scratch, sums[0])
        if job == DRAW:
            return half_squares, total
    if level == 0:
        seen = planes.picture[min(b, planes.picture.shape[0] - 1)]
        for j in range(rows):
            if job == VJP:
                copy_row(planes.picture[b, top_row + j], buffer[j, :width])
                total += sum_row(buffer[j, :width])
            else:
                difference, squares = subtract_row(seen[top_row + j], width, buffer[j])
                total += difference
                half_squares += squares / 2
    else:
        finer = table[level - 1, REST]
        fine_height = table[level - 1, HEIGHT]
        rest = planes.rests[b, finer : finer + fine_height * width].reshape(fine_height, width)
        for j in range(rows):
            coarsened_row(rest, top_row + j, MARGIN if level == 1 else MARGIN // 2, buffer[j, :width])
    buffer[:rows, width:] = 0
    for e in range(reach.start[first], reach.start[first + 1]):
        n = reach.entries[e]
        xs, ys, rs = on_level(level, x[b, n], y[b, n], r[b, n])
        into = sums[e - reach.start[first]]
        visit(True, Droplet(xs, ys, rs, amplitude[b, n]), cut, own_rows, scratch, into)
    return half_squares, total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def keep(task, level, job, half_squares, total, planes, plan, reach, scratch, sums):
    """Move a band that was worked out to where it belongs."""
    table = plan.table
    height, width, bands = table[level, HEIGHT], table[level, WIDTH], table[level, BANDS]
    b, t = task // bands, task % bands
    top_row = t * ROWS
    rows = min(top_row + ROWS, height) - top_row
    if job == DRAW and level == 0:
        for j in range(rows):
            copy_row(scratch.buffer[j, :width], planes.picture[b, top_row + j])
        return
    if job == DRAW:
        grid = planes.grids[b, table[level, GRID] : table[level, GRID] + height * width].reshape(height, width)
        for j in range(rows):
            copy_row(scratch.buffer[j, :width], grid[top_row + j])
        return
    if level == 0:
        sums.squares[b, t], sums.total[b, t] = half_squares, total
    every_band = table[-1, FIRST_BAND]
    position = b * every_band + table[level, FIRST_BAND] + t
    for e in range(reach.start[position], reach.start[position + 1]):
        k = b * (reach.level.shape[0] // reach.top.shape[0]) + reach.entries[e]
        slot = reach.slot[k] + position - b * every_band - reach.band[k]
        for i in range(4):
            sums.entries[slot, i] = scratch.sums[e - reach.start[position], i]
    if level < reach.top[b]:
        coarse_width = table[level + 1, WIDTH]
        rest_from = table[level, REST]
        rest = planes.rests[b, rest_from : rest_from + height * coarse_width].reshape(height, coarse_width)
        for j in range(rows):
            coarsen_row(scratch.buffer[j], width, MARGIN // 2 if level else MARGIN, scratch.odd, rest[top_row + j])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def do_band(task, level, job, counters, droplets, planes, plan, reach, scratch, sums):
    """Work out a band and keep it, unless another thread has kept it by then."""
    wanted = level <= reach.top[task // plan.table[level, BANDS]]
    half_squares, total = 0.0, 0.0
    if wanted:
        half_squares, total = work_out(task, level, job, droplets, planes, plan, reach, scratch)
    if take_ticket(counters.ctypes.data + 8 * (CLAIMS + task)) == 0:
        if wanted:
            keep(task, level, job, half_squares, total, planes, plan, reach, scratch, sums)
        count_done(counters.ctypes.data + 8 * DONE)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def take_part(leads, job, top, counters, droplets, planes, plan, reach, sums):
    """One thread's share of a call: of every level, bands one after the other, until none is left.

    Args:
        leads: whether to see to it that all is done; who does not lead goes when there seems to be nothing left to do.
        job: BOTH, DRAW or VJP.
        top: coarsest level in use.
        counters: of each step, (steps, 2 APART + most bands of a level), zero at first.
    """
    images = droplets.x.shape[0]
    for step in range(steps_of(job, top)):
        level, own_job = step_of(step, job, top)
        tasks = plan.table[level, BANDS] * images
        here = counters[step]
        task = take_ticket(here.ctypes.data + 8 * NEXT)
        if task < tasks:
            scratch = scratch_of(level, droplets, plan.table, reach)
            while task < tasks:
                do_band(task, level, own_job, here, droplets, planes, plan, reach, scratch, sums)
                task = take_ticket(here.ctypes.data + 8 * NEXT)
        looks = 0
        while number_done(here.ctypes.data + 8 * DONE) < tasks:
            looks += 1
            if looks < PATIENCE:
                continue
            if not leads:
                return
            again = scratch_of(level, droplets, plan.table, reach)
            for task in range(tasks):
                if number_done(here.ctypes.data + 8 * (CLAIMS + task)) == 0:
                    do_band(task, level, own_job, here, droplets, planes, plan, reach, again, sums)
            # What is not done now is being kept, by a thread that needs the processor for it.
            while number_done(here.ctypes.data + 8 * DONE) < tasks:
                if CAN_YIELD:
                    sched_yield()
