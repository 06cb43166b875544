"""Products of the derivatives of Gaussians, which are a row times a column: sums over two lines, not over a window.

What ``windows.gram`` says of them pixel by pixel, but that windows are whole squares, with corners in which a
Gaussian is less than what ``Profile.left_out`` leaves out.
"""

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _moments(some, other, r, s, begin, end, out):
    """Sums over whole numbers z from begin to end of u^a v^b exp(-u^2 / 2 r^2 - v^2 / 2 s^2), u = z - some and
    v = z - other, for a and b to 2, into out, (3, 3).
    """
    out[:] = 0.0
    for z in range(begin, end):
        u, v = z - some, z - other
        height = np.exp(-0.5 * (u * u / (r * r) + v * v / (s * s)))
        for a in range(3):
            power = height
            for b in range(3):
                out[a, b] += power
                power *= v
            height *= u


@numba.njit(cache=True, nogil=True, error_model="numpy")
def gram_of_gaussians(x, y, r, box, pairs, out):
    """Products of the height and its derivatives by x, y and log r of each pair of droplets (N,) in the overlap of
    their boxes (N, 4), into out, (pairs, 4, 4).

    With q the offset over r^2, the derivatives are q_x, q_y and q_x dx + q_y dy times the height.
    """
    across, down = np.empty((3, 3)), np.empty((3, 3))
    for n in range(pairs.shape[0]):
        i, j = pairs[n]
        left, top = max(box[i, 0], box[j, 0]), max(box[i, 1], box[j, 1])
        right = min(box[i, 0] + box[i, 2], box[j, 0] + box[j, 2])
        bottom = min(box[i, 1] + box[i, 3], box[j, 1] + box[j, 3])
        _moments(x[i], x[j], r[i], r[j], left, right, across)
        _moments(y[i], y[j], r[i], r[j], top, bottom, down)
        some, other = 1 / r[i] ** 2, 1 / r[j] ** 2
        made = out[n]
        made[0, 0] = across[0, 0] * down[0, 0]
        made[0, 1] = across[0, 1] * down[0, 0] * other
        made[0, 2] = across[0, 0] * down[0, 1] * other
        made[0, 3] = (across[0, 2] * down[0, 0] + across[0, 0] * down[0, 2]) * other
        made[1, 0] = across[1, 0] * down[0, 0] * some
        made[2, 0] = across[0, 0] * down[1, 0] * some
        made[3, 0] = (across[2, 0] * down[0, 0] + across[0, 0] * down[2, 0]) * some
        both = some * other
        made[1, 1] = across[1, 1] * down[0, 0] * both
        made[1, 2] = across[1, 0] * down[0, 1] * both
        made[2, 1] = across[0, 1] * down[1, 0] * both
        made[2, 2] = across[0, 0] * down[1, 1] * both
        made[1, 3] = (across[1, 2] * down[0, 0] + across[1, 0] * down[0, 2]) * both
        made[3, 1] = (across[2, 1] * down[0, 0] + across[0, 1] * down[2, 0]) * both
        made[2, 3] = (across[0, 2] * down[1, 0] + across[0, 0] * down[1, 2]) * both
        made[3, 2] = (across[2, 0] * down[0, 1] + across[0, 0] * down[2, 1]) * both
        squares = across[2, 2] * down[0, 0] + across[0, 0] * down[2, 2]
        made[3, 3] = (squares + across[2, 0] * down[0, 2] + across[0, 2] * down[2, 0]) * both
