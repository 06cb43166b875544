"""Droplets into an image, one over the other, each in its window; and how much of each can be seen.

Compiled loops. Painting goes twice through the droplets: forwards to mix them into the image, keeping what each one
changed in every pixel; and backwards, from the top one down, to sum the squares of those changes where nothing later
covers them. The second pass is what a difference of two images, with and without the droplet, would cost a rendering
each to give.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from .columns import COLUMN, LARGER, LINEAR, OVER, SMALLER, STEP, Droplets

AROUND = 1.3  # radii within which a droplet is held against what else is there
SAMPLES = 128  # of a radial curve at most; 6 a px are enough
_X, _Y, _R, _RATIO, _ANGLE = (COLUMN[name] for name in ("x", "y", "r", "ratio", "angle"))
_MODE1, _BODY, _BOWL, _GAUSS, _DOME, _EDGE = (
    COLUMN[name] for name in ("mode1", "body", "bowl", "gauss", "dome", "edge")
)
_CORE, _RING1, _FRINGE, _LIGHT, _SPOT1, _TEXTURE = (
    COLUMN[name] for name in ("core", "ring1", "fringe", "light", "spot1", "texture")
)
_OPACITY, _LEVEL, _MIX = (COLUMN[name] for name in ("opacity", "level", "mix"))


class Painted(NamedTuple):
    """What painting tells of each droplet, each of shape (n,).

    energy: sum of the squares of what the droplet changes and nothing covers, over a disc of 1.3 radii: rings of
        diffraction are not what a droplet is seen by.
    change: the sum of the same, signed, wherever it is.
    seen: px of the droplet that nothing covers, within the image.
    area: px of the droplet, those outside the image and below others among them.
    share: the energy over the sum of squares of all that varies in the painted image over that disc: about 1 for one
        that is alone or among its likes, near 0 for a faint one among strong ones.
    """

    energy: NDArray[np.float64]
    change: NDArray[np.float64]
    seen: NDArray[np.float64]
    area: NDArray[np.float64]
    share: NDArray[np.float64]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _support(p):
    """Distance in px, along a circle's radius, from which nothing of a droplet is left."""
    r = p[_R]
    far = r + 3.2 * p[_EDGE]
    if p[_GAUSS] > 0:
        far = max(far, 2.9 * r)
    if p[_CORE] != 0:
        far = max(far, p[_CORE + 1] * r + 3.2 * p[_CORE + 2])
    for k in range(3):
        q = _RING1 + 4 * k
        if p[q] != 0:
            far = max(far, r - p[q + 1] + 3.2 * p[q + 2])
    if p[_FRINGE] != 0:
        far = max(far, r + 3.5 * p[_FRINGE + 2])
    return far + 0.5


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _step(distance, edge):
    """Half at 0, falling with the distance as a step blurred by a Gaussian."""
    return 0.5 * math.erfc(distance / (1.4142135623730951 * edge))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _curves(p, far, samples, inner, outer, cover):
    """Curves of a droplet at distances from 0 to far: of its body, of its rings and fringes, and of what it covers."""
    r = p[_R]
    step = far / (samples - 1)
    half = 1.0 - 0.5 ** (1.0 / p[_DOME]) if p[_DOME] > 0 else 0.0
    for i in range(samples):
        d = i * step
        q = d * d / (r * r)
        rim = _step(d - r, p[_EDGE])
        body = rim * (1.0 + p[_BOWL] * (min(q, 1.3) - 0.5))
        if p[_DOME] > 0:
            body = max(1.0 - q * half, 0.0) ** p[_DOME]
        if p[_GAUSS] > 0:
            body = (1.0 - p[_GAUSS]) * body + p[_GAUSS] * 2.0 ** (-q)
            rim = (1.0 - p[_GAUSS]) * rim + p[_GAUSS] * 2.0 ** (-q)
        body *= p[_BODY]
        if p[_CORE] != 0:
            body += p[_CORE] * _step(d - p[_CORE + 1] * r, p[_CORE + 2])
        rings = 0.0
        for k in range(3):
            s = _RING1 + 4 * k
            if p[s] != 0:
                u = (d - r + p[s + 1]) / p[s + 2]
                if u < 0:
                    u /= p[s + 3]
                rings += p[s] * math.exp(-0.5 * u * u)
        if p[_FRINGE] != 0:
            decay = p[_FRINGE + 2] if d > r else p[_FRINGE + 3]
            if decay > 0:
                turn = 6.283185307179586 * (d - r) / p[_FRINGE + 1] + p[_FRINGE + 4]
                rings += p[_FRINGE] * math.cos(turn) * math.exp(-abs(d - r) / decay)
        inner[i] = body
        outer[i] = rings
        cover[i] = rim


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _lit(p, along, q):
    """Factor of the body's height by the light from a side: the place along it and its squared distance, in radii."""
    if p[_LIGHT] == LINEAR:
        g = along
    elif p[_LIGHT] == STEP:
        g = math.tanh(along / p[_LIGHT + 3])
    else:
        g = 2.0 * max(0.0, 0.7 * math.sqrt(max(0.0, 1.0 - q)) + 0.7 * along) - 1.0
    return 1.0 - p[_LIGHT + 1] + p[_LIGHT + 1] * g


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _texture(picture, x, y):
    """The picture of textures, repeated for ever, between its pixels."""
    h, w = picture.shape
    x0, y0 = math.floor(x), math.floor(y)
    fx, fy = x - x0, y - y0
    i0, j0 = int(y0) % h, int(x0) % w
    i1, j1 = (i0 + 1) % h, (j0 + 1) % w
    above = picture[i0, j0] * (1 - fx) + picture[i0, j1] * fx
    below = picture[i1, j0] * (1 - fx) + picture[i1, j1] * fx
    return above * (1 - fy) + below * fy


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _window(p, far, height, width):
    """First and last row and column, exclusive, of a droplet's window."""
    stretch = (1.0 + abs(p[_MODE1 + 1]) + abs(p[_MODE1 + 4])) / math.sqrt(p[_RATIO])
    e = far * stretch
    return (
        max(0, math.ceil(p[_Y] - e)),
        min(height, math.floor(p[_Y] + e) + 1),
        max(0, math.ceil(p[_X] - e)),
        min(width, math.floor(p[_X] + e) + 1),
    )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _paint(image, picture, rows):
    """Mix the droplets into the image, in place, and return what ``paint`` tells of each."""
    height, width = image.shape
    n = rows.shape[0]
    ground = image.copy()
    total = 0
    spans = np.zeros((n, 5), np.int64)
    for k in range(n):
        i0, i1, j0, j1 = _window(rows[k], _support(rows[k]), height, width)
        spans[k] = (i0, max(i0, i1), j0, max(j0, j1), total)
        total += (spans[k, 1] - i0) * (spans[k, 3] - j0)
    change = np.zeros(total, np.float32)
    covers = np.zeros(total, np.float32)
    inner, outer, cover = np.empty(SAMPLES), np.empty(SAMPLES), np.empty(SAMPLES)
    for k in range(n):
        p = rows[k]
        far = _support(p)
        samples = min(SAMPLES, int(6 * far) + 10)
        _curves(p, far, samples, inner, outer, cover)
        cosine, sine, root, r = math.cos(p[_ANGLE]), math.sin(p[_ANGLE]), math.sqrt(p[_RATIO]), p[_R]
        waves = p[_MODE1 + 1] != 0 or p[_MODE1 + 4] != 0
        mix = p[_MIX]
        light_x, light_y = math.cos(p[_LIGHT + 2]) / r, math.sin(p[_LIGHT + 2]) / r
        at = spans[k, 4]
        for i in range(spans[k, 0], spans[k, 1]):
            for j in range(spans[k, 2], spans[k, 3]):
                dx, dy = j - p[_X], i - p[_Y]
                ux = (dx * cosine + dy * sine) * root / r
                uy = (dy * cosine - dx * sine) / (root * r)
                q = ux * ux + uy * uy
                rho = math.sqrt(q)
                if waves:
                    theta = math.atan2(uy, ux)
                    rho /= (
                        1.0
                        + p[_MODE1 + 1] * math.cos(p[_MODE1] * theta + p[_MODE1 + 2])
                        + p[_MODE1 + 4] * math.cos(p[_MODE1 + 3] * theta + p[_MODE1 + 5])
                    )
                place = rho * r / far * (samples - 1)
                if place < samples - 1:
                    m = int(place)
                    t = place - m
                    body = inner[m] * (1 - t) + inner[m + 1] * t
                    rings = outer[m] * (1 - t) + outer[m + 1] * t
                    a = cover[m] * (1 - t) + cover[m + 1] * t
                    if p[_LIGHT] != 0:
                        body *= _lit(p, dx * light_x + dy * light_y, q)
                    if p[_TEXTURE] != 0:
                        body += (
                            p[_TEXTURE]
                            * a
                            * _texture(
                                picture, p[_TEXTURE + 1] + dx * p[_TEXTURE + 3], p[_TEXTURE + 2] + dy * p[_TEXTURE + 3]
                            )
                        )
                    value = body + rings
                    for h in range(2):
                        s = _SPOT1 + 4 * h
                        if p[s] != 0:
                            e = ((dx / r - p[s + 1]) ** 2 + (dy / r - p[s + 2]) ** 2) / (2 * p[s + 3] ** 2)
                            if e < 12:
                                value += p[s] * math.exp(-e)
                    opaque = p[_OPACITY] * a
                    old = image[i, j]
                    if mix == OVER:
                        new = old + opaque * (p[_LEVEL] - old) + value
                    elif mix == LARGER:
                        new = max(old, ground[i, j] + value)
                        opaque = 1.0 if new > old and abs(value) > 0.05 else 0.0
                    elif mix == SMALLER:
                        new = min(old, ground[i, j] + value)
                        opaque = 1.0 if new < old and abs(value) > 0.05 else 0.0
                    else:
                        new = old * max(0.0, 1.0 + value)
                        opaque = 0.0
                    image[i, j] = new
                    change[at] = new - old
                    covers[at] = opaque
                at += 1
    energy, signed, seen, area, share = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    through = np.ones((height, width), np.float32)
    for k in range(n - 1, -1, -1):
        p = rows[k]
        cosine, sine, root, r = math.cos(p[_ANGLE]), math.sin(p[_ANGLE]), math.sqrt(p[_RATIO]), p[_R]
        area[k] = math.pi * r * r
        at = spans[k, 4]
        first, second, pixels = 0.0, 0.0, 0
        for i in range(spans[k, 0], spans[k, 1]):
            for j in range(spans[k, 2], spans[k, 3]):
                t = through[i, j]
                d = change[at] * t
                signed[k] += d
                dx, dy = j - p[_X], i - p[_Y]
                ux = (dx * cosine + dy * sine) * root / r
                uy = (dy * cosine - dx * sine) / (root * r)
                if ux * ux + uy * uy <= 1.0:
                    seen[k] += t
                if ux * ux + uy * uy <= AROUND * AROUND:
                    energy[k] += d * d
                    first += image[i, j]
                    second += image[i, j] * image[i, j]
                    pixels += 1
                if covers[at] > 0:
                    through[i, j] = t * (1.0 - covers[at])
                at += 1
        if pixels > 0:
            share[k] = energy[k] / max(second - first * first / pixels, 1e-12)
    return energy, signed, seen, area, share


def paint(image: NDArray[np.float32], droplets: Droplets, picture: NDArray[np.float32]) -> Painted:
    """Paint droplets into an image, in place, the first lowest.

    Args:
        image: shape (h, w); what lies under the droplets.
        droplets: the table of them.
        picture: any picture of textures of mean 0 and standard deviation 1, read inside textured droplets.
    """
    return Painted(*_paint(image, picture, droplets.rows))
