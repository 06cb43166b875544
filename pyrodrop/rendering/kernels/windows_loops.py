"""Droplets of any compiled profile, each in its window of the image: loops that Numba compiles for each profile.

A profile's own functions (``CompiledProfile``) are found by the type of its NamedTuple and compiled into the loops, so
that nothing is looked up at a pixel. All arithmetic is in float64, whatever the arrays hold.
"""

from functools import lru_cache
from types import FunctionType
from typing import NamedTuple

import numba
import numpy as np
from numba.extending import overload, register_jitable

from pyrodrop.rendering.profiles import PROFILES, CompiledProfile
from pyrodrop.rendering.profiles.disc import edge_at, window_of_edge

BOX_LEFT, BOX_TOP, BOX_WIDE, BOX_HIGH = range(4)


class Droplets(NamedTuple):
    """Centres, radii and the distances at which droplets end, in px, and their amplitudes, each of shape (N,)."""

    x: np.ndarray
    y: np.ndarray
    r: np.ndarray
    support: np.ndarray
    amplitude: np.ndarray


class Sums(NamedTuple):
    """Sums by x, y, r and amplitude, each (N,), and by the shared numbers, of positive ones by the logarithm, over
    all droplets, (S,).
    """

    x: np.ndarray
    y: np.ndarray
    r: np.ndarray
    amplitude: np.ndarray
    shared: np.ndarray


class Windows(NamedTuple):
    """Windows of droplets in an image.

    box: left, top, wide and high, (N, 4). before: the number of pixels in the windows before each, (N + 1,).
    """

    box: np.ndarray
    before: np.ndarray


def _compiled_by(kind):
    """The functions of the profile whose NamedTuple is of this class."""
    for profile in PROFILES.values():
        if profile.compiled is not None and profile.compiled.shape is kind:
            return profile.compiled
    raise TypeError(f"no registered profile has the compiled shape {kind.__name__}")


def _bare(function):
    """The function without its types, which Numba would take for a part of its signature."""
    return FunctionType(function.__code__, function.__globals__, function.__name__)


# In Python these three look up the profile at every call. In compiled loops Numba puts the profile's own function in
# their place, by the overloads below.


def height_at(squared, r, shape):
    """Height of the profile at a squared distance in px^2."""
    return _compiled_by(type(shape)).height(squared, r, shape)


def point_at(dx, dy, r, shape, out):
    """Height and derivatives at the offset dx, dy, into out, (4 + S,)."""
    _compiled_by(type(shape)).point(dx, dy, r, shape, out)


def columns_at(left, top, r, shape, support, out):
    """The same at the offsets left + i, top + j, into out, (4 + S, high, wide)."""
    (_compiled_by(type(shape)).columns or _columns_by_points)(left, top, r, shape, support, out)


def _columns_by_points(left, top, r, shape, support, out):
    at = np.zeros(out.shape[0])
    for j in range(out.shape[1]):
        dy = top + j
        for i in range(out.shape[2]):
            dx = left + i
            if dx * dx + dy * dy <= support * support:
                point_at(dx, dy, r, shape, at)
                for c in range(out.shape[0]):
                    out[c, j, i] = at[c]
            else:
                for c in range(out.shape[0]):
                    out[c, j, i] = 0.0


@overload(height_at, jit_options={"error_model": "numpy"})
def _(squared, r, shape):
    return _bare(_compiled_by(shape.instance_class).height)


@overload(point_at, jit_options={"error_model": "numpy"})
def _(dx, dy, r, shape, out):
    return _bare(_compiled_by(shape.instance_class).point)


@overload(columns_at, jit_options={"error_model": "numpy", "fastmath": {"contract"}})
def _(left, top, r, shape, support, out):
    return _bare(_compiled_by(shape.instance_class).columns or _columns_by_points)


for _function in (edge_at, window_of_edge):  # what profiles with an edge call
    register_jitable(error_model="numpy", fastmath={"contract"})(_function)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def window(centre, extent, length):
    """First pixel and number of pixels within extent of a centre on one axis."""
    low = max(np.ceil(centre - extent), 0.0)
    high = min(np.floor(centre + extent), length - 1.0)
    if not low <= high:
        return 0, 0
    return int(low), int(high) - int(low) + 1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def windows_of(x, y, support, height, width):
    """``Windows`` of droplets that end at the distances support, all (N,), in an image of height and width."""
    box = np.zeros((x.shape[0], 4), np.int64)
    before = np.zeros(x.shape[0] + 1, np.int64)
    for k in range(x.shape[0]):
        left, wide = window(x[k], support[k], width)
        top, high = window(y[k], support[k], height)
        if wide and high:
            box[k, BOX_LEFT], box[k, BOX_TOP], box[k, BOX_WIDE], box[k, BOX_HIGH] = left, top, wide, high
        before[k + 1] = before[k] + box[k, BOX_WIDE] * box[k, BOX_HIGH]
    return Windows(box, before)


def draw(droplets, shape, image):
    """Add the droplets to an image (H, W)."""
    for k in range(droplets.x.shape[0]):
        x, y, r = np.float64(droplets.x[k]), np.float64(droplets.y[k]), np.float64(droplets.r[k])
        amplitude, support = np.float64(droplets.amplitude[k]), droplets.support[k]
        left, wide = window(x, support, image.shape[1])
        top, high = window(y, support, image.shape[0])
        for j in range(top, top + high):
            dy = j - y
            for i in range(left, left + wide):
                squared = (i - x) * (i - x) + dy * dy
                if squared <= support * support:
                    image[j, i] += amplitude * height_at(squared, r, shape)


def vjp(droplets, shape, by_image, out):
    """Sums of by_image, (H, W), times the derivatives of the image, into out, of which ``shared`` is added to."""
    columns = 4 + out.shared.shape[0]
    at, sums = np.zeros(columns), np.zeros(columns)
    for k in range(droplets.x.shape[0]):
        x, y, r = np.float64(droplets.x[k]), np.float64(droplets.y[k]), np.float64(droplets.r[k])
        amplitude, support = np.float64(droplets.amplitude[k]), droplets.support[k]
        left, wide = window(x, support, by_image.shape[1])
        top, high = window(y, support, by_image.shape[0])
        sums[:] = 0.0
        for j in range(top, top + high):
            dy = j - y
            for i in range(left, left + wide):
                dx = i - x
                if dx * dx + dy * dy <= support * support:
                    point_at(dx, dy, r, shape, at)
                    for c in range(columns):
                        sums[c] += at[c] * by_image[j, i]
        out.amplitude[k] = sums[0]
        out.x[k] = amplitude * sums[1]
        out.y[k] = amplitude * sums[2]
        out.r[k] = amplitude * sums[3] / r
        for c in range(out.shared.shape[0]):
            out.shared[c] += amplitude * sums[4 + c]


def fill(droplets, shape, windows, columns, kept):
    """Write the height and derivatives of all droplets in their windows into kept, (before[-1] * columns,).

    Droplet k's are kept[before[k] * columns : before[k + 1] * columns], of shape (columns, high, wide).
    """
    for k in range(droplets.x.shape[0]):
        left, top, wide, high = windows.box[k]
        start, end = windows.before[k] * columns, windows.before[k + 1] * columns
        if start < end:
            columns_at(
                left - droplets.x[k],
                top - droplets.y[k],
                droplets.r[k],
                shape,
                droplets.support[k],
                kept[start:end].reshape(columns, high, wide),
            )


class Loops(NamedTuple):
    """``draw``, ``vjp`` and ``fill``, compiled."""

    draw: numba.core.dispatcher.Dispatcher
    vjp: numba.core.dispatcher.Dispatcher
    fill: numba.core.dispatcher.Dispatcher


@lru_cache(maxsize=2)
def _loops(cache: bool) -> Loops:
    return Loops(*(numba.njit(cache=cache, nogil=True, error_model="numpy")(loop) for loop in (draw, vjp, fill)))


def loops_of(compiled: CompiledProfile) -> Loops:
    """The loops for a profile.

    Those of the package's own profiles are kept on disk. Others are compiled in each process: Numba's files name the
    class ``compiled.shape``, and could not be read by a process that does not have it.
    """
    return _loops(compiled.shape.__module__.startswith("pyrodrop."))
