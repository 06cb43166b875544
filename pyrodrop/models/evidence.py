"""What each droplet is worth: how sharply the image holds it, and whether it earns its keep under the model."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from pyrodrop.models.start import POST_RADII, Start, peaks, rearrange


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


def log_odds(droplets: Start, size: tuple[int, int], error_scale: float) -> Tensor:
    """Log of the evidence with a droplet over the evidence without it, by Laplace's approximation: (n,).

    The droplet's gain in log likelihood, plus the log of its prior density, plus the log of the volume of its
    posterior: the determinant of the Fisher information of x, y, r and amplitude of an isolated Gaussian is that of
    x and y, (pi a^2 / 2 s^2)^2, times that of r and amplitude, which are correlated, pi^2 a^2 r^2 / s^4. The labels
    of n droplets can be exchanged in n! ways, each a mode of the same height, which is worth log n to each of them
    (Stephens, "Dealing with label switching in mixture models", JRSS B 2000). Its prior: x and y uniform over the
    image, r ~ LogNormal(1.5, 0.75), amplitude ~ Uniform(0, 1), as in ``channel_fit``.

    Args:
        droplets: with their gains.
        size: height and width of the image in px.
        error_scale: standard deviation of the noise.
    """
    height, width = size
    a, r = droplets.amplitude.abs().clamp(min=1e-12), droplets.r
    mean, sd = POST_RADII
    log_radius = -((r.log() - mean) ** 2) / (2 * sd**2) - (r * sd * math.sqrt(2 * math.pi)).log()
    log_prior = log_radius - math.log(height * width)
    log_information = 2 * (math.pi * a**2 / 2).log() + 2 * (math.pi * a * r).log() - 8 * math.log(error_scale)
    log_volume = 2 * math.log(2 * math.pi) - log_information / 2
    labels = math.log(max(len(a), 1))
    return droplets.gain / error_scale**2 + log_prior + log_volume + labels


def counted_peaks(channel: Tensor, error_scale: float, most: int = 20_000) -> Start:
    """As many droplets as earn their keep: those whose evidence is for them.

    Looks for twice as many droplets until some of them are not worth having, takes those out, lets the others
    settle into what they leave, and so on until all that are there earn their keep.

    Args:
        channel: (H, W) image.
        error_scale: standard deviation of the noise.
        most: no more droplets than this are looked for.
    """
    size = (channel.shape[0], channel.shape[1])
    n = min(32, most)
    while True:
        found = peaks(channel, n, error_scale=error_scale, rounds=1)
        worth = int((log_odds(found, size, error_scale) > 0).sum())
        if worth <= 0.8 * n or n == most:
            break
        n = min(2 * n, most)
    while True:
        stays = log_odds(found, size, error_scale) > 0
        if bool(stays.all()):
            return found
        kept = Start(found.bg, *(column[stays] for column in found[1:]))
        found, _ = rearrange(channel, kept, error_scale=error_scale, rounds=0)


def as_sites(droplets: Start, size: tuple[int, int]) -> dict[str, Tensor]:
    """Values of the sites of ``channel_fit``: bg, x and y as fractions of width and height, r and amplitude.

    Values on the edge of a site's support, where its unconstrained value would be infinite, are moved inside.
    """
    height, width = size
    inside = 1e-4
    like = droplets.x
    return {
        "bg": torch.as_tensor(droplets.bg, dtype=like.dtype, device=like.device).clamp(inside, 1 - inside),
        "x": (droplets.x / width).clamp(inside, 1 - inside),
        "y": (droplets.y / height).clamp(inside, 1 - inside),
        "r": droplets.r,
        "amplitude": droplets.amplitude.clamp(inside, 1 - inside),
    }


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
