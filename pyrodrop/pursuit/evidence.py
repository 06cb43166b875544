"""How sharply an image holds a droplet, and what the droplet costs under the model's prior."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from pyrodrop.models.priors import LOG_RADIUS
from pyrodrop.pursuit.arrangement import LogPrior
from pyrodrop.pursuit.start import Start


class Widths(NamedTuple):
    """Standard deviations of a droplet's x, y, r (px) and amplitude, each (n,), the others being known."""

    x: Tensor
    y: Tensor
    r: Tensor
    amplitude: Tensor


def widths(droplets: Start, error_scale: float) -> Widths:
    """How sharply the image holds each parameter of each droplet if all others are known.

    These are one over the root of the diagonal of the Fisher information of an isolated Gaussian of amplitude a
    and radius r on many pixels of noise s: the optimum of a mean-field guide. With g = exp(-d^2 / 2 r^2), the
    integrals of (dg/dx)^2, (dg/dr)^2 and g^2 are pi / 2, 2 pi and pi r^2, so the widths are s sqrt(2 / pi) / a for
    x and y, s / (a sqrt(2 pi)) for r, and s / (r sqrt(pi)) for a.
    """
    a = droplets.amplitude.abs().clamp(min=error_scale * 1e-3)
    centre = error_scale * math.sqrt(2 / math.pi) / a
    radius = error_scale / (a * math.sqrt(2 * math.pi))
    return Widths(centre, centre, radius, error_scale / (droplets.r * math.sqrt(math.pi)))


def log_volumes(
    droplets: Start, size: tuple[int, int], error_scale: float | Tensor, log_prior: LogPrior | None = None
) -> Tensor:
    """Log of the prior density of each droplet times the volume of its posterior, by Laplace's approximation: (n,).

    This is what a droplet costs: the more precisely the image holds it, the less of the prior's volume it fills. The
    prior: x and y uniform over the image, r ~ LogNormal(1.5, 0.75), amplitude ~ Uniform(0, 1), as in
    ``channel_fit``. The determinant of the Fisher information of x, y, r and amplitude of an isolated Gaussian is
    that of x and y, (pi a^2 / 2 s^2)^2, times that of r and amplitude, which are correlated, pi^2 a^2 r^2 / s^4.

    Args:
        droplets: n droplets.
        size: height and width of the image in px.
        error_scale: standard deviation s of the noise; of that at each droplet, (n,).
        log_prior: log density a priori of radii and amplitudes in the place of the one above.
    """
    height, width = size
    a, r = droplets.amplitude.abs().clamp(min=1e-12), droplets.r
    mean, sd = LOG_RADIUS
    if log_prior is None:
        log_radius = -((r.log() - mean) ** 2) / (2 * sd**2) - (r * sd * math.sqrt(2 * math.pi)).log()
    else:
        log_radius = torch.from_numpy(log_prior(r.numpy(), droplets.amplitude.numpy()))
    log_scale = error_scale.log() if isinstance(error_scale, Tensor) else math.log(error_scale)
    log_information = 2 * (math.pi * a**2 / 2).log() + 2 * (math.pi * a * r).log() - 8 * log_scale
    return log_radius - math.log(height * width) + 2 * math.log(2 * math.pi) - log_information / 2


def as_sites(
    droplets: Start, size: tuple[int, int], support: Mapping[str, tuple[float, float]] = MappingProxyType({})
) -> dict[str, Tensor]:
    """Values of the sites of ``channel_fit``: bg, x and y as fractions of width and height, r and amplitude.

    Values on the edge of a site's support, where its unconstrained value would be infinite, are moved inside.

    Args:
        droplets: n droplets.
        size: height and width of the image in px.
        support: least and greatest value of the sites whose prior is not that of ``channel_fit``.
    """
    height, width = size
    like = droplets.x
    values = {
        "bg": torch.as_tensor(droplets.bg, dtype=like.dtype, device=like.device),
        "x": droplets.x / width,
        "y": droplets.y / height,
        "r": droplets.r,
        "amplitude": droplets.amplitude,
    }
    usual = {name: (0.0, math.inf if name == "r" else 1.0) for name in values}
    return {name: _inside(value, *{**usual, **support}[name]) for name, value in values.items()}


def _inside(value: Tensor, low: float, high: float) -> Tensor:
    """The value, by a ten thousandth of a support that ends within it."""
    if high - low < math.inf:
        edge = 1e-4 * (high - low)
        return value.clamp(low + edge, high - edge)
    if low > 0.0:
        return value.clamp(min=low * (1 + 1e-4))
    return value


def site_widths(droplets: Start, size: tuple[int, int], error_scale: float) -> dict[str, Tensor]:
    """``widths`` in the units of ``as_sites``, and that of the background."""
    height, width = size
    of = widths(droplets, error_scale)
    return {
        "bg": of.x.new_full((), error_scale / math.sqrt(height * width)),
        "x": of.x / width,
        "y": of.y / height,
        "r": of.r,
        "amplitude": of.amplitude,
    }
