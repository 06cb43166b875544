"""Where a droplet with a rim, whatever curve it has within, falls to half its height: what a person would outline."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Least and most radii of the rim over which a droplet's height is averaged, and the dip below the background, in
# heights, of a rim that is nothing but a fringe.
_CORE, _FRINGE = (0.25, 0.85), 0.5
_SAMPLES = 600


def rim_half_radius(heights: Callable[[Array, Array, Array], Array], r: Array, shape: Array) -> Array:
    """Distance in px at which droplets fall to half of their height, (N,).

    The height is the mean over the core, which ends half the rim's width before the steepest place: all of a flat
    disc, the very middle of a dome, so that a dome does not read smaller for its top. Around a droplet whose rim dips
    below the background, as light bent by it does, the edge is where the background is passed; between no dip and one
    of half the height, in between.

    Args:
        heights: from distances in px (N, K), radii r (N,) and shape to heights (N, K).
        r: radii in px, (N,).
        shape: shared numbers, the first of them the width of the edge in px.
    """
    distance = np.sqrt(r**2 + 10 * r * float(shape[0]))[:, None] * np.linspace(0, 1, _SAMPLES)
    every = zip(distance, heights(distance, r, shape), r, strict=True)
    return np.array([_half(*sampled) for sampled in every], dtype=np.float64)


def _half(distance: Array, heights: Array, radius: float) -> float:
    """Where heights sampled at distances from the centre fall to half; the radius where there is no height."""
    falling = -np.gradient(heights, distance)
    steepest = int(np.argmax(falling))
    rim = float(distance[steepest])
    height = float(heights[distance <= _CORE[0] * rim].mean())
    if height <= 0 or falling[steepest] <= 0:
        return radius
    core = distance <= rim * min(max(1 - height / (2 * rim * falling[steepest]), _CORE[0]), _CORE[1])
    height = float(np.average(heights[core], weights=distance[core] + distance[1]))
    dip = max(-float(heights[steepest:].min()) / height, 0.0)
    over = heights - height / 2 * max(0.0, 1 - dip / _FRINGE)
    crossings = np.flatnonzero((over[:-1] > 0) & (over[1:] <= 0))
    if not len(crossings):
        return radius
    at = distance[crossings] + distance[1] * over[crossings] / (over[crossings] - over[crossings + 1])
    return float(at[np.argmin(np.abs(at - rim))])
