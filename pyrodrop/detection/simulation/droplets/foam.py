"""Foams and emulsions pressed into polygons: cells that share their walls.

The cells are those of the power diagram of circles: a point belongs to the circle of least d^2 - r^2, and its distance
to the wall with the next is half the difference of both over the distance of the two centres. Taking the distances to
all walls together as a soft minimum rounds the corners, where the walls meet in filled triangles, as Plateau borders
do. In a wet foam the cells end at their circles too.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from ..chance import choose
from .arrangements import Circles, packed
from .columns import Droplets
from .painting import Painted

Picture = NDArray[np.float32]
FEW = 160  # cells, for the time that they take


class Walls(NamedTuple):
    """How cells are drawn: the wall's height and width, a second line inside, the bodies, light from a side."""

    wall: float
    width: float
    line: float
    line_at: float
    body: float
    tilt: float
    direction: float


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _distances(x, y, r, size, round_px, wet):
    """The cell of each pixel and the distance in px to its walls, both (size, size)."""
    n = x.shape[0]
    owner = np.zeros((size, size), np.int64)
    distance = np.zeros((size, size), np.float32)
    for i in range(size):
        for j in range(size):
            best, power = 0, 1e30
            for k in range(n):
                p = (j - x[k]) ** 2 + (i - y[k]) ** 2 - r[k] * r[k]
                if p < power:
                    best, power = k, p
            least = 1e30
            total = 0.0
            for k in range(n):
                if k != best:
                    p = (j - x[k]) ** 2 + (i - y[k]) ** 2 - r[k] * r[k]
                    if p - power < 60.0 * round_px * r[best] + 400.0:
                        d = 0.5 * (p - power) / math.hypot(x[k] - x[best], y[k] - y[best])
                        least = min(least, d)
                        total += math.exp(-d / round_px)
            if wet > 0:
                d = wet * r[best] - math.hypot(j - x[best], i - y[best])
                least = min(least, d)
                total += math.exp(-max(d, -30.0 * round_px) / round_px)
            owner[i, j] = best
            distance[i, j] = min(-round_px * math.log(total) if total > 0 else least, 500.0)
    return owner, distance


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _moments(owner, distance, value, x, y):
    """Pixels, centre, second moments, energy and change of each cell, and whether the border cuts it: (n, 9)."""
    n = x.shape[0]
    out = np.zeros((n, 9))
    size = owner.shape[0]
    for i in range(size):
        for j in range(size):
            k = owner[i, j]
            v = value[i, j]
            out[k, 6] += v * v
            out[k, 7] += v
            if distance[i, j] > 0:
                out[k, 0] += 1
                out[k, 1] += j
                out[k, 2] += i
                out[k, 3] += (j - x[k]) ** 2
                out[k, 4] += (i - y[k]) ** 2
                out[k, 5] += (j - x[k]) * (i - y[k])
                if i == 0 or j == 0 or i == size - 1 or j == size - 1:
                    out[k, 8] = 1.0
    return out


def drawn(rng: np.random.Generator) -> Walls:
    """Dark or bright walls, thin or thick; lines inside them, bodies and light from a side, or none."""
    width = choose(rng, 0.6, 3.0)
    return Walls(
        wall=rng.choice([-1.0, 1.0]),
        width=width,
        line=rng.choice([0.0, rng.uniform(-0.7, 0.7)]),
        line_at=width * rng.uniform(1.5, 4),
        body=rng.choice([0.0, choose(rng, 0.05, 0.6)]),
        tilt=rng.choice([0.0, rng.uniform(0.1, 0.8)]),
        direction=rng.uniform(0, 2 * math.pi),
    )


def foam(rng: np.random.Generator, image: Picture, factor: float, size: int) -> tuple[Droplets, Painted]:
    """Draw a foam into an image, in place, and tell of its cells.

    A cell's circle is about its centre of gravity and of its area, within the middle of the walls. Cells cut by the
    border, which have neither within the image, keep the circle that they were made of, made smaller as the others
    were on average.

    Args:
        rng: numbers.
        image: shape (width, width).
        factor: px of the final image a px of this one.
        size: side of the final image in px.
    """
    width = image.shape[0]
    least = max(5.0, 1.1 * width / math.sqrt(math.pi * FEW / 2), 5 / factor)
    circles: Circles = packed(rng, float(width), choose(rng, least, size / 3.2 / factor), choose(rng, 0.03, 0.45), 1e9)
    x, y, r = circles
    walls = drawn(rng)
    wet = rng.choice([0.0, rng.uniform(0.9, 1.15)])
    owner, distance = _distances(x, y, r, width, choose(rng, 0.3, 3.0), wet)
    tones = np.float32(walls.body) * rng.standard_normal(len(x)).astype(np.float32)
    inside = 1 / (1 + np.exp(np.clip(-2 * distance / np.float32(walls.width), -30, 30)))
    value = np.float32(walls.wall) * np.exp(-0.5 * (np.maximum(distance, 0) / np.float32(walls.width)) ** 2)
    off = (distance - np.float32(walls.line_at)) / np.float32(walls.width)
    value += np.float32(walls.line) * np.exp(-0.5 * off**2)
    value += inside * tones[owner]
    if walls.tilt:
        axis = np.arange(width, dtype=np.float32)
        along = (axis[None, :] - x[owner]) * math.cos(walls.direction) + (axis[:, None] - y[owner]) * math.sin(
            walls.direction
        )
        value += walls.tilt * inside * along / r[owner]
    value = value.astype(np.float32)
    image += value
    table = _moments(owner, distance, value, x, y)
    area = np.maximum(table[:, 0], 1)
    whole = (table[:, 8] == 0) & (table[:, 0] > 9)
    d = Droplets(len(x))
    shrunk = float(np.median(np.sqrt(area[whole] / math.pi) / r[whole])) if whole.any() else 0.9
    centre = table[:, 1:3] / area[:, None]
    d.x, d.y = np.where(whole, centre[:, 0], x), np.where(whole, centre[:, 1], y)
    d.r = np.where(whole, np.sqrt(area / math.pi), shrunk * r)
    dx, dy = centre[:, 0] - x, centre[:, 1] - y
    xx, yy, xy = table[:, 3] / area - dx**2, table[:, 4] / area - dy**2, table[:, 5] / area - dx * dy
    middle, split = 0.5 * (xx + yy), np.hypot(0.5 * (xx - yy), xy)
    ratio = np.sqrt(np.maximum(middle - split, 0.0) / np.maximum(middle + split, 1e-9))
    d.ratio = np.where(whole, np.clip(ratio, 0.5, 1.0), 1.0)
    d.angle = np.where(whole, 0.5 * np.arctan2(2 * xy, xx - yy), 0.0)
    d.ring1, d.ring1_w = 1.0, walls.width
    seen = table[:, 0]
    hidden = (table[:, 0] < 5) & (np.minimum(x, y) > 0) & (np.maximum(x, y) < width - 1)
    energy = np.where(hidden, 0.0, table[:, 6])
    return d, Painted(energy, table[:, 7], seen, np.maximum(math.pi * d.r**2, 1.0), np.ones(len(d)))
