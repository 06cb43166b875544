"""Which bands of which grid a droplet reaches: the bookkeeping of the ``bands`` kernel.

The image is level 0. Level l >= 1 is a grid with one point every 2^l pixels, numbered from ``MARGIN`` points outside
the image, so that the filter that refines it (``pyramid``) finds all its points. Each level is cut in bands of
``ROWS`` rows; a droplet lives on one level and has one entry for each band of it that it reaches.
"""

from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

ROWS = 32  # of a band: with 1,000 columns it fills a small part of a core's second-level cache
MARGIN = 4  # grid points of a coarse level before the image's first pixel
SMALLEST = 40  # a grid this small is not made coarser still: its margins would be most of it

# Columns of the table of levels.
HEIGHT, WIDTH, BANDS, FIRST_BAND, GRID, REST = range(6)


@lru_cache(maxsize=64)
def levels(height: int, width: int, coarse: bool) -> NDArray[np.int64]:
    """Table of levels, shape (levels + 2, 6), int64: one row a level, then one of totals.

    Columns: height and width of the grid in points, number of bands, number of bands on the levels before, offsets of
    the grid and of the half-restricted residual in their flat buffers (0 for level 0's grid, which is the image).
    """
    rows = []
    last_row, last_column, first_band, grid, rest = height - 1, width - 1, 0, 0, 0
    margin = 0
    while True:
        high, wide = last_row + 1 + margin, last_column + 1 + margin
        bands = -(-high // ROWS)
        rows.append((high, wide, bands, first_band, grid, rest))
        first_band += bands
        grid += high * wide if margin else 0
        if not coarse or max(high, wide) <= SMALLEST:
            break
        last_row, last_column = last_row // 2 + 3, last_column // 2 + 3
        rest += high * (last_column + 1 + MARGIN)
        margin = MARGIN
    rows.append((0, 0, 0, first_band, grid, rest))
    table = np.array(rows, dtype=np.int64)
    table.flags.writeable = False
    return table


class Reach(NamedTuple):
    """Entries of all droplets, sorted by band; B images of N droplets.

    ``slot`` numbers a droplet's entries one after the other: the entry of droplet k in band t is number
    slot[k] + t - band[k], where its sums go; ``entries[start[t] : start[t + 1]]`` are the droplets of band t.
    """

    level: NDArray[np.int8]  # (B N,)
    band: NDArray[np.int32]  # (B N,) first band that the droplet reaches, counted over levels
    slot: NDArray[np.int64]  # (B N + 1,)
    start: NDArray[np.int64]  # (B bands + 1,)
    entries: NDArray[np.int32]  # (number of entries,) droplet's number in its image
    top: NDArray[np.int8]  # (B,) coarsest level in use
    sound: NDArray[np.bool_]  # (B,) whether no parameter of the image's droplets is NaN


@numba.njit(cache=True, nogil=True, error_model="numpy")
def level_of(radius, broad, deepest):
    """Level on which a radius is below ``broad`` grid points, or the deepest."""
    level = 0
    while radius >= broad and level < deepest:
        radius *= 0.5
        level += 1
    return level


@numba.njit(cache=True, nogil=True, error_model="numpy")
def on_level(level, x, y, r):
    """Centre and radius in points of a level's grid, in float64: a float32 would lose the centre's last digits."""
    scale = 0.5**level
    margin = MARGIN if level else 0
    return float(x) * scale + margin, float(y) * scale + margin, abs(float(r)) * scale


@numba.njit(cache=True, nogil=True, error_model="numpy")
def span(centre, reach, length):
    """First and last point within reach on one axis, last < first where there is none."""
    # Clipped as floats: a conversion of a huge number to an integer is undefined.
    low = max(np.ceil(centre - reach), 0.0)
    high = min(np.floor(centre + reach), length - 1.0)
    if low > high:
        return 0, -1
    return int(low), int(high)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def find_reach(x, y, r, amplitude, table, cut, broad):
    """Fields of ``Reach``: two passes over the droplets of each image, a counting sort.

    x, y, r, amplitude: shape (B, N). cut: reach in radii. broad: radius in px from which a droplet is drawn on a
    coarser grid.
    """
    images, droplets = x.shape
    deepest = table.shape[0] - 2
    bands = table[deepest + 1, FIRST_BAND]
    level = np.zeros(images * droplets, np.int8)
    band = np.zeros(images * droplets, np.int32)
    slot = np.zeros(images * droplets + 1, np.int64)
    start = np.zeros(images * bands + 2, np.int64)
    top = np.zeros(images, np.int8)
    sound = np.ones(images, np.bool_)
    for b in range(images):
        for n in range(droplets):
            k = b * droplets + n
            slot[k + 1] = slot[k]
            if np.isnan(x[b, n] + y[b, n] + r[b, n] + amplitude[b, n]):
                # Infinities of both signs end here too; an image without a number is all that could be drawn.
                sound[b] = False
                continue
            on = level_of(abs(r[b, n]), broad, deepest)
            xs, ys, rs = on_level(on, x[b, n], y[b, n], r[b, n])
            left, right = span(xs, cut * rs, table[on, WIDTH])
            above, below = span(ys, cut * rs, table[on, HEIGHT])
            if right < left or below < above:
                continue
            level[k] = on
            top[b] = max(top[b], on)
            first, last = above // ROWS, below // ROWS
            band[k] = table[on, FIRST_BAND] + first
            slot[k + 1] += last - first + 1
            for t in range(first, last + 1):
                start[b * bands + table[on, FIRST_BAND] + t + 2] += 1
    for t in range(2, start.shape[0]):
        start[t] += start[t - 1]
    # start[t + 1] is now where band t begins; filling moves it to where band t + 1 does.
    entries = np.empty(slot[images * droplets], np.int32)
    for b in range(images):
        for n in range(droplets):
            k = b * droplets + n
            for t in range(band[k], band[k] + slot[k + 1] - slot[k]):
                place = start[b * bands + t + 1]
                entries[place] = n
                start[b * bands + t + 1] = place + 1
    return level, band, slot, start[:-1], entries, top, sound
