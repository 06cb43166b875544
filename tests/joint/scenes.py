"""Images with droplets of a known truth, and how far a joint fit is from it."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pyrodrop.joint.joint_fit import JointFit
from pyrodrop.rendering import render

Numbers = NDArray[np.float64]
SHAPE = {
    "gaussian": [],
    "disc": [1.1],
    "radial": [1.1, 0.5, 0.2, 0.0, -0.3, -0.4],
    "rimmed": [1.1, 1.4, -0.6, 0.25],
}


class Scene(NamedTuple):
    """An image (C, H, W) and the droplets in it."""

    image: Numbers
    x: Numbers
    y: Numbers
    r: Numbers
    amplitude: Numbers

    def start(self, seed: int = 1, px: float = 0.6, share: float = 0.1) -> tuple[Numbers, Numbers, Numbers]:
        """Where a finder would see the droplets."""
        g = np.random.default_rng(seed)
        n = len(self.x)
        return self.x + g.normal(0, px, n), self.y + g.normal(0, px, n), self.r * np.exp(g.normal(0, share, n))


def scene(
    profile: str, places: Any, size: tuple[int, int] = (64, 64), noise: float = 0.02, channels: int = 1, seed: int = 0
) -> Scene:
    """An image on a sloping background of droplets given as rows x, y, r, amplitude in every channel."""
    g = np.random.default_rng(seed)
    rows = np.array(places, dtype=np.float64).reshape(-1, 3 + channels)
    x, y, r, a = rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3:].T
    shape = torch.tensor(SHAPE[profile], dtype=torch.float64) if SHAPE[profile] else None
    slope = 0.3 + 0.1 * np.linspace(0, 1, size[0])[:, None] - 0.05 * np.linspace(0, 1, size[1])
    image = np.empty((channels, *size))
    for c in range(channels):
        at = [torch.tensor(np.ascontiguousarray(v)) for v in (x, y, r, a[c])]
        droplets = render(*at, at[0].new_zeros(()), size, profile, "reference", shape)
        image[c] = droplets.numpy() + slope + noise * g.standard_normal(size)
    return Scene(image, x, y, r, a)


def crowd(seed: int, size: tuple[int, int], apart: float, number: int, radii: tuple[float, float]) -> Numbers:
    """Droplets at random, no two nearer than a share of the sum of their radii."""
    g = np.random.default_rng(seed)
    kept: list[Numbers] = []
    for _ in range(50 * number):
        r = g.uniform(*radii)
        row = np.array([g.uniform(2 * r, size[1] - 2 * r), g.uniform(2 * r, size[0] - 2 * r), r, g.uniform(0.2, 0.5)])
        row[3] *= g.choice([-1, 1])
        if all(np.hypot(*(row[:2] - k[:2])) > apart * (r + k[2]) for k in kept):
            kept.append(row)
        if len(kept) == number:
            break
    return np.array(kept)


def errors(fit: JointFit, truth: Scene) -> Numbers:
    """Errors of x, y, log r and the amplitudes in reported standard deviations, shape (N, 3 + C)."""
    away = [
        fit.x - truth.x,
        fit.y - truth.y,
        np.log(fit.r / truth.r),
        *(fit.amplitude - truth.amplitude),
    ]
    return np.stack(away, 1) / np.sqrt(np.einsum("nii->ni", fit.posterior.covariance))
