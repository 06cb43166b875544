"""Hard discs of known place, blurred and in noise, that nothing of the package has drawn."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pyrodrop.joint.joint_fit import JointFit, fit_jointly

Array = NDArray[np.float64]
FINE, SIDE, NOISE = 4, 120, 0.02


def places(seed: int) -> Array:
    """x, y, r, height of 16 droplets on a grid, (4, 16)."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(*[np.arange(16, SIDE, 29.0)] * 2)
    jitter = rng.uniform(-2, 2, (2, 16))
    return np.array([x.ravel() + jitter[0], y.ravel() + jitter[1], rng.uniform(4, 8, 16), rng.uniform(0.2, 0.4, 16)])


def discs(droplets: Array, blur: float) -> Array:
    """Hard discs on a grid four times as fine, blurred, (SIDE, SIDE)."""
    at = (np.arange(SIDE * FINE) + 0.5) / FINE - 0.5
    image = np.zeros((SIDE * FINE, SIDE * FINE))
    for x, y, r, height in droplets.T:
        image += height * np.clip((r - np.hypot(at[:, None] - y, at - x)) * FINE + 0.5, 0, 1)
    return np.asarray(gaussian_filter(image, blur * FINE).reshape(SIDE, FINE, SIDE, FINE).mean((1, 3)))


def noisy(image: Array, seed: int) -> Array:
    return 0.3 + image + NOISE * np.random.default_rng([seed, 1]).standard_normal(image.shape)


def fitted(image: Array, droplets: Array, profile: str = "disc") -> JointFit:
    return fit_jointly(image, *droplets[:3], profile=profile)


BLURRED = np.arange(16) % 4 == 1
