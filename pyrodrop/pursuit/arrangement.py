"""Droplets in an image as the search moves them: what they may be, and one arrangement of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
# Log density a priori of droplets by their radii in px and amplitudes, (n,) each.
LogPrior = Callable[[Doubles, Doubles], Doubles]


class Bounds(NamedTuple):
    """What droplets may be.

    Attributes:
        amplitude, background, radius: lowest and highest of each; the radius in px.
        log_radius: mean and standard deviation of the log radius a priori.
        error_scale: standard deviation of the noise, which weighs that prior against the image.
        log_prior: log density a priori of radii in px and amplitudes, (n,) each; None for that of ``channel_fit``.
    """

    amplitude: tuple[float, float]
    background: tuple[float, float]
    radius: tuple[float, float]
    log_radius: tuple[float, float]
    error_scale: float
    log_prior: LogPrior | None = None


@dataclass
class Arrangement:
    """Droplets, a background and what they leave of an image; the search moves it in place.

    Attributes:
        droplets: (n, 4), columns x, y and r in px and amplitude.
        background: level of the image without droplets.
        residual: (H, W), the image less background and droplets.
    """

    droplets: Doubles
    background: float
    residual: Floats


def meeting(some: Doubles, all_of: Doubles) -> Integers:
    """Numbers of the droplets (n, 4) whose circles of three radii meet those of some (m, 4), rising, (k,).

    Farther apart, the inner product exp(-d^2 / (2 (r^2 + r'^2))) of two is at most exp(-9 / 2), 0.01, of what it is in
    one place.
    """
    reach = 3.0
    near = np.zeros(len(all_of), bool)
    for x, y, r, _ in some:
        near |= np.hypot(all_of[:, 0] - x, all_of[:, 1] - y) < reach * (r + all_of[:, 2])
    return np.flatnonzero(near).astype(np.int64)
