"""Droplets of several looks, painted on a fine grid by formulas that are not the package's model."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Array = NDArray[np.float64]
SIDE, FINE, SPREAD, NOISE = 128, 4, 0.8, 0.015


class Scene(NamedTuple):
    """An image (C, H, W) in [0, 1], and its droplets: centres and radii of the outer rim, px, and the kind of each."""

    image: Array
    x: Array
    y: Array
    r: Array
    kind: NDArray[np.int64]


def halfmoon(u: Array, v: Array, r: float) -> Array:
    """Dark above, light below, parted sharply."""
    return np.where(v < -0.1, -0.8, 0.6)


def shaded(u: Array, v: Array, r: float) -> Array:
    """Dark above, fading to nothing at the lower rim."""
    return -0.5 * (1 - v)


def rim(u: Array, v: Array, r: float) -> Array:
    """A dark rim of 1.5 px, gray inside as outside."""
    return np.where(np.hypot(u, v) * r > r - 1.5, -1.0, 0.0)


def lens(u: Array, v: Array, r: float) -> Array:
    """A dark rim of a fifth of the radius about a pale body with a bright middle."""
    rho = np.hypot(u, v)
    return np.where(rho > 0.8, -0.8, 0.1 + 1.0 * (rho < 0.3))


def highlight(u: Array, v: Array, r: float) -> Array:
    """A dark body with the lamp's reflection on it."""
    return -0.6 + 1.2 * (np.hypot(u + 0.3, v + 0.35) < 0.2)


def dome(u: Array, v: Array, r: float) -> Array:
    """Bright in the middle, a third as bright at the rim."""
    return 1 - 0.67 * (u**2 + v**2)


LOOKS: dict[str, Callable[[Array, Array, float], Array]] = {
    f.__name__: f for f in (halfmoon, shaded, rim, lens, highlight, dome)
}
COLOURS = np.array([[0.3, 0.15, 0.05], [0.05, 0.15, 0.3]])


def scatter(rng: np.random.Generator, n: int, radii: tuple[float, float], gap: float = 1.0) -> tuple[Array, ...]:
    """Centres and radii of droplets at least gap px apart, wholly in the image."""
    kept: list[tuple[float, float, float]] = []
    for _ in range(20_000):
        r = float(np.exp(rng.uniform(*np.log(radii))))
        x, y = rng.uniform(r + 2, SIDE - 3 - r, 2)
        if all(np.hypot(x - a, y - b) > r + c + gap for a, b, c in kept):
            kept.append((x, y, r))
        if len(kept) == n:
            break
    return tuple(np.array(kept).T)


def scene(rng: np.random.Generator, look: str, n: int = 24, colours: int = 0) -> Scene:
    """A scene of one look; gray, or of as many colours, half of the droplets each."""
    x, y, r = scatter(rng, n, (4.0, 10.0))
    kind = rng.integers(0, max(colours, 1), len(x))
    tints = COLOURS[:colours] if colours else np.array([[0.3]])
    count = tints.shape[1]
    fine = np.zeros((count, SIDE * FINE, SIDE * FINE))
    place = (np.arange(SIDE * FINE) + 0.5) / FINE - 0.5
    for a, b, c, k in zip(x, y, r, kind, strict=True):
        down, along = np.abs(place - b) < c + 1, np.abs(place - a) < c + 1
        u, v = np.broadcast_arrays((place[along] - a) / c, ((place[down] - b) / c)[:, None])
        inside = np.clip((1 - np.hypot(u, v)) * c * FINE + 0.5, 0, 1)
        height = LOOKS[look](u, v, c) * inside * np.exp(0.15 * rng.standard_normal())
        fine[np.ix_(range(count), down.nonzero()[0], along.nonzero()[0])] += tints[k][:, None, None] * height
    blurred = gaussian_filter(fine, (0, SPREAD * FINE, SPREAD * FINE), mode="nearest")
    image = 0.5 + blurred.reshape(count, SIDE, FINE, SIDE, FINE).mean((2, 4))
    return Scene(image + rng.normal(0, NOISE, image.shape), x, y, r, kind)
