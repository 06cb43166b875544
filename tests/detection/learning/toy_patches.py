"""Plain discs in noise: enough to see that something is learnt."""

from typing import NamedTuple

import numpy as np


class Patches(NamedTuple):
    """What a simulator returns."""

    images: np.ndarray
    circles: list[np.ndarray]
    kinds: list[str]


def discs(n: int, size: int, seed: int) -> Patches:
    """Bright discs of radius 4 to 7 px, apart."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[:size, :size]
    images, circles = [], []
    for _ in range(n):
        image, rows = 0.1 * rng.normal(size=(size, size)), np.zeros((0, 8))
        for _ in range(12):
            x, y, r = (*rng.uniform(0, size, 2), rng.uniform(4, 7))
            if (np.hypot(rows[:, 0] - x, rows[:, 1] - y) > rows[:, 2] + r + 2).all() and max(x, y) < size - 1:
                image += 1 / (1 + np.exp(np.clip((np.hypot(xx - x, yy - y) - r) / 0.5, -30, 30)))
                rows = np.vstack([rows, [x, y, r, 1, 0, 50, 0, 1]])
        images.append(image.astype(np.float32))
        circles.append(rows.astype(np.float32))
    return Patches(np.stack(images), circles, ["disc"] * n)
