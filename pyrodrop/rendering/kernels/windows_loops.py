"""Droplets of any profile, each in its window of the image: the compiled loops of ``windows`` and of the joint fit.

One function, ``point``, knows the profiles and their derivatives; everything else is written over it. All arithmetic
is in float64, whatever the arrays hold.
"""

import math

import numba
import numpy as np

GAUSSIAN, DISC, RADIAL = range(3)
CODES = {"gaussian": GAUSSIAN, "disc": DISC, "radial": RADIAL}
# Columns of ``point``: the height, its derivatives by x, y and log r, then by log w and the knots of the shape.
HEIGHT, BY_X, BY_Y, BY_LOG_R, BY_SHAPE = range(5)
_ROOT_HALF, _ROOT_2PI = math.sqrt(0.5), math.sqrt(2 * math.pi)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def reach(code, r, shape, cut):
    """Distance in px from which a droplet is left out: at most erfc(cut / sqrt 2) / 2, or exp(-cut^2 / 2), of it."""
    if code == GAUSSIAN:
        return cut * r
    return math.sqrt(r * r + 2.0 * cut * r * shape[0])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def window(centre, extent, length):
    """First pixel and number of pixels within extent of a centre on one axis."""
    low = max(np.ceil(centre - extent), 0.0)
    high = min(np.floor(centre + extent), length - 1.0)
    if not low <= high:
        return 0, 0
    return int(low), int(high) - int(low) + 1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def height(code, squared, r, shape, curve):
    """Height of the profile at a squared distance in px^2."""
    if code == GAUSSIAN:
        return math.exp(-0.5 * squared / (r * r))
    u = (squared - r * r) / (2.0 * r * shape[0])
    value = 0.5 * math.erfc(u * _ROOT_HALF) if u > -9.0 else 1.0
    if code == RADIAL:
        q = squared / (r * r)
        p = min(int(q * (curve.shape[0] - 1)), curve.shape[0] - 1)
        t = q - p / (curve.shape[0] - 1)
        value *= 1.0 + curve[p, 0] + t * (curve[p, 1] + t * (curve[p, 2] + t * curve[p, 3]))
    return value


@numba.njit(cache=True, nogil=True, error_model="numpy")
def point(code, dx, dy, r, shape, curve, basis, out):
    """Height and derivatives at the offset dx, dy from a centre, into out, shape (4 + S,); by log r and log w."""
    squared = dx * dx + dy * dy
    if code == GAUSSIAN:
        q = squared / (r * r)
        value = math.exp(-0.5 * q)
        out[HEIGHT] = value
        out[BY_X] = value * dx / (r * r)
        out[BY_Y] = value * dy / (r * r)
        out[BY_LOG_R] = value * q
        return
    w = shape[0]
    u = (squared - r * r) / (2.0 * r * w)
    if abs(u) < 9.0:
        value = 0.5 * math.erfc(u * _ROOT_HALF)
        bell = math.exp(-0.5 * u * u) / _ROOT_2PI
    else:
        value = 1.0 if u < 0.0 else 0.0
        bell = 0.0
    slope = -bell / (2.0 * r * w)
    by_log_r = bell * (squared + r * r) / (2.0 * r * w)
    by_log_w = bell * u
    if code == RADIAL:
        q = squared / (r * r)
        pieces = curve.shape[0] - 1
        p = min(int(q * pieces), pieces)
        t = q - p / pieces
        g = 1.0 + curve[p, 0] + t * (curve[p, 1] + t * (curve[p, 2] + t * curve[p, 3]))
        rise = curve[p, 1] + t * (2.0 * curve[p, 2] + 3.0 * t * curve[p, 3])
        for k in range(basis.shape[2]):
            cubic = basis[p, 0, k] + t * (basis[p, 1, k] + t * (basis[p, 2, k] + t * basis[p, 3, k]))
            out[BY_SHAPE + 1 + k] = value * cubic
        slope = slope * g + value * rise / (r * r)
        by_log_r = by_log_r * g - 2.0 * q * value * rise
        by_log_w *= g
        value *= g
    out[HEIGHT] = value
    out[BY_X] = -2.0 * dx * slope
    out[BY_Y] = -2.0 * dy * slope
    out[BY_LOG_R] = by_log_r
    out[BY_SHAPE] = by_log_w


@numba.njit(cache=True, nogil=True, error_model="numpy")
def draw(code, cut, x, y, r, amplitude, shape, curve, image):
    """Add the droplets, shape (N,), to an image (H, W)."""
    for k in range(x.shape[0]):
        xk, yk, rk, ak = float(x[k]), float(y[k]), float(r[k]), float(amplitude[k])
        extent = reach(code, rk, shape, cut)
        left, wide = window(xk, extent, image.shape[1])
        top, high = window(yk, extent, image.shape[0])
        for j in range(top, top + high):
            dy = j - yk
            for i in range(left, left + wide):
                squared = (i - xk) * (i - xk) + dy * dy
                if squared <= extent * extent:
                    image[j, i] += ak * height(code, squared, rk, shape, curve)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def pull(code, cut, x, y, r, amplitude, shape, curve, basis, by_image, by_x, by_y, by_r, by_amplitude, by_shape):
    """Sums of by_image, shape (H, W), times the derivatives of the image, by droplet, and by shape over all."""
    columns = 4 + by_shape.shape[0]
    at, sums = np.zeros(columns), np.zeros(columns)
    for k in range(x.shape[0]):
        xk, yk, rk, ak = float(x[k]), float(y[k]), float(r[k]), float(amplitude[k])
        extent = reach(code, rk, shape, cut)
        left, wide = window(xk, extent, by_image.shape[1])
        top, high = window(yk, extent, by_image.shape[0])
        sums[:] = 0.0
        for j in range(top, top + high):
            dy = j - yk
            for i in range(left, left + wide):
                dx = i - xk
                if dx * dx + dy * dy <= extent * extent:
                    point(code, dx, dy, rk, shape, curve, basis, at)
                    for c in range(columns):
                        sums[c] += at[c] * by_image[j, i]
        by_amplitude[k] = sums[HEIGHT]
        by_x[k] = ak * sums[BY_X]
        by_y[k] = ak * sums[BY_Y]
        by_r[k] = ak * sums[BY_LOG_R] / rk
        for c in range(by_shape.shape[0]):
            by_shape[c] += ak * sums[BY_SHAPE + c]
    if by_shape.shape[0]:
        by_shape[0] /= shape[0]
