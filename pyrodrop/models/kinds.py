"""Kinds of droplets: populations that differ in what was measured of each droplet, whose errors are known."""

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from pyrodrop.models.plates import droplet_plate

# The prior of a kind's centre is so many standard deviations of all droplets wide.
CENTRE_WIDTH = 3.0


def kinds(features: Tensor, errors: Tensor, n_kinds: int = 1, presence: Tensor | None = None) -> None:
    """Each droplet is of one of a few kinds, and each kind is normal in what was measured, errors on top.

    Sites: share ~ Dirichlet(1, ..., 1), shape (n_kinds,); of each kind centre ~ Normal(mean, 3 sd), (n_kinds, F), and
    precision ~ Wishart of F + 2 degrees and scale Psi^-1, Psi the mean squared errors, (n_kinds, F, F), by way of the
    sites strength and below of its root (``precision_root``); obs ~ sum_k share_k Normal(centre_k, precision_k^-1 +
    errors), observed: which kind a droplet is of is summed out (Bovy, Hogg and Roweis 2011).

    Args:
        features: what was measured, such as the log of a radius and amplitudes, shape (N, F).
        errors: covariance of its error, of each droplet, shape (N, F, F).
        n_kinds: how many kinds, at least 1.
        presence: probability that each droplet is one, (N,), by which it counts; None for 1.

    Raises:
        ValueError: fewer than 1 kind, no droplets, or shapes that do not belong together.
    """
    n, f = features.shape
    if n_kinds < 1:
        raise ValueError(f"n_kinds is {n_kinds}: give at least 1.")
    if errors.shape != (n, f, f):
        raise ValueError(f"errors have shape {tuple(errors.shape)}: give one covariance a droplet, {(n, f, f)}.")
    droplets = droplet_plate(n)
    mean, spread = prior_of_kinds(features, errors)
    share = pyro.sample("share", dist.Dirichlet(features.new_ones(n_kinds)))
    with pyro.plate("kinds", n_kinds, dim=-1):
        wide = CENTRE_WIDTH * features.std(0, correction=0).clamp(min=1e-9)
        centre = pyro.sample("centre", dist.Normal(mean, wide).to_event(1))
        # Bartlett's decomposition: guides and NUTS know no way onto the positive definite matrices themselves.
        degrees = features.new_tensor(f + 2.0) - torch.arange(f, dtype=features.dtype, device=features.device)
        strength = pyro.sample("strength", dist.Chi2(degrees).to_event(1))
        below = pyro.sample("below", dist.Normal(features.new_zeros(f * (f - 1) // 2), 1.0).to_event(1))
        root = precision_root(strength, below, spread)
        precision = pyro.deterministic("precision", root @ root.mT, event_dim=2)
    covariance = torch.linalg.inv(precision)
    each = dist.MultivariateNormal(centre.unsqueeze(-3), covariance.unsqueeze(-4) + errors[:, None])
    mixture = dist.MixtureSameFamily(dist.Categorical(share), each)
    with droplets, pyro.poutine.scale(scale=features.new_ones(n) if presence is None else presence):
        pyro.sample("obs", mixture, obs=features)


def precision_root(strength: Tensor, below: Tensor, spread: Tensor) -> Tensor:
    """Cholesky factor of a Wishart matrix: Psi^(-1/2) A, A's diagonal the roots of strength, (..., F, F).

    strength: (..., F), of Chi2(F + 2), ..., Chi2(3). below: what is below the diagonal of A, row by row. spread: Psi,
    diagonal, (F, F).
    """
    f = strength.shape[-1]
    rows, columns = torch.tril_indices(f, f, -1, device=strength.device)
    lower = torch.zeros((*below.shape[:-1], f, f), dtype=below.dtype, device=below.device)
    lower[..., rows, columns] = below
    return (lower + torch.diag_embed(strength.sqrt())) * spread.diagonal().rsqrt()[:, None]


def prior_of_kinds(features: Tensor, errors: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of all droplets, (F,), and the matrix Psi of the Wishart prior exp(-tr(Psi precision) / 2), (F, F).

    Psi is diagonal: the mean squared error of what was measured, below which nothing tells the widths of kinds apart.
    """
    least = 1e-6 * features.var(0, correction=0) + 1e-12
    return features.mean(0), torch.diag(errors.diagonal(dim1=-2, dim2=-1).mean(0) + least)
