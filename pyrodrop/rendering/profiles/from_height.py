"""Where a droplet ends and where it is half as high, searched for: for profiles that do not say it in closed form."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# Height at distances in px, (N, K), of radii in px, (N,), and shared numbers (S,) or (N, S), to (N, K).
Height = Callable[[Array, Array, Array], Array]

# Distances that are tried, in radii: a ratio of 1.005 from one to the next sees an edge of a hundredth of the radius.
_TRIED = np.geomspace(1 / 16, 64, 1400)
_HALVINGS = 50
_AROUND = 101  # distances around the highest that was tried


def support_distance(height: Height, r: Array, shape: Array, left_out: float) -> Array:
    """Distance in px from which on the height is at most left_out of the greatest, (N,).

    Raises:
        ValueError: a profile that is not as low as that at 64 radii.
    """
    return _outermost(height, r, shape, left_out)


def half_height_distance(height: Height, r: Array, shape: Array) -> Array:
    """Greatest distance in px at which the height is half of the greatest, (N,)."""
    return _outermost(height, r, shape, 0.5)


def _outermost(height: Height, r: Array, shape: Array, share: float) -> Array:
    """Greatest distance at which the height passes a share of its greatest, (N,); NaN for a radius that is none."""
    distances = np.full(len(r), np.nan)
    usable = np.flatnonzero(np.isfinite(r) & (r > 0))
    for some in np.array_split(usable, max(1, len(usable) // 256)):
        if len(some):
            distances[some] = _outermost_of(height, r[some], shape if shape.ndim == 1 else shape[some], share)
    return distances


def _outermost_of(height: Height, r: Array, shape: Array, share: float) -> Array:
    tried = r[:, None] * np.concatenate([[0.0], _TRIED])
    heights = np.abs(height(tried, r, shape))
    rows = np.arange(len(r))
    peak = np.clip(heights.argmax(1), 1, heights.shape[1] - 2)
    around = np.linspace(tried[rows, peak - 1], tried[rows, peak + 1], _AROUND, axis=1)
    level = share * np.maximum(heights.max(1), np.abs(height(around, r, shape)).max(1))
    above = heights > level[:, None]
    if above[:, -1].any():
        raise ValueError(f"the profile is not below {share:.2g} of its greatest height at 64 radii: it never ends.")
    last = above.shape[1] - 1 - above[:, ::-1].argmax(1)
    low, high = tried[rows, last], tried[rows, np.minimum(last + 1, tried.shape[1] - 1)]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        over = np.abs(height(middle[:, None], r, shape))[:, 0] > level
        low, high = np.where(over, middle, low), np.where(over, high, middle)
    return high
