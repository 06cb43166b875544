"""How wide the priors of the model of a measurement are: in units of the image's own, which are read off it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyrodrop.models.assumed.noise_families import NORMAL, NoiseFamily
from pyrodrop.models.assumed.site_priors import SitePrior
from pyrodrop.rendering.pixel_noise import pixel_noise


@dataclass(frozen=True)
class PriorScales:
    """What the priors of ``measured`` are wide in: the units of an image of C channels; and what a caller has put in
    the place of some of them.

    Attributes:
        amplitude: standard deviation of an amplitude, whose mean is 0, shape (C,).
        level, spread: mean and standard deviation of a control point of the background, shape (C,).
        noise: median of the noise, shape (C,).
        radius_px: median of a radius.
        spacing: distance of the background's control points in px.
        priors: distributions of some sites in the place of those made of these scales.
        family: of the noise.
    """

    amplitude: NDArray[np.float64]
    level: NDArray[np.float64]
    spread: NDArray[np.float64]
    noise: NDArray[np.float64]
    radius_px: float = 8.0
    spacing: float = 64.0
    priors: tuple[SitePrior, ...] = ()
    family: NoiseFamily = NORMAL


def image_scales(channels: NDArray[np.float64], radius_px: float = 8.0, spacing: float | None = None) -> PriorScales:
    """Scales of an image, shape (C, H, W): wide priors, which the image only gives their units.

    The amplitude's is the range from the 0.1 to the 99.9 per cent quantile; the background is around the median,
    within half of that; the noise is that of ``pixel_noise``.

    Args:
        channels: the image, shape (C, H, W); pixels that are NaN are not known.
        radius_px: median of the radii's prior; give that of the droplets that were found.
        spacing: of the background's control points; else a twelfth of the longer side, but not less than 64 px or 4
            median radii: a background that could follow a droplet would explain it away.
    """
    low, level, high = np.transpose([np.quantile(each[np.isfinite(each)], [0.001, 0.5, 0.999]) for each in channels])
    span = np.maximum(high - low, 1e-6)
    if spacing is None:
        spacing = max(64.0, max(channels.shape[1:]) / 12, 4 * radius_px)
    return PriorScales(span, level, span / 2, pixel_noise(channels), radius_px, spacing)
