"""What a sensor adds to the light: noise of many kinds, hot and dead pixels."""

import math

import numpy as np
from numpy.typing import NDArray

from ..chance import choose
from ..fields import texture
from ..filters import blurred

Rng = np.random.Generator
Picture = NDArray[np.float32]


def noise(rng: Rng, image: Picture, sd: float) -> Picture:
    """Noise of this standard deviation a pixel: white, growing with the light, correlated over pixels, 1/f, by rows."""
    size = image.shape[0]
    field = rng.standard_normal((size, size), dtype=np.float32)
    kind = rng.random()
    if kind < 0.2:
        sigma = choose(rng, 0.4, 2.0)
        field = blurred(field, sigma) * np.float32(math.sqrt(1 + 4 * math.pi * sigma**2 * min(1, sigma**2)))
    elif kind < 0.27:
        field = 0.8 * field + 0.6 * texture(rng, size, 1.0, exponent=int(rng.integers(0, 3)))
    if rng.random() < 0.3:
        low, high = float(image.min()), float(image.max())
        level = (image - np.float32(low)) / np.float32(high - low + 1e-6)
        field = field * np.sqrt(np.float32(rng.uniform(0.05, 1)) + np.float32(choose(rng, 0.3, 6)) * level)
    if rng.random() < 0.08:
        field = field + np.float32(rng.uniform(0.2, 1.5)) * rng.standard_normal((size, 1), dtype=np.float32)
    return np.float32(sd) * field


def hot(rng: Rng, image: Picture, height: float) -> None:
    """Hot and dead pixels, in place."""
    n = int(choose(rng, 1, 60))
    i, j = rng.integers(0, image.shape[0], (2, n))
    image[i, j] += np.float32(height) * rng.choice([-1, 1], n, p=[0.2, 0.8]).astype(np.float32)
