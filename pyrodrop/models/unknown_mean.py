"""Normal observations around a mean that nobody knows: what they are together, and what they say of it."""

from typing import Any, NamedTuple

import pyro.distributions as dist
import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import constraints


class KnownOfMean(NamedTuple):
    """What is known of a mean: that it is normal, its expectation and its standard deviation, (...)."""

    loc: Tensor
    scale: Tensor


class AroundUnknownMean(dist.TorchDistribution):
    """Observations y_i = t + s_i e_i with standard normal e_i and a mean t ~ Normal(0, flat) that is summed out.

    With weights w_i = 1 / s_i^2 and what is then known of the mean, t ~ Normal(m, V),
    V = 1 / (sum_i w_i + 1 / flat^2) and m = V sum_i w_i y_i (``mean_given``),

        log p(y) = sum_i log Normal(y_i; 0, s_i) + (m^2 / V + log(V / flat^2)) / 2.

    The same as a multivariate normal distribution of covariance diag(s^2) + flat^2, without a factorisation, which
    fails where an s_i is far too large. See Gelman et al., *Bayesian Data Analysis*, section 5.4.

    Args:
        scale: standard deviations s, (..., n), positive.
        flat: standard deviation of the mean, positive.
    """

    arg_constraints = {"scale": constraints.independent(constraints.positive, 1)}  # noqa: RUF012  torch's own form
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, scale: Float[Tensor, "*batch n"], flat: float, validate_args: bool | None = None) -> None:
        self.scale, self.flat = scale, flat
        super().__init__(scale.shape[:-1], scale.shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same for a larger batch."""
        return AroundUnknownMean(self.scale.expand(*batch_shape, *self.event_shape), self.flat, validate_args=False)

    def mean_given(self, y: Float[Tensor, "*batch n"]) -> KnownOfMean:
        """What observations say of the mean t."""
        weights = self.scale.square().reciprocal()
        precision = weights.sum(-1) + self.flat**-2
        return KnownOfMean((weights * y).sum(-1) / precision, precision.rsqrt())

    def log_prob(self, value: Float[Tensor, "*batch n"]) -> Tensor:
        """Log density of observations."""
        if self._validate_args:
            self._validate_sample(value)
        mean = self.mean_given(value)
        alone = torch.distributions.Normal(torch.zeros_like(self.scale), self.scale, validate_args=False)
        ratio = mean.scale / self.flat
        return alone.log_prob(value).sum(-1) + (mean.loc / mean.scale).square() / 2 + ratio.log()

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Observations, each set with a mean of its own."""
        shape = self._extended_shape(torch.Size(sample_shape))
        mean = self.flat * torch.randn(shape[:-1], dtype=self.scale.dtype, device=self.scale.device)
        return mean[..., None] + self.scale * torch.randn(shape, dtype=self.scale.dtype, device=self.scale.device)
