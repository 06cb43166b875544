"""Droplets measured: any profile, all channels at once, a smooth background and noise that is inferred."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from pyrodrop.models.assumed.noise_families import NoiseFamily, noise_family
from pyrodrop.models.assumed.site_priors import POSITIVE, REAL, GivenPriors, Room, prior_at, site_priors
from pyrodrop.models.bspline_background import spline_basis
from pyrodrop.models.plates import droplet_plate
from pyrodrop.models.prior_scales import PriorScales
from pyrodrop.models.support import centre_bounds
from pyrodrop.rendering import profile_named, render


class DropletSites(NamedTuple):
    """Values of the sites of the droplets; presence None where it is not a site."""

    x: Tensor
    y: Tensor
    r: Tensor
    amplitude: Tensor
    presence: Tensor | None


class Sites(NamedTuple):
    """Values of the latent sites of ``measured``.

    ``shape`` has those of the profile's parameters, (..., entries) each; ``droplets`` is None for a model without any.
    """

    bg: Tensor
    noise: Tensor
    shape: list[Tensor]
    droplets: DropletSites | None


def measured_prior(
    image: Tensor,
    n_droplets: int,
    scales: PriorScales,
    profile: str = "disc",
    presence: float | None = None,
    beyond_px: float = 0.0,
) -> Sites:
    """The latent sites of ``measured`` and their priors, without the image: the one home of these priors.

    Those of the profile's parameters are the profile's own.

    Arguments are those of ``measured``; of the image only the shape (C, H, W), the dtype and the device are used.
    """
    of = image.new_tensor
    bg, noise = image_prior(image, scales)
    shape = []
    for parameter in profile_named(profile).parameters:
        usual = (dist.LogNormal if parameter.log else dist.Normal)(of(parameter.mean), parameter.sd)
        prior = prior_at(scales.priors, parameter.name, image, usual)
        if parameter.entries is None:
            shape.append(pyro.sample(parameter.name, prior)[..., None])
        else:
            shape.append(pyro.sample(parameter.name, prior.expand([parameter.entries]).to_event(1)))
    if n_droplets == 0:
        return Sites(bg, noise, shape, None)
    droplets = droplet_plate(n_droplets)
    with droplets:
        x, y, r = place_prior(image, scales, beyond_px)
        present = None if presence is None else pyro.sample("presence", dist.Bernoulli(of(presence)))
    with pyro.plate("channels", len(image), dim=-2), droplets:
        heights = dist.Normal(of(0.0), of(scales.amplitude)[:, None])
        amplitude = pyro.sample("amplitude", prior_at(scales.priors, "amplitude", image, heights))
    return Sites(bg, noise, shape, DropletSites(x, y, r, amplitude, present))


def image_prior(image: Tensor, scales: PriorScales) -> tuple[Tensor, Tensor]:
    """The sites of an image (C, H, W) whatever is in it: bg, control points of the background, and noise."""
    count, h, w = image.shape
    of = image.new_tensor
    grid = (count, *(spline_basis(side, scales.spacing).shape[1] for side in (h, w)))
    level, spread = (of(s)[:, None, None].expand(grid) for s in (scales.level, scales.spread))
    bg = pyro.sample("bg", _prior(scales, "bg", image, dist.Normal(level, spread)).to_event(3))
    sd = dist.LogNormal(of(np.log(scales.noise)), 2.0)
    noise = pyro.sample("noise", _prior(scales, "noise", image, sd).to_event(1))
    return bg, noise


def place_prior(image: Tensor, scales: PriorScales, beyond_px: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """The sites x, y, r of droplets in an image (C, H, W), in px; to be called within their plate."""
    h, w = image.shape[1:]
    of = image.new_tensor
    (left, right), (top, bottom) = centre_bounds(w, beyond_px), centre_bounds(h, beyond_px)
    x = pyro.sample("x", prior_at(scales.priors, "x", image, dist.Uniform(of(left), right)))
    y = pyro.sample("y", prior_at(scales.priors, "y", image, dist.Uniform(of(top), bottom)))
    r = pyro.sample("r", prior_at(scales.priors, "r", image, dist.LogNormal(of(np.log(scales.radius_px)), 1.0)))
    return x, y, r


def _prior(scales: PriorScales, site: str, image: Tensor, usual: Any) -> Any:
    """The prior of a site of the image, of the shape that the usual one has."""
    return prior_at(scales.priors, site, image, usual).expand(usual.batch_shape)


def sites_of_measured(profile: str) -> dict[str, Room]:
    """The sites of ``measured`` that may be given another prior, and what their values may be."""
    own = {parameter.name: POSITIVE if parameter.log else REAL for parameter in profile_named(profile).parameters}
    return {"x": REAL, "y": REAL, "r": POSITIVE, "amplitude": REAL, "bg": REAL, "noise": POSITIVE, **own}


def measured(
    channels: Tensor,
    n_droplets: int,
    scales: PriorScales,
    profile: str = "disc",
    presence: float | None = None,
    beyond_px: float = 0.0,
    known: Tensor | None = None,
    priors: GivenPriors = None,
    noise: str | NoiseFamily | None = None,
) -> None:
    """Droplets of one profile on a smooth background explain all channels of an image, up to noise.

    Sites: x, y uniform over the image, r ~ LogNormal(log radius_px, 1), in px, shape (n_droplets,); amplitude of
    either sign ~ Normal(0, scale), shape (C, n_droplets): a droplet has one centre and radius in all channels, and
    its own height in each, which is its colour; bg, the control points of the background ~ Normal(level, spread),
    shape (C, rows, columns); noise ~ LogNormal(log of the scale, 2), shape (C,); a site for each parameter
    of the profile, shared by all droplets: for those with an edge, edge ~ LogNormal(0, 0.75) px, and for "radial" curve
    ~ Normal(0, 1), shape (5,), and for "rimmed" core_edge as edge, core ~ Normal(0, 1) and thickness ~ LogNormal(log
    0.2, 0.75); and obs ~ Normal(image, noise), observed.

    Presence is not a site unless it is asked for. It would be discrete and, since droplets share pixels, could be
    summed out only over all 2^N sets of droplets; and no gradient reaches it. Instead the model is that of the
    droplets given, and the odds of each one's presence are those of two such models, with it and without it,
    everything else integrated over: ``joint.fit_jointly`` reports them. With ``presence`` the site ``presence`` ~
    Bernoulli(presence), shape (n_droplets,), switches droplets on, for simulating from the model or conditioning it.

    Args:
        channels: the image, shape (C, H, W).
        n_droplets: the number of droplets; with 0 the model is background and noise.
        scales: units of the priors, as from ``image_scales``.
        profile: name of the profile, see ``pyrodrop.rendering.profiles``.
        presence: prior probability of a droplet, for a model with that site.
        beyond_px: how far beyond the border of the image a centre may lie; see ``centre_bounds``.
        known: pixels that are known, (H, W); the others are missing from the likelihood. None for all.
        priors: by the name of a site a distribution of shape () in the place of its prior, as for ``channel_fit``; x
            and y in px. In the place of those that the scales have.
        noise: family of the noise, whose scale is the site ``noise``, as for ``channel_fit``; None for the scales' own.

    Raises:
        ValueError: the image is not of shape (C, H, W), the number of droplets is negative, or priors or a noise that
            the model cannot have.
    """
    if channels.dim() != 3:
        raise ValueError(f"channels have shape {tuple(channels.shape)}: give (C, H, W), for one channel (1, H, W).")
    if n_droplets < 0:
        raise ValueError(f"n_droplets is {n_droplets}: give 0 or more.")
    if priors is not None:
        scales = replace(scales, priors=site_priors(priors, sites_of_measured(profile)))
    family = scales.family if noise is None else noise_family(noise)
    sites = measured_prior(channels, n_droplets, scales, profile, presence, beyond_px)
    h, w = channels.shape[1:]
    down, along = (channels.new_tensor(spline_basis(side, scales.spacing)) for side in (h, w))
    val = down @ sites.bg @ along.mT
    if sites.droplets is not None:
        val = _drawn(sites.droplets, sites.shape, (h, w), profile) + val
    seen = family.around(val, sites.noise[..., None, None])
    if known is not None:
        seen = seen.mask(known)
    pyro.sample("obs", seen.to_event(3), obs=channels)


def _drawn(droplets: DropletSites, shape: list[Tensor], size: tuple[int, int], profile: str) -> Tensor:
    """The image of the droplets alone, shape (..., C, H, W)."""
    heights = droplets.amplitude if droplets.presence is None else droplets.amplitude * droplets.presence
    x, y, r, heights = torch.broadcast_tensors(droplets.x, droplets.y, droplets.r, heights)
    if heights.dim() > 2:  # under outer plates sites of the image are (..., 1, 1), as the plates in here take two
        x, y, r, heights = (site[..., None, None, :, :] for site in (x, y, r, heights))
    shared = None
    if shape:
        leading = torch.broadcast_shapes(*(part.shape[:-1] for part in shape))
        shared = torch.cat([part.expand(*leading, part.shape[-1]) for part in shape], -1)[..., None, :]
    return render(x, y, r, heights, heights.new_zeros(heights.shape[:-1]), size, profile, shape=shared)
