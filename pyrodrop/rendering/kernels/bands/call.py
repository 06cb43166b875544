"""A whole call of the ``bands`` kernel: what it needs made ready, done on one thread, and its sums added up."""

import numba
import numpy as np

from pyrodrop.rendering.kernels.bands.data import (
    BOTH,
    CLAIMS,
    DRAW,
    VJP,
    Droplets,
    Plan,
    Planes,
    Results,
    Sums,
    steps_of,
)
from pyrodrop.rendering.kernels.bands.reach import BANDS, GRID, REST, Reach, find_reach
from pyrodrop.rendering.kernels.bands.sweep import take_part

__all__ = ["BOTH", "DRAW", "VJP", "Droplets", "Plan", "Results", "add_up", "prepare", "sweep", "take_part"]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def add_up(droplets, reach, sums, results):
    """Write the ``Results`` of sums that are added in order of the bands."""
    half_squares, by_x, by_y, by_r, by_amplitude, by_bg = results
    x, y, r, amplitude, _ = droplets
    entries = sums.entries
    levels_of, slot_of, sound = reach.level, reach.slot, reach.sound
    for b in range(x.shape[0]):
        for n in range(x.shape[1]):
            k = b * x.shape[1] + n
            p, px, py, pp = 0.0, 0.0, 0.0, 0.0
            for s in range(slot_of[k], slot_of[k + 1]):
                p += entries[s, 0]
                px += entries[s, 1]
                py += entries[s, 2]
                pp += entries[s, 3]
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
    for b in range(x.shape[0]):
        half_squares[b] = sums.squares[b].sum()
        by_bg[b] = sums.total[b].sum()


@numba.njit(cache=True, nogil=True, error_model="numpy")
def prepare(job, of, picture, plan, store):
    """What the threads of a call share: coarsest level in use, counters, droplets, planes, reach and room for sums.

    of: the ``Droplets``. They are copied: a thread that is late may still look at them when the call is over.
    store: room for the grids and the residual on each level, B times the table's totals of both.
    """
    x, y, r, amplitude, bg = of
    table = plan.table
    droplets = Droplets(x.copy(), y.copy(), r.copy(), amplitude.copy(), bg.copy())
    level, band, slot, start, entries, tops, sound = find_reach(x, y, r, amplitude, table, plan.cut, plan.broad)
    reach = Reach(level, band, slot, start, entries, tops, sound)
    images = x.shape[0]
    top = 0
    for b in range(images):
        top = max(top, tops[b])
    split = images * table[-1, GRID]
    planes = Planes(
        picture,
        store[:split].reshape(images, table[-1, GRID]),
        store[split : split + images * table[-1, REST]].reshape(images, table[-1, REST]),
    )
    bands = table[0, BANDS]
    sums = Sums(
        np.empty((slot[-1] + 1, 4), bg.dtype),
        np.empty((images, bands), np.float64),
        np.empty((images, bands), np.float64),
    )
    counters = np.zeros((steps_of(job, top), CLAIMS + bands * images), np.int64)
    return top, counters, droplets, planes, reach, sums


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sweep(job, of, picture, plan, store, results):
    """A whole call on one thread; arguments as for ``prepare``, then the ``Results`` that are written."""
    top, counters, droplets, planes, reach, sums = prepare(job, of, picture, plan, store)
    take_part(True, job, top, counters, droplets, planes, plan, reach, sums)
    if job != DRAW:
        add_up(droplets, reach, sums, results)
