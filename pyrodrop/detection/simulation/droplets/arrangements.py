"""Where droplets lie and how large they are: from one to a packed field.

Every arrangement covers more than the window, so that its border cuts droplets as a camera's does.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from ..chance import choose

MOST = 450  # droplets in a window
Floats = NDArray[np.float64]


class Circles(NamedTuple):
    """Circles, each field of shape (n,): centre and radius in px of the painted grid."""

    x: Floats
    y: Floats
    r: Floats

    def take(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> "Circles":
        """The circles of these numbers, or where this is true."""
        return Circles(self.x[which], self.y[which], self.r[which])


def radii(rng: np.random.Generator, n: int, r: float, spread: float, largest: float) -> Floats:
    """Radii about r, log-normal with this spread or, one time in five, of two sizes; at most the largest."""
    drawn = r * np.exp(spread * rng.standard_normal(n))
    if rng.random() < 0.2:
        drawn[rng.random(n) < rng.uniform(0.1, 0.9)] *= rng.uniform(0.3, 0.8)
    return np.clip(drawn, 0.4 * r, max(largest, r))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sequential(r, gap, uniforms, width, margin):
    """Place circles one after another where they touch none, gap times their radii apart; which were placed."""
    n, tries = r.shape[0], uniforms.shape[1]
    x, y, placed = np.zeros(n), np.zeros(n), np.zeros(n, np.bool_)
    for k in range(n):
        for t in range(tries):
            a = uniforms[k, t, 0] * (width + 2 * margin) - margin
            b = uniforms[k, t, 1] * (width + 2 * margin) - margin
            free = True
            for m in range(k):
                least = gap * (r[k] + r[m])
                if placed[m] and (x[m] - a) ** 2 + (y[m] - b) ** 2 < least * least:
                    free = False
                    break
            if free:
                x[k], y[k], placed[k] = a, b, True
                break
    return x, y, placed


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _relax(x, y, r, rounds, low, high):
    """Push overlapping circles apart, in place, within a box."""
    n = x.shape[0]
    for _ in range(rounds):
        for k in range(n):
            for m in range(k):
                dx, dy, least = x[k] - x[m], y[k] - y[m], r[k] + r[m]
                if abs(dx) < least and abs(dy) < least:
                    d = math.sqrt(dx * dx + dy * dy) + 1e-9
                    if d < least:
                        push = 0.5 * (least - d) / d
                        x[k] += push * dx
                        y[k] += push * dy
                        x[m] -= push * dx
                        y[m] -= push * dy
            x[k] = min(max(x[k], low), high)
            y[k] = min(max(y[k], low), high)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def distinct(x, y, r, apart):
    """Which circles to keep so that none lies nearly on another of nearly its size: nobody could tell them apart."""
    n = x.shape[0]
    keep = np.ones(n, np.bool_)
    for k in range(n):
        for m in range(k):
            if keep[m]:
                large, small = max(r[k], r[m]), min(r[k], r[m])
                near = (x[k] - x[m]) ** 2 + (y[k] - y[m]) ** 2 < (apart * large) ** 2
                if near and small > 0.5 * large:
                    keep[k] = False
                    break
    return keep


def number(rng: np.random.Generator, cover: float, r: float, side: float) -> int:
    """How many circles of about this radius cover this share of a square."""
    mean = cover * side**2 / (math.pi * r**2)
    return int(min(max(1, rng.poisson(min(mean, 2 * MOST))), MOST))


def scattered(rng: np.random.Generator, width: float, r: float, spread: float, largest: float) -> Circles:
    """Anywhere, over each other too, in some windows denser to one side."""
    margin = 1.0 * r
    n = number(rng, choose(rng, 0.01, 0.7), r, width + 2 * margin)
    x, y = rng.uniform(-margin, width + margin, (2, n))
    size = radii(rng, n, r, spread, largest)
    if rng.random() < 0.25:
        angle = rng.uniform(0, 2 * math.pi)
        along = ((x - width / 2) * math.cos(angle) + (y - width / 2) * math.sin(angle)) / width
        keep = rng.random(n) < 1 / (1 + np.exp(-rng.uniform(3, 15) * along))
        x, y, size = x[keep], y[keep], size[keep]
    circles = Circles(x, y, size)
    return circles.take(distinct(x, y, size, rng.uniform(0.4, 0.9)))


def apart(rng: np.random.Generator, width: float, r: float, spread: float, largest: float) -> Circles:
    """Without touching, few or as many as fall in at random."""
    margin = 1.0 * r
    n = number(rng, choose(rng, 0.01, 1.0), r, width + 2 * margin)
    size = radii(rng, n, r, spread, largest)
    if rng.random() < 0.5:
        size = -np.sort(-size)
    gap = 1.0 + abs(rng.normal(0, 0.2))
    x, y, placed = _sequential(size, gap, rng.random((n, 25, 2)), width, margin)
    return Circles(x, y, size).take(placed)


def graded(rng: np.random.Generator, width: float, r: float, spread: float, largest: float) -> Circles:
    """All sizes at once: radii of a power law, the largest first, the small between the large or on them as well."""
    top = min(max(4 * r, 8.0), largest)
    low, power = max(0.6 * r, top / 25), rng.uniform(1.5, 3.5)
    share = rng.random(int(choose(rng, 20, MOST)))
    e = 1 - power
    size = -np.sort(-((low**e + share * (top**e - low**e)) ** (1 / e)))
    margin = 0.7 * top
    gap = rng.choice([1.0, rng.uniform(0.9, 1.2)])
    x, y, placed = _sequential(size, gap, rng.random((len(size), 30, 2)), width, margin)
    if rng.random() < 0.25:
        x[~placed], y[~placed] = rng.uniform(-margin, width + margin, (2, int((~placed).sum())))
        placed |= size < 0.3 * top
    return Circles(x, y, size).take(placed)


def packed(rng: np.random.Generator, width: float, r: float, spread: float, largest: float) -> Circles:
    """Pushed together until nearly every gap is closed; overlapping a little or much."""
    margin = 1.5 * r
    n = number(rng, rng.uniform(0.55, 1.1), r, width + 2 * margin)
    size = radii(rng, n, r, spread, largest)
    x, y = rng.uniform(-margin, width + margin, (2, n))
    _relax(x, y, size, int(rng.integers(5, 25)), -margin, width + margin)
    size = size * rng.uniform(0.85, 1.08)
    return Circles(x, y, size).take(distinct(x, y, size, 0.6))


def lattice(rng: np.random.Generator, width: float, r: float, spread: float, largest: float) -> Circles:
    """In hexagons or rows and columns, turned, with jitter and with vacancies."""
    pitch = max(2 * r * rng.choice([rng.uniform(0.92, 1.1), rng.uniform(1.1, 2.2)]), 2 * width / MOST**0.5)
    half = int(0.75 * width / pitch) + 2
    j, i = np.meshgrid(np.arange(-half, half + 1.0), np.arange(-half, half + 1.0))
    if rng.random() < 0.65:
        u, v = j + 0.5 * (i % 2), i * math.sqrt(0.75)
    else:
        u, v = j, i * rng.uniform(0.9, 1.2)
    angle = rng.choice([0.0, rng.uniform(0, math.pi)])
    jitter = pitch * abs(rng.normal(0, 0.06))
    shift = rng.uniform(-0.5, 0.5, 2) * pitch + width / 2
    x = pitch * (u * math.cos(angle) - v * math.sin(angle)) + shift[0]
    y = pitch * (u * math.sin(angle) + v * math.cos(angle)) + shift[1]
    keep = (np.minimum(x, y) > -r) & (np.maximum(x, y) < width + r)
    keep &= rng.random(x.shape) > rng.choice([0.0, rng.uniform(0, 0.5)])
    x, y = x[keep], y[keep]
    x, y = x + jitter * rng.standard_normal(len(x)), y + jitter * rng.standard_normal(len(y))
    size = radii(rng, len(x), r, min(spread, 0.12), largest)
    return Circles(x, y, size).take(distinct(x, y, size, 0.6))


def clusters(rng: np.random.Generator, width: float, r: float, spread: float, largest: float) -> Circles:
    """Heaps in which each circle touches another, with empty places between."""
    n = number(rng, choose(rng, 0.03, 0.6), r, width + 2 * r)
    size = radii(rng, n, r, spread, largest)
    fresh = rng.random(n) < rng.uniform(0.03, 0.4)
    near = rng.uniform(0.75, 1.03)
    x, y = rng.uniform(-r, width + r, (2, n))
    for k in range(1, n):
        if fresh[k]:
            continue
        for parent, angle in zip(rng.integers(0, k, 4), rng.uniform(0, 2 * math.pi, 4), strict=True):
            x[k] = x[parent] + near * (size[k] + size[parent]) * math.cos(angle)
            y[k] = y[parent] + near * (size[k] + size[parent]) * math.sin(angle)
            others = np.hypot(x[:k] - x[k], y[:k] - y[k]) - 0.95 * near * (size[:k] + size[k])
            if others.min() >= 0:
                break
    keep = (np.minimum(x, y) > -r) & (np.maximum(x, y) < width + r)
    return Circles(x, y, size).take(keep & distinct(x, y, size, 0.7))


def single(rng: np.random.Generator, width: float, r: float, spread: float, largest: float) -> Circles:
    """A few, from one to four."""
    n = int(rng.integers(1, 5))
    x, y = rng.uniform(0.05 * width, 0.95 * width, (2, n))
    size = radii(rng, n, r, spread, largest)
    return Circles(x, y, size).take(distinct(x, y, size, 0.9))


def inside(rng: np.random.Generator, outer: Circles, share: float, several: bool) -> tuple[Circles, NDArray[np.intp]]:
    """Circles within others: one a circle or several, of this share of its radius; and the number of the outer one."""
    xs: list[float] = []
    ys: list[float] = []
    rs: list[float] = []
    parents: list[int] = []
    for k in range(len(outer.x)):
        n = int(rng.integers(1, 1 + max(1, min(12, int(0.6 / share**2))))) if several else 1
        size = outer.r[k] * share * np.exp(0.1 * rng.standard_normal(n))
        size = np.minimum(size, 0.75 * outer.r[k])
        uniforms = rng.random((n, 15, 2))
        distance = (outer.r[k] - size)[:, None] * 0.95 * np.sqrt(uniforms[..., 0])
        if not several:
            distance = distance * rng.random()
        placed: list[int] = []
        for m in range(n):
            for d, turn in zip(distance[m], uniforms[m, :, 1] * 2 * math.pi, strict=True):
                x, y = outer.x[k] + d * math.cos(turn), outer.y[k] + d * math.sin(turn)
                if all(math.hypot(x - xs[p], y - ys[p]) > size[m] + rs[p] for p in placed):
                    placed.append(len(xs))
                    xs.append(x)
                    ys.append(y)
                    rs.append(float(size[m]))
                    parents.append(k)
                    break
    return Circles(np.array(xs), np.array(ys), np.array(rs)), np.array(parents, dtype=np.intp)


ARRANGEMENTS = {
    "scattered": scattered,
    "apart": apart,
    "graded": graded,
    "packed": packed,
    "lattice": lattice,
    "clusters": clusters,
    "single": single,
}
