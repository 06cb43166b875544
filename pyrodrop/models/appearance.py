"""Droplets as they look: pictures learnt from the image, which all droplets share."""

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from pyrodrop.models.bspline_background import spline_basis
from pyrodrop.models.multichannel_fit import image_prior, place_prior
from pyrodrop.models.plates import droplet_plate
from pyrodrop.models.prior_scales import PriorScales, image_scales
from pyrodrop.rendering.appearance import COEFFICIENTS, draw_appearances

EDGE = (0.0, 0.75)  # mean and standard deviation of the log of the width of the optics in px, as of the disc


def appearance(
    image: Tensor,
    n_droplets: int,
    n_pictures: int = 2,
    scales: PriorScales | None = None,
    in_colour: bool = False,
    beyond_px: float = 0.0,
    known: Tensor | None = None,
) -> None:
    """Droplets drawn with a few shared pictures, which are learnt, explain all channels of an image, up to noise.

    At a pixel p, val = bg(p) + sum_n sum_k w_nk P_k((p - c_n) / r_n): pictures in units of the radius, smooth inside
    and ended by the droplet's own circle (``rendering.appearance`` has their basis). Centre and radius are identified
    by that circle: every picture is W(|u|) S_k(u), with W falling from 1 to 0 at |u| = 1 within the width of the
    optics, in every direction alike, and S_k a smooth function; its outer edge is at one radius, and the first moment
    of its outline, the integral of u along it, is zero. Pictures themselves are identified up to an invertible mix:
    A P with weights w A^-1 is the same image.

    Sites: x, y, r, bg, noise as in ``measured``; edge ~ LogNormal(0, 0.75) px; pictures ~ Normal(0, 1), coefficients
    along axes in which this is the prior of a smooth picture of mean square about 1, shape (K, COEFFICIENTS), or
    (K, C, COEFFICIENTS) in colour; weights ~ Normal(0, scale), shape (C, n_droplets, K), or in colour Normal(0, 1),
    (n_droplets, K), with pictures in the units of their channel; obs ~ Normal(val, noise), observed.

    Args:
        image: shape (H, W) or (C, H, W), floating point.
        n_droplets: the number of droplets, at least 1.
        n_pictures: K, how many pictures they share, at least 1.
        scales: units of the priors; those of the image by ``image_scales`` if None.
        in_colour: each droplet has one set of weights, of pictures in colour; else one in each channel, of pictures
            that the channels share.
        beyond_px: how far beyond the border of the image a centre may lie, as in ``measured``.
        known: pixels that are known, (H, W); the others are missing from the likelihood. None for all.

    Raises:
        ValueError: an image that is not of these shapes, no droplets or no pictures.
    """
    if image.dim() not in (2, 3) or not image.is_floating_point():
        raise ValueError(
            f"the image has shape {tuple(image.shape)} and type {image.dtype}: give (H, W) or (C, H, W), of floats."
        )
    if n_pictures < 1:
        raise ValueError(f"n_pictures is {n_pictures}: give at least 1.")
    droplets = droplet_plate(n_droplets)
    channels = image if image.dim() == 3 else image[None]
    if scales is None:
        scales = image_scales(channels.detach().cpu().double().numpy())
    count, h, w = channels.shape
    of = channels.new_tensor
    bg, noise = image_prior(channels, scales)
    edge = pyro.sample("edge", dist.LogNormal(of(EDGE[0]), EDGE[1]))
    shape = (n_pictures, count, COEFFICIENTS) if in_colour else (n_pictures, COEFFICIENTS)
    pictures = pyro.sample("pictures", dist.Normal(of(0.0), 1.0).expand(shape).to_event(len(shape)))
    with droplets:
        x, y, r = place_prior(channels, scales, beyond_px)
    if in_colour:
        with droplets:
            weights = pyro.sample("weights", dist.Normal(of(0.0), 1.0).expand([n_pictures]).to_event(1))
        weights, pictures = weights[..., None], pictures * of(np.array(scales.amplitude))[:, None]
    else:
        with pyro.plate("channels", count, dim=-2), droplets:
            scale = of(np.array(scales.amplitude))[:, None, None]
            weights = pyro.sample("weights", dist.Normal(of(0.0), scale).expand([count, 1, n_pictures]).to_event(1))
        weights, pictures = weights.movedim(-3, -1), pictures[..., None, :]
    down, along = (of(spline_basis(side, scales.spacing)) for side in (h, w))
    val = down @ bg @ along.mT
    val = val + _drawn_each((x, y, r, edge, weights, pictures), in_colour, (h, w))
    seen = dist.Normal(val, noise[..., None, None])
    if known is not None:
        seen = seen.mask(known)
    pyro.sample("obs", seen.to_event(3), obs=channels)


def _drawn_each(sites: tuple[Tensor, ...], in_colour: bool, size: tuple[int, int]) -> Tensor:
    """The droplets' images, (..., C, H, W): those of each set of sites under outer plates by itself.

    Under outer plates (...) x, y and r are (..., 1, N), edge and pictures (..., 1, 1, own), as the plates of channels
    and droplets keep their dimensions, and weights (..., N, K, C), or in colour (..., 1, N, K, 1).
    """
    own = (1, 1, 1, 0, 3, 3)
    inner = (1, 1, 1, 2, int(in_colour), 2)
    alone, leads = [], []
    for site, axes, plates in zip(sites, own, inner, strict=True):
        lead = site.shape[: max(site.dim() - axes - plates, 0)]
        alone.append(site.reshape((*lead, *site.shape[site.dim() - axes :])))
        leads.append(lead)
    lead = torch.broadcast_shapes(*leads)
    if not lead:
        x, y, r, edge, weights, pictures = alone
        return draw_appearances(x, y, r, edge, weights, pictures, size)
    rows = zip(
        *(
            site.expand(*lead, *site.shape[site.dim() - axes :]).flatten(0, len(lead) - 1)
            for site, axes in zip(alone, own, strict=True)
        ),
        strict=True,
    )
    images = torch.stack([draw_appearances(x, y, r, edge, w, p, size) for x, y, r, edge, w, p in rows])
    return images.reshape(*lead, 1, 1, *images.shape[1:])
