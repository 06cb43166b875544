"""Where a droplet with a rim, whatever curve it has within, falls to half its height: what a person would outline."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# From distances in px (N, K), radii r (N,) and shape (S,) to numbers (N, K).
Radial = Callable[[Array, Array, Array], Array]

# Least and most radii of the rim over which a droplet's height is averaged, and the dip below the background, in
# heights, of a rim that is nothing but a fringe.
_CORE, _FRINGE = (0.25, 0.85), 0.5
_SAMPLES = 600
_HALVINGS = 40


def rim_half_radius(flat: Radial, curve: Radial, r: Array, shape: Array) -> Array:
    """Distance in px at which droplets fall to half of their height, (N,).

    The height is that of the flat droplet at its centre times the mean of the curve over the core, which ends half the
    rim's width before the steepest place: all of a flat disc, the very middle of a dome, so that a dome does not read
    smaller for its top. Where what lies between the core and the steepest place is higher, as of a ring, it is that: a
    droplet ends where the outermost of its edges has fallen to half. Around a droplet whose rim dips below the
    background, as light bent by it does, the edge is where the background is passed; between no dip and one of half
    the height, in between.

    Args:
        flat: height of the droplet without its curve.
        curve: what that is multiplied by.
        r: radii in px, (N,).
        shape: shared numbers, (S,), or those of each droplet, (N, S); the first of them the width of the edge in px.
    """
    distance = (r + 5 * shape[..., 0])[:, None] * np.linspace(0, 1, _SAMPLES)
    flats, curves = flat(distance, r, shape), curve(distance, r, shape)
    every = zip(distance, flats, curves, strict=True)
    levels, low, high = np.array([_crossing(*sampled) for sampled in every], dtype=np.float64).reshape(-1, 3).T
    for _ in range(_HALVINGS):
        middle = ((low + high) / 2)[:, None]
        over = (flat(middle, r, shape) * curve(middle, r, shape))[:, 0] > levels
        low, high = np.where(over, middle[:, 0], low), np.where(over, high, middle[:, 0])
    return np.where(np.isnan(levels), r, low)


def _crossing(distance: Array, flat: Array, curve: Array) -> tuple[float, float, float]:
    """The level of half height, and two distances between which it is passed; NaN where there is no height."""
    nothing = (np.nan, 0.0, 0.0)
    heights = flat * curve
    falling = -np.gradient(heights, distance)
    steepest = int(np.argmax(falling))
    rim = float(distance[steepest])
    if falling[steepest] <= 0:
        return nothing
    height = max(float(heights[distance <= _CORE[0] * rim].mean()), 0.0)
    core = distance <= rim * min(max(1 - height / (2 * rim * falling[steepest]), _CORE[0]), _CORE[1])
    highest = float(heights[~core & (distance <= rim)].max(initial=0.0))
    height = max(float(flat[0] * np.average(curve[core], weights=distance[core] + distance[1])), highest)
    if height <= 0:
        return nothing
    dip = max(-float(heights[steepest:].min()) / height, 0.0)
    level = height / 2 * max(0.0, 1 - dip / _FRINGE)
    over = heights - level
    crossings = np.flatnonzero((over[:-1] > 0) & (over[1:] <= 0))
    if not len(crossings):
        return nothing
    nearest = crossings[np.argmin(np.abs(distance[crossings] - rim))]
    return level, float(distance[nearest]), float(distance[nearest + 1])


def outer_edge(flat: Radial, curve: Radial, r: Array, shape: Array) -> Array:
    """Distance in px at which what lies below the background around droplets has risen to half of its depth, (N,).

    Of a bright core in a dark rim it is the end of the rim, where ``rim_half_radius`` is that of the core. NaN where
    nothing lies below the background. Arguments as there.
    """
    distance = (r + 5 * shape[..., 0])[:, None] * np.linspace(0, 1, _SAMPLES)
    heights = flat(distance, r, shape) * curve(distance, r, shape)
    lowest, rows = heights.argmin(1), np.arange(len(r))
    level = heights[rows, lowest] / 2
    below = heights < np.minimum(level, -1e-12)[:, None]
    last = heights.shape[1] - 1 - below[:, ::-1].argmax(1)
    end = np.minimum(last + 1, heights.shape[1] - 1)
    inner, outer = heights[rows, last], heights[rows, end]
    part = np.divide(level - inner, outer - inner, out=np.zeros(len(r)), where=outer != inner)
    crossing = distance[rows, last] + part * (distance[rows, end] - distance[rows, last])
    return np.where(below.any(1), crossing, np.nan)
