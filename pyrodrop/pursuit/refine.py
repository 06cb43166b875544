"""One Gaussian droplet against an image: the compiled arithmetic under ``search.py``, over numpy arrays.

Writing g for a droplet of amplitude one and u for what it has to explain, a droplet of amplitude a lowers the
half sum of squares by F = a <u, g> - a^2 <g, g> / 2, and the best a is <u, g> / <g, g> clipped to the allowed
range (Mallat and Zhang, Matching pursuits with time-frequency dictionaries, 1993). All products run over the
pixels of the image only, so a droplet that hangs over the border is judged by the part of it that is seen. A
Gaussian is a product of a row and a column, so every <g, g'> is a product of two short sums, with no pixel
visited.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Function = TypeVar("Function", bound=Callable[..., Any])

CUT = 4.5  # radii at which a droplet ends: 4e-5 of its height


def compiled(function: Function) -> Function:
    """Compile a loop to machine code at its first call, and keep that on disk if there is a place for it."""
    # Without the GIL, Python threads share the work; without parallel=True, no threading layers can clash.
    options: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz"}}
    try:
        return cast(Function, numba.njit(cache=True, **options)(function))
    except RuntimeError:  # numba found no folder that it may write to
        return cast(Function, numba.njit(**options)(function))


@compiled
def window(centre: float, reach: float, size: int) -> tuple[int, int]:
    """First pixel and one past the last pixel within reach of the centre, of ``size`` pixels; never empty."""
    first = min(max(math.ceil(centre - reach), 0), size - 1)
    return first, max(min(math.floor(centre + reach) + 1, size), first + 1)


@compiled
def profile(centre: float, r: float, first: int, last: int) -> Floats:
    """exp(-(i - centre)^2 / (2 r^2)) at the pixels i from first to last - 1."""
    out = np.empty(last - first, np.float32)
    for i in range(last - first):
        d = (first + i - centre) / r
        out[i] = math.exp(-0.5 * d * d)
    return out


@compiled
def add(residual: Floats, x: float, y: float, r: float, amplitude: float) -> None:
    """Add a droplet to the residual, in place."""
    height, width = residual.shape
    i0, i1 = window(x, CUT * r, width)
    j0, j1 = window(y, CUT * r, height)
    gx = profile(x, r, i0, i1)
    gy = profile(y, r, j0, j1)
    for j in range(j0, j1):
        row = residual[j, i0:i1]
        scale = np.float32(amplitude) * gy[j - j0]
        for i in range(row.size):
            row[i] += scale * gx[i]


@compiled
def measure(residual: Floats, x: float, y: float, r: float, own: Doubles, moments: Doubles) -> None:
    """<u, g dx^p dy^q / r^(p+q)> into moments (order 1, dx, dy, dx^2, dy^2).

    u is the residual and the droplet ``own`` (x, y, r, amplitude) that was taken out of it before. Further entries of
    moments: sums of gx^2 (dx/r)^p, p = 0 to 4, then the same for y.
    """
    height, width = residual.shape
    i0, i1 = window(x, CUT * r, width)
    j0, j1 = window(y, CUT * r, height)
    gx = profile(x, r, i0, i1)
    gy = profile(y, r, j0, j1)
    gx1 = np.empty_like(gx)
    gx2 = np.empty_like(gx)
    cross = np.zeros(6)  # <own, g d^p> along x, then along y
    moments[:] = 0.0
    for i in range(i1 - i0):
        d = (i0 + i - x) / r
        gx1[i] = gx[i] * d
        gx2[i] = gx1[i] * d
        g = float(gx[i])
        power = g * g
        for p in range(5):
            moments[5 + p] += power
            power *= d
        if own[3] != 0.0:
            e = (i0 + i - own[0]) / own[2]
            v = math.exp(-0.5 * e * e) * g
            cross[0] += v
            cross[1] += v * d
            cross[2] += v * d * d
    for j in range(j1 - j0):
        d = (j0 + j - y) / r
        g = float(gy[j])
        row = residual[j0 + j, i0:i1]
        t0 = np.float32(0.0)
        t1 = np.float32(0.0)
        t2 = np.float32(0.0)
        for i in range(row.size):
            t0 += row[i] * gx[i]
            t1 += row[i] * gx1[i]
            t2 += row[i] * gx2[i]
        moments[0] += g * t0
        moments[1] += g * t1
        moments[2] += g * d * t0
        moments[3] += g * t2
        moments[4] += g * d * d * t0
        power = g * g
        for p in range(5):
            moments[10 + p] += power
            power *= d
        if own[3] != 0.0:
            e = (j0 + j - own[1]) / own[2]
            v = math.exp(-0.5 * e * e) * g
            cross[3] += v
            cross[4] += v * d
            cross[5] += v * d * d
    if own[3] != 0.0:
        moments[0] += own[3] * cross[0] * cross[3]
        moments[1] += own[3] * cross[1] * cross[3]
        moments[2] += own[3] * cross[0] * cross[4]
        moments[3] += own[3] * cross[2] * cross[3]
        moments[4] += own[3] * cross[0] * cross[5]


@compiled
def gain_of(moments: Doubles, r: float, limits: Doubles) -> tuple[float, float]:
    """The best amplitude within the limits, and by how much it lowers the half sum of squares and the prior.

    limits: lowest and highest amplitude, lowest and highest radius, then mean and precision of the log
        radius.
    """
    n = moments[5] * moments[10]
    a = min(max(moments[0] / n, limits[0]), limits[1])
    z = math.log(r) - limits[4]
    return a, a * moments[0] - 0.5 * a * a * n - 0.5 * limits[5] * z * z


@compiled
def improve(residual: Floats, own: Doubles, start: Doubles, limits: Doubles, steps: int) -> float:
    """Damped Gauss-Newton steps uphill in F over x, y and log r, with the amplitude always at its best.

    Args:
        residual: (H, W), in which the droplet ``own`` is already explained; read only.
        own: (4,) x, y, r and amplitude to take out of what is explained before; amplitude 0 for a new
            droplet.
        start: (4,) x, y, r and amplitude; overwritten with the better ones.
        limits: (6,) as in :func:`gain_of`.
        steps: number of steps to try.

    Returns:
        F at the result, with the prior's share.
    """
    height, width = residual.shape
    here, there = np.empty(15), np.empty(15)
    x, y, r = start[0], start[1], start[2]
    measure(residual, x, y, r, own, here)
    a, best = gain_of(here, r, limits)
    damping = 0.01
    for _ in range(steps):
        x0, x1, x2, x3, x4 = here[5], here[6], here[7], here[8], here[9]
        y0, y1, y2, y3, y4 = here[10], here[11], here[12], here[13], here[14]
        if a == 0.0:
            break
        # Lengths are in units of r, and slopes and curvatures divided by a^2, which scales them alike.
        vx, vy, vr = x1 * y0, x0 * y1, x2 * y0 + x0 * y2
        bx = (here[1] - a * vx) / a
        by = (here[2] - a * vy) / a
        br = (here[3] + here[4] - a * vr) / a - limits[5] * (math.log(r) - limits[4]) / (a * a)
        hxx, hyy, hxy = x2 * y0, x0 * y2, x1 * y1
        hxr, hyr = x3 * y0 + x1 * y2, x2 * y1 + x0 * y3
        hrr = x4 * y0 + 2.0 * x2 * y2 + x0 * y4 + limits[5] / (a * a)
        dxx, dyy, drr = hxx, hyy, hrr
        if limits[0] < a < limits[1]:  # the amplitude follows freely: take its share out of the curvature
            n = x0 * y0
            hxx -= vx * vx / n
            hyy -= vy * vy / n
            hrr -= vr * vr / n
            hxy -= vx * vy / n
            hxr -= vx * vr / n
            hyr -= vy * vr / n
        hxx += damping * dxx
        hyy += damping * dyy
        hrr += damping * drr
        # Cholesky by hand: three unknowns
        l11 = math.sqrt(hxx)
        l21, l31 = hxy / l11, hxr / l11
        l22 = math.sqrt(max(hyy - l21 * l21, 1e-6 * dyy))
        l32 = (hyr - l21 * l31) / l22
        l33 = math.sqrt(max(hrr - l31 * l31 - l32 * l32, 1e-6 * drr))
        t1 = bx / l11
        t2 = (by - l21 * t1) / l22
        t3 = (br - l31 * t1 - l32 * t2) / l33
        sr = t3 / l33
        sy = (t2 - l32 * sr) / l22
        sx = (t1 - l21 * sy - l31 * sr) / l11
        newx = min(max(x + r * min(max(sx, -1.0), 1.0), 0.0), float(width))
        newy = min(max(y + r * min(max(sy, -1.0), 1.0), 0.0), float(height))
        newr = min(max(r * math.exp(min(max(sr, -0.5), 0.5)), limits[2]), limits[3])
        measure(residual, newx, newy, newr, own, there)
        newa, value = gain_of(there, newr, limits)
        if value > best:
            small = value - best < 1e-4 * abs(best)
            x, y, r, a, best = newx, newy, newr, newa, value
            here, there = there, here
            damping *= 0.2
            if small:
                break
        else:
            damping = max(damping * 10.0, 0.1)
    start[0], start[1], start[2], start[3] = x, y, r, a
    return best


@compiled
def sweep(residual: Floats, droplets: Doubles, limits: Doubles, steps: int) -> None:
    """Improve the droplets (n, 4) one after another, each against what the others leave; both in place."""
    own = np.empty(4)
    for k in range(droplets.shape[0]):
        own[:] = droplets[k]
        improve(residual, own, droplets[k], limits, steps)
        add(residual, own[0], own[1], own[2], own[3])
        add(residual, droplets[k, 0], droplets[k, 1], droplets[k, 2], -droplets[k, 3])


@compiled
def gains(residual: Floats, droplets: Doubles) -> Doubles:
    """By how much the half sum of squares would rise without each of the droplets (n, 4), shape (n,)."""
    out = np.empty(droplets.shape[0])
    nothing, moments = np.zeros(4), np.empty(15)
    nothing[2] = 1.0
    for k in range(droplets.shape[0]):
        x, y, r, a = droplets[k]
        measure(residual, x, y, r, nothing, moments)
        out[k] = a * moments[0] + 0.5 * a * a * moments[5] * moments[10]
    return out


@compiled
def half_square(residual: Floats) -> float:
    """Half the sum of squares of the residual (H, W), summed in double precision."""
    total = 0.0
    for j in range(residual.shape[0]):
        for i in range(residual.shape[1]):
            total += float(residual[j, i]) * float(residual[j, i])
    return 0.5 * total
