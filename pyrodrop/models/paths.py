"""Paths of droplets through the frames of a stack, given which detections are of the same droplet."""

from typing import Any, NamedTuple

import pyro
import pyro.distributions as dist
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pyrodrop.models.diffusion import step_variance

# Standard deviations of the logarithms of what is learnt: wide where it hangs on the sample and its units, narrower
# for the factors by which stated variances are wrong.
_WIDE, _FACTOR = 2.0, 0.7
# Mean and standard deviation of the exponent with which the diffusion falls as the radius grows: Stokes and Einstein
# say 1, droplets that swim or sit say something else.
_EXPONENT = (1.0, 1.0)
# Variance of where a path begins: flat, but not so wide that sums with it lose the digits of the rest.
_FLAT = 1e4
# Variance of a detection that is missing, which then says nothing.
_MISSING = 1e8


class Paths(NamedTuple):
    """Droplets whose detections are linked, S of them, in L successive frames; lengths in px.

    x, y: centres, less the drift common to all. radius, look: radius and logarithm of the amplitude. x_var, y_var,
    radius_var, look_var: their stated variances. detected: which are there. around: the radius in each frame about
    which the diffusion is reckoned, positive. All are (S, L), float64.
    """

    x: Float[Tensor, "s l"]
    y: Float[Tensor, "s l"]
    radius: Float[Tensor, "s l"]
    look: Float[Tensor, "s l"]
    x_var: Float[Tensor, "s l"]
    y_var: Float[Tensor, "s l"]
    radius_var: Float[Tensor, "s l"]
    look_var: Float[Tensor, "s l"]
    detected: Bool[Tensor, "s l"]
    around: Float[Tensor, "s l"]


class PathScales(NamedTuple):
    """About how large each site is, (); the medians of their priors: see ``paths``."""

    diffusion: Tensor
    rate_sd: Tensor
    rate_time: Tensor
    look_step: Tensor


def paths(seen: Paths, scales: PathScales, reference: float, knows_look: bool = True) -> None:
    """How droplets move and change: what all paths have in common, the paths themselves integrated out.

    Sites, all scalar: diffusion D, px^2 a frame, of a droplet of the reference radius, and mobility_exponent e: a step
    along x or y is Normal(0, 2 D (radius / reference)^-e) a frame. rate_sd s and rate_time T: the radius changes at a
    rate dr/dt that is an Ornstein-Uhlenbeck process of standard deviation s, px a frame, and correlation time T,
    frames. look_step: variance of the step of the log amplitude. position_factor, radius_factor, look_factor: true
    variances of detections over the stated ones. Observed: x, y, radius and look: Gaussian processes
    in time, of the same distribution as the linear Gaussian model (Kalman's) that the linking steps through.

    Args:
        seen: the linked detections.
        scales: medians of the priors.
        reference: radius that the diffusion is of, px.
        knows_look: whether amplitudes are known.
    """
    diffusion = pyro.sample("diffusion", dist.LogNormal(scales.diffusion.log(), _WIDE))
    exponent = pyro.sample("mobility_exponent", dist.Normal(scales.diffusion.new_tensor(_EXPONENT[0]), _EXPONENT[1]))
    rate_sd = pyro.sample("rate_sd", dist.LogNormal(scales.rate_sd.log(), _WIDE))
    rate_time = pyro.sample("rate_time", dist.LogNormal(scales.rate_time.log(), _WIDE))
    zero = scales.diffusion.new_zeros(())
    position_factor = pyro.sample("position_factor", dist.LogNormal(zero, _FACTOR))
    radius_factor = pyro.sample("radius_factor", dist.LogNormal(zero, _FACTOR))

    step = step_variance(diffusion, exponent, seen.around / reference)
    with pyro.plate("paths", len(seen.x)):
        for name in ("x", "y"):
            known = _sight(position_factor * getattr(seen, f"{name}_var"), seen.detected)
            pyro.sample(name, _seen(_walk(step), known), obs=getattr(seen, name))
        known = _sight(radius_factor * seen.radius_var, seen.detected)
        pyro.sample("radius", _seen(_growth(rate_sd, rate_time, seen.x.shape[1]), known), obs=seen.radius)
    if knows_look:
        look_step = pyro.sample("look_step", dist.LogNormal(scales.look_step.log(), _WIDE))
        look_factor = pyro.sample("look_factor", dist.LogNormal(zero, _FACTOR))
        with pyro.plate("looks", len(seen.x)):
            known = _sight(look_factor * seen.look_var, seen.detected)
            pyro.sample("look", _seen(_walk(look_step.expand(seen.x.shape)), known), obs=seen.look)


def _walk(step: Tensor) -> Tensor:
    """Covariance of a random walk with steps of these variances, (S, L), between its frames, (S, L, L)."""
    by_then = torch.cumsum(step, -1) - step  # before each step the walk is where the steps before have brought it
    return torch.minimum(by_then[..., None], by_then[..., None, :])


def _growth(rate_sd: Tensor, rate_time: Tensor, frames: int) -> Tensor:
    """Covariance of the way of a rate that is an Ornstein-Uhlenbeck process, (L, L).

    s^2 T^2 (2 min(t, u) / T - 1 + e^(-t/T) + e^(-u/T) - e^(-|t - u|/T)).
    """
    t = torch.arange(frames, dtype=rate_sd.dtype, device=rate_sd.device) / rate_time
    apart = (t[:, None] - t).abs()
    ways = 2 * torch.minimum(t[:, None], t) - 1 + torch.exp(-t)[:, None] + torch.exp(-t) - torch.exp(-apart)
    return (rate_sd * rate_time) ** 2 * ways


def _seen(covariance: Tensor, variance: Tensor) -> Any:
    """What is seen, with these variances, (S, L), of a path that begins anywhere and goes on with this covariance."""
    return dist.MultivariateNormal(
        torch.zeros_like(variance), covariance_matrix=covariance + _FLAT + torch.diag_embed(variance)
    )


def _sight(variance: Tensor, detected: Tensor) -> Tensor:
    return torch.where(detected, variance, torch.full_like(variance, _MISSING))
