"""Patterns that repeat: stripes, checkers, grids, bricks, waves and honeycombs."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..chance import choose
from ..fields import texture

Rng = np.random.Generator
Picture = NDArray[np.float32]
Plane = NDArray[np.floating]


def tiling(rng: Rng, size: int, blur: float) -> Picture:
    """Stripes, checkers, grids, bricks, waves, hexagons, of periods that the blur does not round."""
    axis = np.arange(size, dtype=np.float32)
    angle = rng.choice([0.0, rng.uniform(0, math.pi)])
    period = np.float32(choose(rng, 3 + 6 * blur, 0.5 * size))
    x, y = np.meshgrid(axis, axis)
    u = (x * np.float32(math.cos(angle)) + y * np.float32(math.sin(angle))) / period + np.float32(rng.random())
    v = (y * np.float32(math.cos(angle)) - x * np.float32(math.sin(angle))) / period + np.float32(rng.random())
    v = v * np.float32(rng.choice([1.0, rng.uniform(0.5, 2)]))
    duty = np.float32(rng.choice([0.5, choose(rng, 0.06, 0.5)]))
    return TILINGS[rng.integers(len(TILINGS))](rng, u, v, duty).astype(np.float32)


def stripes(rng: Rng, u: Plane, v: Plane, duty: np.float32) -> NDArray[Any]:
    """Bars along v."""
    return u % 1 < duty


def checkers(rng: Rng, u: Plane, v: Plane, duty: np.float32) -> NDArray[Any]:
    """Squares in turn bright and dark."""
    return (u % 2 < 1) ^ (v % 2 < 1)


def grid(rng: Rng, u: Plane, v: Plane, duty: np.float32) -> NDArray[Any]:
    """Lines along both axes."""
    return (u % 1 < duty / 2) | (v % 1 < duty / 2)


def bricks(rng: Rng, u: Plane, v: Plane, duty: np.float32) -> NDArray[Any]:
    """A wall of bricks twice as long as high, each of a brightness of its own."""
    row = np.floor(v)
    along = u / 2 + 0.5 * (row % 2)
    joint = (along % 1 < duty / 4) | (v % 1 < duty / 2)
    shade = texture(rng, 64)[(row % 64).astype(int), (np.floor(along) % 64).astype(int)]
    return np.where(joint, np.float32(1), np.float32(rng.uniform(0, 0.3)) * shade)


def waves(rng: Rng, u: Plane, v: Plane, duty: np.float32) -> NDArray[Any]:
    """A sine, or two that beat: moire."""
    turn = np.float32(2 * math.pi)
    value = 0.5 + 0.5 * np.sin(turn * u)
    if rng.random() < 0.5:
        other = np.float32(rng.uniform(0.8, 1.25)) * u + np.float32(0.2) * v
        value = value * (0.5 + 0.5 * np.sin(turn * other))
    return value


def crate(rng: Rng, u: Plane, v: Plane, duty: np.float32) -> NDArray[Any]:
    """Two sines across each other: as many bright places as dark, in rows, and flat nowhere."""
    turn = np.float32(2 * math.pi)
    one, two = np.sin(turn * u / 2), np.sin(turn * v / 2)
    return 0.5 + (0.5 * one * two if rng.random() < 0.5 else 0.25 * (one + two))


def hexagons(rng: Rng, u: Plane, v: Plane, duty: np.float32) -> NDArray[Any]:
    """The walls of a honeycomb: near to as much as duty / 2 of the next centre as of the nearest."""
    root = np.float32(math.sqrt(3))
    u, v = u / 2, v / 2  # cells of twice the period: small ones are discs after a blur
    one = np.hypot(np.abs((u + 0.5) % 1 - 0.5), np.abs((v + root / 2) % root - root / 2))
    two = np.hypot(np.abs(u % 1 - 0.5), np.abs(v % root - root / 2))
    side = np.hypot(1 - np.abs((u + 0.5) % 1 - 0.5), np.abs((v + root / 2) % root - root / 2))
    other = np.hypot(1 - np.abs(u % 1 - 0.5), np.abs(v % root - root / 2))
    ranked = np.sort(np.stack([one, two, side, other]), axis=0)
    return ranked[1] - ranked[0] < min(float(duty), 0.2) / 2


TILINGS = (stripes, checkers, checkers, grid, bricks, waves, crate, crate, hexagons)
