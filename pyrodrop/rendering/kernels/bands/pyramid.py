"""From a coarse grid to one twice as fine, row by row, and the exact transpose.

A broad Gaussian is smooth: drawn with six or more points a radius, it can be interpolated. Even points of the fine
grid are copied, odd points are the six-point Lagrange mean [3, -25, 150, 150, -25, 3] / 256 of their neighbours. Its
error on f is at most (225 / 46080) h^6 max|f^(6)|, for a Gaussian of radius r = h s at most 0.0733 / s^6: 1.6e-6 of the
amplitude at s = 6 points a radius, on each axis, and 64 times less on each further level.
"""

import numba

NEAR, MIDDLE, FAR = 150 / 256, -25 / 256, 3 / 256

# Sums may be reordered and fused, but NaN stays NaN.
fast = {"reassoc", "contract", "nsz"}


@numba.njit(cache=True, nogil=True, fastmath=fast)
def mix_rows(a, b, c, d, e, f, out):
    """Out = the row half way between c and d."""
    near, middle, far = out.dtype.type(NEAR), out.dtype.type(MIDDLE), out.dtype.type(FAR)
    for i in range(out.shape[0]):
        out[i] = near * (c[i] + d[i]) + middle * (b[i] + e[i]) + far * (a[i] + f[i])


@numba.njit(cache=True, nogil=True, fastmath=fast)
def refine_row(coarse, shift, level, out, width):
    """out[:width] = level + the coarse row on the fine grid, whose point 0 is coarse point ``shift``.

    For an odd width one number more is written.
    """
    near, middle, far = out.dtype.type(NEAR), out.dtype.type(MIDDLE), out.dtype.type(FAR)
    # Slices, not offsets: an index that might be negative keeps the loop from running in vectors.
    a, b, c, d = coarse[shift - 2 :], coarse[shift - 1 :], coarse[shift:], coarse[shift + 1 :]
    e, f = coarse[shift + 2 :], coarse[shift + 3 :]
    for i in range((width + 1) // 2):
        out[2 * i] = level + c[i]
        out[2 * i + 1] = level + near * (c[i] + d[i]) + middle * (b[i] + e[i]) + far * (a[i] + f[i])


PAD = 8  # zeros before and after a row that is taken apart


@numba.njit(cache=True, nogil=True, fastmath=fast)
def coarsen_row(fine, width, shift, odd, out):
    """Out = transpose of ``refine_row`` (without level) applied to fine[:width], where fine[width] is 0.

    odd: scratch of (width + 1) // 2 + 2 * PAD numbers or more, zero but for what this function writes.
    """
    near, middle, far = out.dtype.type(NEAR), out.dtype.type(MIDDLE), out.dtype.type(FAR)
    half = (width + 1) // 2
    for i in range(half):
        odd[i + PAD] = fine[2 * i + 1]
    for k in range(half, half + PAD):
        odd[k + PAD] = 0
    first = PAD - shift
    a, b, c, d = odd[first - 3 :], odd[first - 2 :], odd[first - 1 :], odd[first:]
    e, f, copied = odd[first + 1 :], odd[first + 2 :], out[shift:]
    for k in range(out.shape[0]):
        out[k] = near * (c[k] + d[k]) + middle * (b[k] + e[k]) + far * (a[k] + f[k])
    for i in range(half):
        copied[i] += fine[2 * i]


@numba.njit(cache=True, nogil=True)
def refined_rows(grid, row, shift, mixed):
    """The row of a coarse grid, still at its own width, that belongs to a fine row; mixed is scratch for odd ones."""
    k = (row >> 1) + shift
    if row & 1 == 0:
        return grid[k]
    mix_rows(grid[k - 2], grid[k - 1], grid[k], grid[k + 1], grid[k + 2], grid[k + 3], mixed)
    return mixed


@numba.njit(cache=True, nogil=True, fastmath=fast)
def coarsened_row(rest, row, shift, out):
    """Out = the coarse row that the transpose of ``refined_rows`` makes of all fine rows, in ``rest``."""
    m = row - shift
    if 0 <= 2 * m < rest.shape[0]:
        copy_row(rest[2 * m], out)
    else:
        out[:] = 0
    if 2 * (m - 3) + 1 >= 0 and 2 * (m + 2) + 1 < rest.shape[0]:
        add_rows(
            rest[2 * m - 5],
            rest[2 * m - 3],
            rest[2 * m - 1],
            rest[2 * m + 1],
            rest[2 * m + 3],
            rest[2 * m + 5],
            out,
        )
        return
    for t in range(6):
        odd = 2 * (m - 3 + t) + 1
        if 0 <= odd < rest.shape[0]:
            weight = (FAR, MIDDLE, NEAR, NEAR, MIDDLE, FAR)[t]
            add_row(out.dtype.type(weight), rest[odd], out)


@numba.njit(cache=True, nogil=True, fastmath=fast)
def copy_row(row, out):
    """Out = row."""
    for i in range(row.shape[0]):
        out[i] = row[i]


@numba.njit(cache=True, nogil=True, fastmath=fast)
def add_row(weight, row, out):
    """Out += weight row."""
    for i in range(row.shape[0]):
        out[i] += weight * row[i]


@numba.njit(cache=True, nogil=True, fastmath=fast)
def add_rows(a, b, c, d, e, f, out):
    """Out += the row half way between c and d."""
    near, middle, far = out.dtype.type(NEAR), out.dtype.type(MIDDLE), out.dtype.type(FAR)
    for i in range(a.shape[0]):
        out[i] += near * (c[i] + d[i]) + middle * (b[i] + e[i]) + far * (a[i] + f[i])
