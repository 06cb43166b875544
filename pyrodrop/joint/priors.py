"""The priors of the joint fit, read from the Pyro model: none of their numbers stands here."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyro.distributions as dist
import torch
from numpy.typing import NDArray
from pyro import poutine
from pyro.infer.autoguide.initialization import InitMessenger, init_to_mean

from pyrodrop.joint.assumed.other_priors import OtherPrior, Stacked
from pyrodrop.models.assumed.noise_families import CameraNoise
from pyrodrop.models.assumed.site_priors import SitePrior
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

    def precision_at(self, value: Array) -> Array:
        """The same, which is the same at all values."""
        return self.precision

    @property
    def constants(self) -> Array:
        """What the energy leaves out of the log density of each value."""
        return np.asarray(-(np.log(self.sd) + np.log(2 * np.pi) / 2))

    def without(self, value: Array) -> Array:
        """Twice by how much the log density of a value v is misjudged where a quadratic v^2 p / 2, p the whole
        precision of its posterior, is taken for what the image loses with 0 in the place of v: with l the log density
        and p0 its part of the precision, -2 l'(v) v - p0 v^2.
        """
        return np.asarray(np.square(value / self.sd) - 2 * self.mean * value / self.sd**2)

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


Prior = Normal | OtherPrior


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
    log_r: Prior
    amplitude: Prior
    shape: Prior | Stacked
    bg: Prior
    log_noise: Prior

    def droplet_precision(self, log_r: Array, amplitude: Array) -> Array:
        """Of x, y, log r and the amplitudes of droplets at these, (N,) and (C, N): shape (N, 3 + C)."""
        precision = np.empty((len(log_r), 3 + len(amplitude)))
        precision[:, 0], precision[:, 1] = self.x.precision, self.y.precision
        precision[:, 2] = self.log_r.precision_at(log_r)
        precision[:, 3:] = self.amplitude.precision_at(amplitude.T)
        return precision

    def shared_precision(self, shape: Array, bg: Array) -> Array:
        """Of what all droplets share at these: shape and then background, shape (S + C points,)."""
        return np.concatenate([self.shape.precision_at(shape), self.bg.precision_at(bg).ravel()])


def priors_of(size: tuple[int, int, int], scales: PriorScales, profile: str) -> Priors:
    """The priors of ``measured`` for an image of shape (C, H, W): one trace of the model, whose sites' distributions
    are looked at. Nothing is drawn.

    Raises:
        TypeError: centres have a prior that is not uniform.
    """
    image = torch.zeros((), dtype=torch.float64).expand(size)
    with poutine.block(), InitMessenger(init_to_mean), poutine.trace() as traced:
        measured_prior(image, 1, scales, profile)
    sites = traced.trace.nodes
    parameters, given = profile_named(profile).parameters, {prior.site: prior for prior in scales.priors}
    shapes = [_prior(parameter.name, sites, given, (-1,), parameter.log) for parameter in parameters]
    # The scale of a camera's noise is that of dark pixels, which ``weights`` weighs against the prior.
    of_noise = {} if isinstance(scales.family, CameraNoise) else given
    return Priors(
        _uniform("x", sites),
        _uniform("y", sites),
        _prior("r", sites, given, (), logs=True),
        _prior("amplitude", sites, given, (size[0],)),
        _in_a_row(shapes),
        _prior("bg", sites, given, (size[0], -1)),
        _prior("noise", sites, of_noise, (size[0],), logs=True),
    )


def _in_a_row(priors: list[Prior]) -> Normal | Stacked:
    if all(isinstance(prior, Normal) for prior in priors):
        return Normal(
            *(np.concatenate([np.zeros(0), *(getattr(each, part) for each in priors)]) for part in Normal._fields)
        )
    return Stacked(tuple(priors), tuple(prior.mean.size for prior in priors))


def _prior(
    name: str, sites: Mapping[str, Any], given: Mapping[str, SitePrior], shape: tuple[int, ...], logs: bool = False
) -> Prior:
    """The prior of a site, or of the logs of its values, with unknowns of this shape; -1 stands for what is left."""
    base = _base(name, sites)
    number = int(np.prod(sites[name]["fn"].shape()))
    if -1 in shape:
        left = number // int(np.prod([side for side in shape if side > 0]))
        shape = tuple(left if side < 0 else side for side in shape)
    if isinstance(base, dist.LogNormal if logs else dist.Normal):
        return Normal(*(part.reshape(shape) for part in _normal(name, sites, logs)))
    if name not in given:
        raise TypeError(
            f"site {name!r} of the model is {type(base).__name__}: the joint fit takes "
            f"{'LogNormal' if logs else 'Normal'} there, and any other family where a caller gives it."
        )
    return OtherPrior(given[name], logs, shape)


def _base(name: str, sites: Mapping[str, Any]) -> dist.Distribution:
    """The distribution of a site without what only says how its dimensions are meant."""
    fn = sites[name]["fn"]
    while isinstance(fn, dist.Independent | dist.ExpandedDistribution):
        fn = fn.base_dist
    assert isinstance(fn, dist.Distribution)
    return fn


def _normal(name: str, sites: Mapping[str, Any], logs: bool = False) -> Normal:
    base: Any = _base(name, sites)
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
