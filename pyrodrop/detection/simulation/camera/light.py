"""Light on a patch without droplets: gradients, vignettes, soft fields, blobs and tissue."""

import math

import numpy as np
from numpy.typing import NDArray

from ..chance import choose
from ..fields import texture

Picture = NDArray[np.float32]


def slope(rng: np.random.Generator, size: int) -> Picture:
    """A plane, or a plane that bends; from -1 to 1."""
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    plane = axis[:, None] * np.float32(math.sin(angle)) + axis[None, :] * np.float32(math.cos(angle))
    if rng.random() < 0.4:
        plane = plane + np.float32(rng.normal(0, 0.7)) * plane**2
    return plane.astype(np.float32)


def blobs(rng: np.random.Generator, size: int) -> Picture:
    """A few soft blobs far larger than droplets: background, whatever shines there."""
    axis = np.arange(size, dtype=np.float32)
    total = np.zeros((size, size), np.float32)
    for _ in range(int(rng.integers(1, 5))):
        x, y = rng.uniform(-0.3 * size, 1.3 * size, 2)
        width = rng.uniform(0.3, 0.8, 2) * size
        total += np.float32(rng.normal()) * np.outer(
            np.exp(-0.5 * ((axis - y) / width[1]) ** 2), np.exp(-0.5 * ((axis - x) / width[0]) ** 2)
        ).astype(np.float32)
    return total


def ground(rng: np.random.Generator, size: int) -> Picture:
    """What lies under droplets of contrast 1: often flat, seldom as uneven as the droplets are high or more."""
    total = np.zeros((size, size), np.float32)
    if rng.random() < 0.4:
        total += np.float32(choose(rng, 0.03, 2)) * slope(rng, size)
    if rng.random() < 0.3:
        total += np.float32(choose(rng, 0.05, 2)) * texture(rng, size, rng.uniform(2, 8), exponent=6)
    if rng.random() < 0.2:
        total += np.float32(choose(rng, 0.1, 3)) * blobs(rng, size)
    if rng.random() < 0.3:
        total += np.float32(choose(rng, 0.03, 0.7)) * texture(rng, size, choose(rng, 0.7, 4))
    return total


def vignette(rng: np.random.Generator, size: int) -> Picture:
    """A factor for the whole patch: light that falls off from a point in or beside it; at most 1."""
    axis = np.arange(size, dtype=np.float32)
    x, y = rng.uniform(-0.5 * size, 1.5 * size, 2)
    width = rng.uniform(0.8, 2.5) * size
    strength = np.float32(rng.uniform(0.1, 0.9))
    fall = np.outer(np.exp(-0.5 * ((axis - y) / width) ** 2), np.exp(-0.5 * ((axis - x) / width) ** 2))
    return (1 - strength + strength * fall).astype(np.float32)
