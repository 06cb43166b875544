"""What the threads of one call of the ``bands`` kernel share and what each has of its own; the steps of a call."""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from pyrodrop.rendering.kernels.bands import lanes
from pyrodrop.rendering.kernels.bands.pyramid import PAD
from pyrodrop.rendering.kernels.bands.reach import ROWS, WIDTH
from pyrodrop.rendering.kernels.bands.tickets import APART
from pyrodrop.rendering.kernels.bands.visit import LANES

BOTH, DRAW, VJP = 0, 1, 2  # the loss and its gradient; the image; the gradient for a given one by the image

WEIGHTS = lanes.WEIGHTS

# Columns of a step's counters: the next band, how many bands are kept, and the claims on each band.
NEXT, DONE, CLAIMS = 0, APART, 2 * APART


class Droplets(NamedTuple):
    """B images of N droplets: x, y, r and amplitude (B, N), bg (B,)."""

    x: NDArray[np.floating]
    y: NDArray[np.floating]
    r: NDArray[np.floating]
    amplitude: NDArray[np.floating]
    bg: NDArray[np.floating]


class Plan(NamedTuple):
    """How droplets are drawn.

    cut: the radii at which they end. broad: the radius in px from which one is drawn on a coarser grid. table: the
    levels, as ``reach.levels`` has them.
    """

    cut: float
    broad: float
    table: NDArray[np.int64]


class Results(NamedTuple):
    """What a call finds: half the sums of squares (B,), gradients by x, y, r and amplitude (B, N), and by bg (B,)."""

    half_squares: NDArray[np.floating]
    by_x: NDArray[np.floating]
    by_y: NDArray[np.floating]
    by_r: NDArray[np.floating]
    by_amplitude: NDArray[np.floating]
    by_bg: NDArray[np.floating]


class Planes(NamedTuple):
    """What is drawn or looked at.

    picture: what was seen, (1, H, W) for all or (B, H, W), the image to write (B, H, W) or the gradient by the image
    (B, H, W). grids, rests: of each image, the coarser grids and the residual on each level, one after the other, (B,
    table's totals).
    """

    picture: NDArray[np.floating]
    grids: NDArray[np.floating]
    rests: NDArray[np.floating]


class Sums(NamedTuple):
    """Sums over the bands: of each entry of ``Reach`` (entries, 4), squares and total of each band (B, bands)."""

    entries: NDArray[np.floating]
    squares: NDArray[np.float64]
    total: NDArray[np.float64]


class Scratch(NamedTuple):
    """What a thread works in: rows of a band, its sums, and vectors."""

    buffer: NDArray[np.floating]
    sums: NDArray[np.floating]
    across: NDArray[np.floating]
    columns: NDArray[np.floating]
    down: NDArray[np.floating]
    moments: NDArray[np.floating]
    mixed: NDArray[np.floating]
    odd: NDArray[np.floating]


@numba.njit(cache=True, nogil=True)
def step_of(step, job, top):
    """Level and job of a step of a call whose coarsest level in use is ``top``."""
    if job == VJP:
        return step, VJP
    if step <= top:
        return top - step, (job if step == top else DRAW)
    return step - top, VJP


@numba.njit(cache=True, nogil=True)
def steps_of(job, top):
    """Number of steps of a call."""
    return 2 * top + 1 if job == BOTH else top + 1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def scratch_of(level, droplets, table, reach):
    """Memory for the bands of a level."""
    number = droplets.bg.dtype.type
    width = table[level, WIDTH]
    coarse_width = table[min(level + 1, table.shape[0] - 2), WIDTH]
    # A row length that is a power of two would put the rows of a block on the same lines of the cache.
    stride = (width + LANES - 1) // LANES * LANES + LANES
    stride += 16 if stride % 256 < 16 else 0
    most = 0
    for band in range(reach.start.shape[0] - 1):
        most = max(most, reach.start[band + 1] - reach.start[band])
    return Scratch(
        np.zeros((ROWS + 4, stride), number),
        np.empty((most + 1, 4), number),
        np.empty(stride, number),
        np.empty(stride, number),
        np.zeros((3, WEIGHTS), number),
        np.empty(2 * LANES, number),
        np.empty(coarse_width, number),
        np.zeros((width + 1) // 2 + 2 * PAD, number),
    )
