"""Priors of the caller's own in the place of a model's: a distribution a site, held as words and numbers."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyro.distributions as dist
import torch
from numpy.typing import NDArray
from torch import Tensor

# Least and greatest value that a site may have.
Room = tuple[float, float]
REAL, POSITIVE, FRACTION = (-math.inf, math.inf), (0.0, math.inf), (0.0, 1.0)
_DRAWS = 4_001
_EXAMPLES = "LogNormal, Gamma or HalfNormal for what is positive, Normal or StudentT for what is not, Uniform or Beta"


@dataclass(frozen=True)
class SitePrior:
    """The prior of one site: a family of ``pyro.distributions`` and its parameters.

    Words and numbers, not a distribution: so it can be saved, compared, and made on any device in any precision.

    Attributes:
        site: name of the site.
        family: name of the distribution's class, as "LogNormal".
        parameters: names and values of the parameters, in the family's order.
        support: least and greatest value with any density.
    """

    site: str
    family: str
    parameters: tuple[tuple[str, float], ...]
    support: Room

    def like(self, tensor: Tensor) -> Any:
        """The distribution, of shape (), with the precision and device of a tensor."""
        return getattr(dist, self.family)(**{name: tensor.new_full((), value) for name, value in self.parameters})

    def log_density(self, value: Tensor) -> Tensor:
        """Log density of each value, of any shape."""
        density: Tensor = self.like(value).log_prob(value)
        return density

    def draws(self) -> NDArray[np.float64]:
        """Some thousand draws, always the same, that quantiles are read of, (n,)."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            drawn: Tensor = self.like(torch.zeros((), dtype=torch.float64)).sample((_DRAWS,))
        return drawn.numpy()

    def __str__(self) -> str:
        return f"{self.family}({', '.join(f'{name}={_number(value)}' for name, value in self.parameters)})"


GivenPriors = Mapping[str, Any] | Iterable[SitePrior] | None


def site_priors(
    given: GivenPriors, sites: Mapping[str, Room], usual: Iterable[SitePrior] = ()
) -> tuple[SitePrior, ...]:
    """The given priors, checked, in the order of the sites.

    Args:
        given: by the name of a site a distribution of torch or Pyro, of shape (); or what this function has returned.
        sites: those that may be given one, and what their values may be.
        usual: priors that the sites have anyway, which are left out.

    Raises:
        ValueError: sites that there are not, what is no distribution of one number, or one with values that the site
            cannot have.
    """
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        if not isinstance(given, tuple | list) or not all(isinstance(prior, SitePrior) for prior in given):
            raise ValueError(
                f"priors are {given!r:.80}; give a dict of distributions by the names of sites, of {', '.join(sites)}"
            )
        given = {prior.site: prior for prior in given}
    names = ", ".join(sites)
    unknown = [str(name) for name in given if name not in sites]
    if unknown:
        raise ValueError(f"priors name {', '.join(map(repr, unknown))}; the sites that can have one are {names}")
    made = [_checked(name, given[name], sites[name]) for name in sites if name in given]
    return tuple(prior for prior in made if prior not in tuple(usual))


def prior_at(priors: Iterable[SitePrior], site: str, like: Tensor, usual: Any) -> Any:
    """The distribution of a site: that which was given for it, else the usual one."""
    for prior in priors:
        if prior.site == site:
            return prior.like(like)
    return usual


def _checked(site: str, given: Any, room: Room) -> SitePrior:
    """The prior of a site, if its values are what the site can have."""
    prior = given if isinstance(given, SitePrior) else prior_of(site, given)
    low, high = prior.support
    if low < room[0] or high > room[1]:
        raise ValueError(
            f"the prior of {site!r} is {prior}, with values {_interval((low, high))}; {site} is {_interval(room)}: "
            "give a distribution of that, as " + ("LogNormal or Gamma" if room == POSITIVE else "Uniform or Beta")
        )
    return prior


def prior_of(site: str, given: Any) -> SitePrior:
    """The prior of a site that a distribution is, whatever the site may be.

    Raises:
        ValueError: it is no distribution of one number, or not of a family that its parameters make up.
    """
    family = type(given).__name__
    if not isinstance(given, torch.distributions.Distribution):
        raise ValueError(
            f"the prior of {site!r} is {given!r:.80}; give a distribution, as pyro.distributions.LogNormal(2.0, 0.3)"
        )
    shape = tuple(given.batch_shape) + tuple(given.event_shape)
    if shape:
        raise ValueError(
            f"the prior of {site!r} has the shape {shape}; give one of shape (), which all numbers of the site share"
        )
    names = tuple(given.arg_constraints)
    made = getattr(dist, family, None)
    if made is None or not names or _is_discrete(given):
        raise ValueError(
            f"the prior of {site!r} is of {family}; give a continuous family of pyro.distributions: {_EXAMPLES}"
        )
    parameters = tuple((name, float(getattr(given, name))) for name in names)
    prior = SitePrior(site, family, parameters, _room_of(given))
    try:
        prior.like(torch.zeros((), dtype=torch.float64))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the prior of {site!r} is of {family}, which its parameters {', '.join(names)} do not make up again; give "
            f"a plain family of pyro.distributions: {_EXAMPLES}"
        ) from error
    return prior


def _number(value: float) -> str:
    """The number in full, in the few digits of single precision where it is one of that."""
    single = np.float32(value)
    return str(single) if single == value else repr(value)


def _is_discrete(given: Any) -> bool:
    return bool(given.support is None or given.support.is_discrete)


def _room_of(distribution: Any) -> Room:
    """Least and greatest value of a distribution's support."""
    support = distribution.support
    low, high = (
        float(getattr(support, name, end)) for name, end in (("lower_bound", -math.inf), ("upper_bound", math.inf))
    )
    return low, high


def _interval(room: Room) -> str:
    if room == REAL:
        return "of either sign"
    if room == POSITIVE:
        return "above 0"
    return f"from {room[0]:g} to {room[1]:g}"
