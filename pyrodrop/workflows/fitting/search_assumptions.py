"""What the search for peaks, births and deaths takes for granted, in the words of its least squares.

The search sums squares of one noise, and has normal log radii and ranges for all else. Of other priors it takes the
middle and the spread, of another noise an image and a scale with which least squares are not misled; the fit that goes
on from there has the priors and the noise themselves, and so has the evidence by which droplets are counted.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.models.assumed.noise_families import CameraNoise, StudentNoise
from pyrodrop.models.assumed.site_priors import SitePrior
from pyrodrop.models.channel_fit import USUAL
from pyrodrop.workflows.fit_settings import FitSettings

Array = NDArray[np.float64]
# Quantiles that stand for the ends of a support that has none.
_ENDS = (0.001, 0.999)


class Searched(NamedTuple):
    """What is searched, and how.

    channel: the image, (H, W). error_scale: of its noise. ranges: arguments of ``pursuit.start.peaks``. counting:
    further ones of ``pursuit.count.counted_peaks``. support: of the sites that were given priors.
    """

    channel: Tensor
    error_scale: float
    ranges: dict[str, Any]
    counting: dict[str, Any]
    support: dict[str, tuple[float, float]]


def searched(channel: Tensor, settings: FitSettings) -> Searched:
    """What the search is to look through for a channel, (H, W), and the settings of a fit of it."""
    scale, noise, given = settings.error_scale, settings.noise, {prior.site: prior for prior in settings.priors}
    counting: dict[str, Any] = {}
    if isinstance(noise, StudentNoise):
        channel = _steadied(channel, noise, scale)
    elif isinstance(noise, CameraNoise):
        by_pixel = np.sqrt(noise.variance(_light(channel), scale))
        scale = float(np.sqrt(np.square(by_pixel).mean()))
        counting["noise"] = by_pixel
    ranges: dict[str, Any] = {}
    for site, name in (("amplitude", "amplitude_range"), ("bg", "background_range")):
        if site in given:
            ranges[name] = _ends(given[site])
    if "r" in given:
        logs = np.log(np.maximum(given["r"].draws(), 1e-9))
        spread = float(np.subtract(*np.quantile(logs, [0.84134, 0.15866]))) / 2
        ranges["log_radius"] = (float(np.median(logs)), max(spread, 1e-3))
        low, high = given["r"].support
        if low > 0 or high < np.inf:
            bounds = np.quantile(given["r"].draws(), _ENDS)
            ranges["radius_range"] = (max(low, float(bounds[0])), min(high, float(bounds[1])))
    if {"r", "amplitude"} & given.keys():
        counting["log_prior"] = _log_prior(given)
    return Searched(channel, scale, ranges, counting, {site: prior.support for site, prior in given.items()})


def _light(channel: Tensor) -> Array:
    """What is behind the noise, nearly: the median of each pixel and its eight neighbours, (H, W)."""
    from scipy.ndimage import median_filter

    return np.asarray(median_filter(channel.detach().cpu().double().numpy(), 3))


def _steadied(channel: Tensor, noise: StudentNoise, scale: float) -> Tensor:
    """The channel, (H, W), with pixels that are far off drawn in to those around them, as their weights say."""
    light = _light(channel)
    away = channel.detach().cpu().double().numpy() - light
    weights = np.minimum(noise.weights(away, light, scale), 1.0)
    return torch.from_numpy(light + weights * away).to(channel)


def _ends(prior: SitePrior) -> tuple[float, float]:
    """Ends of a prior's support, or quantiles of it where it has none."""
    (low, high), (least, most) = prior.support, np.quantile(prior.draws(), _ENDS)
    return (low if low > -np.inf else float(least)), (high if high < np.inf else float(most))


def _log_prior(given: dict[str, SitePrior]) -> Any:
    """Log density of radii and amplitudes, (n,) each; those outside of a support have that of next to nothing."""
    usual = {prior.site: prior for prior in USUAL}
    both = [given.get(site, usual[site]) for site in ("r", "amplitude")]

    def log_prior(r: Array, amplitude: Array) -> Array:
        total = np.zeros(len(r))
        for prior, values in zip(both, (r, amplitude), strict=True):
            low, high = prior.support
            edge = 1e-6 * (high - low if high - low < np.inf else 1.0)
            inside = np.clip(values, low + edge if low > -np.inf else low, high - edge if high < np.inf else high)
            total += prior.log_density(torch.from_numpy(inside)).numpy()
        return total

    return log_prior
