"""Images that are as the joint fit's model says, with circles as the broad simulations have them."""

import numpy as np
from numpy.typing import NDArray

from pyrodrop.detection.learning.targets import COLUMN
from pyrodrop.images.simulation.simulate import simulate
from pyrodrop.rendering import profile_named


def as_the_model_says(size: int, seed: np.random.SeedSequence) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """An image (size, size) of Gaussians or discs that add up, in white noise, and its circles (m, 8).

    Every order of magnitude of the number, the radii and the noise is as likely as the next. A droplet's detectability
    is its height over the noise times the root of its pixels; of two closer than half a radius neither is asked for.
    """
    rng = np.random.default_rng(seed)

    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    profile = profile_named(str(rng.choice(["gaussian", "disc"])))
    smallest, noise = log_uniform(1.5, 12.0), log_uniform(0.003, 0.2)
    image, truth = simulate(
        round(log_uniform(1, min(100.0, (size / 4 / smallest) ** 2))),
        (size, size),
        seed=int(rng.integers(2**31)),
        kind="gray",
        profile=profile.name,
        radius_px=(smallest, smallest * log_uniform(1.05, 2.0)),
        separation=float(rng.choice([0.0, 0.7, 1.2])),
        noise=noise,
    )
    x, y, r, height = truth[["x_px", "y_px", "radius_px", "amplitude"]].to_numpy(float).T
    distance = np.hypot(x[:, None] - x, y[:, None] - y) + np.where(np.eye(len(x), dtype=bool), np.inf, 0.0)
    circles = np.zeros((len(x), len(COLUMN)))
    circles[:, COLUMN.x], circles[:, COLUMN.y] = x, y
    circles[:, COLUMN.radius] = profile.half_radius(r, profile.initial_shape)
    circles[:, COLUMN.axis_ratio], circles[:, COLUMN.sign] = 1.0, 1.0
    apart = (distance > 0.5 * np.maximum(r[:, None], r)).all(1)
    circles[:, COLUMN.detectability] = np.where(apart, height / noise * np.sqrt(np.pi) * r, 0.0)
    return image.pixels[..., 0].numpy().astype(np.float32), circles.astype(np.float32)
