"""Droplets measured: any profile, all channels at once, a smooth background and noise that is inferred."""

from dataclasses import dataclass

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.models.bspline_background import spline_basis
from pyrodrop.models.plates import droplet_plate
from pyrodrop.rendering import SHAPES, render

# Spreads of the priors of what has no unit of the image: standard deviations of log r, of the log of the edge's
# width in px, of the heights of the radial curve, and of the log of the noise.
LOG_RADIUS_SD, LOG_EDGE_SD, CURVE_SD, LOG_NOISE_SD = 1.0, 0.75, 1.0, 2.0


@dataclass(frozen=True)
class Scales:
    """What the priors of ``measured`` are wide in: the units of an image of C channels.

    Attributes:
        amplitude: standard deviation of an amplitude, whose mean is 0, shape (C,).
        level, spread: mean and standard deviation of a control point of the background, shape (C,).
        noise: median of the noise, shape (C,).
        radius_px: median of a radius.
        spacing: distance of the background's control points in px.
    """

    amplitude: NDArray[np.float64]
    level: NDArray[np.float64]
    spread: NDArray[np.float64]
    noise: NDArray[np.float64]
    radius_px: float = 8.0
    spacing: float = 64.0


def image_scales(channels: NDArray[np.float64], radius_px: float = 8.0, spacing: float | None = None) -> Scales:
    """Scales of an image, shape (C, H, W): wide priors, which the image only gives their units.

    The amplitude's is the range from the 0.1 to the 99.9 per cent quantile; the background is around the median,
    within half of that; the noise is what a second difference that is blind to slopes sees.

    Args:
        channels: the image, shape (C, H, W).
        radius_px: median of the radii's prior; give that of the droplets that were found.
        spacing: of the background's control points; else a twelfth of the longer side, but not less than 64 px or 4
            median radii: a background that could follow a droplet would explain it away.
    """
    low, level, high = np.quantile(channels, [0.001, 0.5, 0.999], axis=(1, 2))
    span = np.maximum(high - low, 1e-6)
    if spacing is None:
        spacing = max(64.0, max(channels.shape[1:]) / 12, 4 * radius_px)
    return Scales(span, level, span / 2, pixel_noise(channels), radius_px, spacing)


def pixel_noise(channels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Noise of each channel from its second mixed differences, robustly; shape (C,), positive.

    The difference a - 2 b + c along both axes has standard deviation 6 sigma for independent noise, and its median
    size is 0.6745 of that.
    """
    rough = channels
    for axis in (1, 2):
        if rough.shape[axis] > 2:
            rough = np.diff(rough, 2, axis)
    gain = 6.0 ** (sum(side > 2 for side in channels.shape[1:]) / 2)
    span = np.ptp(channels, axis=(1, 2))
    return np.maximum(np.median(np.abs(rough), axis=(1, 2)) / 0.6745 / gain, 1e-4 * span + 1e-9)


def measured(
    channels: Tensor, n_droplets: int, scales: Scales, profile: str = "disc", presence: float | None = None
) -> None:
    """Droplets of one profile on a smooth background explain all channels of an image, up to noise.

    Sites: x, y uniform over the image, r ~ LogNormal(log radius_px, 1), in px, shape (n_droplets,); amplitude of
    either sign ~ Normal(0, scale), shape (C, n_droplets): a droplet has one centre and radius in all channels, and
    its own height in each, which is its colour; bg, the control points of the background ~ Normal(level, spread),
    shape (C, rows, columns); noise ~ LogNormal(log of the scale, 2), shape (C,); for the profiles with an edge, edge
    ~ LogNormal(0, 0.75) px, and for "radial" curve ~ Normal(0, 1), shape (5,), shared by all droplets; and obs ~
    Normal(image, noise), observed.

    Presence is not a site unless it is asked for. It would be discrete and, since droplets share pixels, could be
    summed out only over all 2^N sets of droplets; and no gradient reaches it. Instead the model is that of the
    droplets given, and the odds of each one's presence are those of two such models, with it and without it,
    everything else integrated over: ``joint.fit_jointly`` reports them. With ``presence`` the site ``presence`` ~
    Bernoulli(presence), shape (n_droplets,), switches droplets on, for simulating from the model or conditioning it.

    Args:
        channels: the image, shape (C, H, W).
        n_droplets: the number of droplets, at least 1.
        scales: units of the priors, as from ``image_scales``.
        profile: "gaussian", "disc" or "radial".
        presence: prior probability of a droplet, for a model with that site.

    Raises:
        ValueError: the image is not of shape (C, H, W), or there are no droplets.
    """
    if channels.dim() != 3:
        raise ValueError(f"channels have shape {tuple(channels.shape)}: give (C, H, W), for one channel (1, H, W).")
    count, h, w = channels.shape
    of = channels.new_tensor
    along, down = of(spline_basis(w, scales.spacing)), of(spline_basis(h, scales.spacing))
    grid = (count, down.shape[1], along.shape[1])
    level, spread = (of(s)[:, None, None].expand(grid) for s in (scales.level, scales.spread))
    bg = pyro.sample("bg", dist.Normal(level, spread).to_event(3))
    noise = pyro.sample("noise", dist.LogNormal(of(np.log(scales.noise)), LOG_NOISE_SD).to_event(1))
    shape = []
    if SHAPES[profile]:
        shape.append(pyro.sample("edge", dist.LogNormal(of(0.0), LOG_EDGE_SD))[..., None])
    if SHAPES[profile] > 1:
        heights = dist.Normal(of(0.0), CURVE_SD).expand([SHAPES[profile] - 1]).to_event(1)
        shape.append(pyro.sample("curve", heights))
    droplets = droplet_plate(n_droplets)
    with droplets:
        x = pyro.sample("x", dist.Uniform(of(-0.5), w - 0.5))
        y = pyro.sample("y", dist.Uniform(of(-0.5), h - 0.5))
        r = pyro.sample("r", dist.LogNormal(of(np.log(scales.radius_px)), LOG_RADIUS_SD))
        present = None if presence is None else pyro.sample("presence", dist.Bernoulli(of(presence)))
    with pyro.plate("channels", count, dim=-2), droplets:
        amplitude = pyro.sample("amplitude", dist.Normal(of(0.0), of(scales.amplitude)[:, None]))
    heights = amplitude if present is None else amplitude * present
    x, y, r, heights = torch.broadcast_tensors(x, y, r, heights)
    if heights.dim() > 2:  # under outer plates sites of the image are (..., 1, 1), as the plates in here take two
        x, y, r, heights = (site[..., None, None, :, :] for site in (x, y, r, heights))
    flat = heights.new_zeros(heights.shape[:-1])
    shared = None
    if shape:
        leading = torch.broadcast_shapes(*(part.shape[:-1] for part in shape))
        shared = torch.cat([part.expand(*leading, part.shape[-1]) for part in shape], -1)[..., None, :]
    val = render(x, y, r, heights, flat, (h, w), profile, shape=shared) + down @ bg @ along.mT
    pyro.sample("obs", dist.Normal(val, noise[..., None, None]).to_event(3), obs=channels)
