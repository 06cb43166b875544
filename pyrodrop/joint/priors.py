"""The priors of the joint fit, read from the Pyro model: none of their numbers stands here."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyro.distributions as dist
import torch
from numpy.typing import NDArray
from pyro import poutine
from pyro.infer.autoguide.initialization import InitMessenger, init_to_mean

from pyrodrop.models.multichannel_fit import measured_prior
from pyrodrop.models.prior_scales import PriorScales
from pyrodrop.rendering import profile_named

Array = NDArray[np.float64]


class Normal(NamedTuple):
    """A normal prior in transformed space: mean and standard deviation, of the unknowns' shape."""

    mean: Array
    sd: Array

    @property
    def precision(self) -> Array:
        """One over the variance."""
        return np.asarray(self.sd**-2.0)

    def energy(self, value: Array) -> float:
        """Negative log density of independent values of the unknowns' shape, but for constants."""
        return float(np.square((value - self.mean) / self.sd).sum() / 2)

    def slope(self, value: Array) -> Array:
        """Derivative of the energy by the values."""
        return np.asarray((value - self.mean) / self.sd**2)

    def log_density(self, value: Array) -> Array:
        """Log density of each value, with its constants."""
        return np.asarray(-np.square((value - self.mean) / self.sd) / 2 - np.log(self.sd) - np.log(2 * np.pi) / 2)


class Uniform(NamedTuple):
    """A uniform prior between two numbers."""

    low: float
    high: float

    @property
    def log_density(self) -> float:
        """Log density anywhere in between."""
        return float(-np.log(self.high - self.low))

    @property
    def precision(self) -> float:
        """That of the normal of the same variance, width^2 / 12: it keeps a droplet of no height in hand."""
        return 12 / (self.high - self.low) ** 2


class Priors(NamedTuple):
    """Priors of ``measured`` in the transformed space of the joint fit.

    Attributes:
        x, y: of a centre, in px.
        log_r: of the log of a radius in px, shape ().
        amplitude: of a droplet's heights, shape (C,).
        shape: of the numbers of the profile, of the logs of those that are positive, shape (S,).
        bg: of the background's control points, shape (C, points).
        log_noise: of the log of the noise, shape (C,).
    """

    x: Uniform
    y: Uniform
    log_r: Normal
    amplitude: Normal
    shape: Normal
    bg: Normal
    log_noise: Normal

    @property
    def droplet_precision(self) -> Array:
        """Of x, y, log r and the amplitudes of a droplet, shape (3 + C,)."""
        return np.array([self.x.precision, self.y.precision, float(self.log_r.precision), *self.amplitude.precision])

    @property
    def shared_precision(self) -> Array:
        """Of what all droplets share: shape and then background, shape (S + C points,)."""
        return np.concatenate([self.shape.precision, self.bg.precision.ravel()])


def priors_of(size: tuple[int, int, int], scales: PriorScales, profile: str) -> Priors:
    """The priors of ``measured`` for an image of shape (C, H, W): one trace of the model, whose sites' distributions
    are looked at. Nothing is drawn.

    Raises:
        TypeError: the model has a prior that is neither normal, log-normal nor uniform.
    """
    image = torch.zeros((), dtype=torch.float64).expand(size)
    with poutine.block(), InitMessenger(init_to_mean), poutine.trace() as traced:
        measured_prior(image, 1, scales, profile)
    sites = traced.trace.nodes
    amplitude, bg = _normal("amplitude", sites), _normal("bg", sites)
    shapes = [_normal(parameter.name, sites, parameter.log) for parameter in profile_named(profile).parameters]
    return Priors(
        _uniform("x", sites),
        _uniform("y", sites),
        _scalar(_normal("r", sites, logs=True)),
        Normal(*(part.reshape(size[0]) for part in amplitude)),
        Normal(*(np.concatenate([np.zeros(0), *(np.ravel(part) for part in parts)]) for parts in _transposed(shapes))),
        Normal(*(part.reshape(size[0], -1) for part in bg)),
        _normal("noise", sites, logs=True),
    )


def _transposed(priors: list[Normal]) -> tuple[list[Array], list[Array]]:
    return [prior.mean for prior in priors], [prior.sd for prior in priors]


def _scalar(prior: Normal) -> Normal:
    return Normal(*(part.reshape(()) for part in prior))


def _base(name: str, sites: Mapping[str, Any]) -> dist.Distribution:
    """The distribution of a site without what only says how its dimensions are meant."""
    fn = sites[name]["fn"]
    while isinstance(fn, dist.Independent | dist.ExpandedDistribution):
        fn = fn.base_dist
    assert isinstance(fn, dist.Distribution)
    return fn


def _normal(name: str, sites: Mapping[str, Any], logs: bool = False) -> Normal:
    base = _base(name, sites)
    if not isinstance(base, dist.LogNormal if logs else dist.Normal):
        raise TypeError(
            f"site {name!r} of the model is {type(base).__name__}: the joint fit takes "
            f"{'LogNormal' if logs else 'Normal'} there; teach it the other in joint/priors.py."
        )
    shape = sites[name]["fn"].shape()
    mean, sd = (part.detach().expand(shape).double().numpy() for part in (base.loc, base.scale))
    return Normal(np.array(mean), np.array(sd))


def _uniform(name: str, sites: Mapping[str, Any]) -> Uniform:
    base = _base(name, sites)
    if not isinstance(base, dist.Uniform):
        raise TypeError(
            f"site {name!r} of the model is {type(base).__name__}: the joint fit takes Uniform there; teach it the "
            "other in joint/priors.py."
        )
    return Uniform(float(base.low), float(base.high))
