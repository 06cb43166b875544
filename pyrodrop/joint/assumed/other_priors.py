"""Priors of the joint fit that are not normal in its transformed space: quadratics at each step."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pyrodrop.models.assumed.site_priors import SitePrior

Array = NDArray[np.float64]

# The curvature of a log density is taken to be no less than this share of that of a normal of the same spread: where a
# density has tails, or bends the other way, it holds nothing back, and a step is still one downhill.
_LEAST_CURVATURE = 1e-3


class _Derivatives(NamedTuple):
    """Log density of values in transformed space, with its slope and curvature, all of the values' shape."""

    density: Array
    slope: Array
    curvature: Array


@dataclass(frozen=True)
class OtherPrior:
    """A prior of any family with values of either sign, or of all positive numbers, whose logs are then the unknowns.

    Attributes:
        prior: of a site.
        logs: whether the unknowns are the logs of the site's values.
        shape: of the unknowns.
    """

    prior: SitePrior
    logs: bool
    shape: tuple[int, ...]

    @cached_property
    def _middle(self) -> tuple[float, float]:
        drawn = self.prior.draws()
        drawn = np.log(np.maximum(drawn, np.finfo(np.float64).tiny)) if self.logs else drawn
        low, middle, high = np.quantile(drawn, [0.15866, 0.5, 0.84134])
        return float(middle), float(max((high - low) / 2, 1e-9 * max(abs(middle), 1e-9)))

    @property
    def mean(self) -> Array:
        """Median, where a fit begins."""
        return np.full(self.shape, self._middle[0])

    @property
    def sd(self) -> Array:
        """Half of what the middle 68 % span: the deviation of a normal of this spread."""
        return np.full(self.shape, self._middle[1])

    @property
    def precision(self) -> Array:
        """That of a normal of this spread."""
        return np.asarray(self.sd**-2.0)

    def energy(self, value: Array) -> float:
        """Negative log density of independent values of the unknowns' shape, with all constants."""
        return float(-self.log_density(value).sum())

    def slope(self, value: Array) -> Array:
        """Derivative of the energy by the values."""
        return -self._at(value).slope

    def precision_at(self, value: Array) -> Array:
        """Second derivative of the energy by each value; positive."""
        return np.maximum(-self._at(value).curvature, _LEAST_CURVATURE * self._middle[1] ** -2)

    def log_density(self, value: Array) -> Array:
        """Log density of each value, with its constants."""
        return self._at(value).density

    @property
    def constants(self) -> Array:
        """What the energy leaves out of the log density: nothing."""
        return np.zeros(self.shape)

    def without(self, value: Array) -> Array:
        """See ``priors.Normal.without``."""
        at = self._at(value)
        return np.asarray(-2 * at.slope * value - self.precision_at(value) * np.square(value))

    def _at(self, value: Array) -> _Derivatives:
        with torch.enable_grad():
            unknown = torch.tensor(np.asarray(value), dtype=torch.float64, requires_grad=True)
            density = self.prior.log_density(unknown.exp()) + unknown if self.logs else self.prior.log_density(unknown)
            (slope,) = torch.autograd.grad(density.sum(), unknown, create_graph=True)
            curvature = torch.zeros_like(unknown)
            if slope.requires_grad:
                (curvature,) = torch.autograd.grad(slope.sum(), unknown, allow_unused=True, materialize_grads=True)
        return _Derivatives(*(part.detach().numpy(force=True) for part in (density, slope, curvature)))


class Stacked(NamedTuple):
    """Priors of unknowns that stand in one row, one after the other, of which not all are normal."""

    parts: tuple[Any, ...]
    sizes: tuple[int, ...]

    def _each(self, name: str, value: Array | None = None) -> Array:
        ends = np.cumsum(self.sizes)[:-1]
        if value is None:
            return np.concatenate([np.ravel(getattr(part, name)) for part in self.parts])
        values = np.split(value, ends)
        return np.concatenate(
            [np.ravel(getattr(part, name)(each)) for part, each in zip(self.parts, values, strict=True)]
        )

    @property
    def mean(self) -> Array:
        """See ``OtherPrior``, as of all below."""
        return self._each("mean")

    @property
    def sd(self) -> Array:
        """See ``OtherPrior``."""
        return self._each("sd")

    @property
    def precision(self) -> Array:
        """See ``OtherPrior``."""
        return self._each("precision")

    def energy(self, value: Array) -> float:
        """See ``OtherPrior``."""
        values = np.split(value, np.cumsum(self.sizes)[:-1])
        return float(sum(part.energy(each) for part, each in zip(self.parts, values, strict=True)))

    def slope(self, value: Array) -> Array:
        """See ``OtherPrior``."""
        return self._each("slope", value)

    def precision_at(self, value: Array) -> Array:
        """See ``OtherPrior``."""
        return self._each("precision_at", value)

    def log_density(self, value: Array) -> Array:
        """See ``OtherPrior``."""
        return self._each("log_density", value)

    @property
    def constants(self) -> Array:
        """See ``OtherPrior``."""
        return self._each("constants")
