"""A flat density in other coordinates, in which a dense mass matrix is the identity.

Hamiltonian dynamics with inverse mass matrix F F' in z are those with the identity in w, where z = centre + F w
(Neal, "MCMC using Hamiltonian dynamics", Handbook of Markov Chain Monte Carlo, 2011, section 4.1). So a sampler that
knows diagonal mass matrices alone samples with a dense one, and what it learns in w amends it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pyrodrop.inference.density import Density


@dataclass(frozen=True, eq=False)
class Whitened:
    """The density of w, where z = centre + F w: what ``NUTS`` takes in the place of a ``Density``.

    The Jacobian of the map is a constant and is left out, so the log density is that of z.

    Attributes:
        density: over z of D numbers.
        centre: (D,), the z of w = 0.
        factor: F, (D, D), invertible; F F' stands in for the covariance of z.
    """

    density: Density
    centre: Tensor
    factor: Tensor

    @property
    def size(self) -> int:
        """D."""
        return self.density.size

    @property
    def dtype(self) -> torch.dtype:
        """Of w and z."""
        return self.density.dtype

    @property
    def device(self) -> torch.device:
        """Of w and z."""
        return self.density.device

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The density's tensors, the centre and the factor: arguments of every graph, never baked into one."""
        return (*self.density.tensors, self.centre, self.factor)

    def coloured(self, w: Tensor) -> Tensor:
        """The z of w, both (..., D)."""
        return self.centre + w @ self.factor.T

    def whitened(self, z: Tensor) -> Tensor:
        """The w of z, both (..., D)."""
        rows = torch.linalg.solve(self.factor, (z - self.centre).reshape(-1, self.size).T).T
        return rows.reshape(z.shape)

    def constrained(self, w: Tensor) -> dict[str, Tensor]:
        """Values of the sites at w of shape (..., D): by name, each of shape (..., *site shape)."""
        return self.density.constrained(self.coloured(w))

    def value_and_grad(self, w: Tensor, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """Log density (C,) and its gradient by w (C, D) at w of shape (C, D). May be traced into a graph."""
        *rest, centre, factor = tensors or self.tensors
        value, grad = self.density.value_and_grad(centre + w @ factor.T, *rest)
        return value, grad @ factor


def principal_factor(covariance: Tensor) -> Tensor:
    """F with F F' = covariance, its columns along the principal axes of the correlation, the widest last.

    Along principal axes a diagonal that is learnt later can widen or narrow one combination of numbers alone, which
    along the columns of a Cholesky factor it cannot.

    Args:
        covariance: (D, D), symmetric and positive definite.

    Raises:
        ValueError: if it is not.
    """
    symmetric = covariance.dim() == 2 and covariance.shape[0] == covariance.shape[1]
    if not symmetric or not torch.allclose(covariance, covariance.T, rtol=1e-4, atol=0.0):
        raise ValueError(f"expected a symmetric covariance of shape (D, D), got {tuple(covariance.shape)}")
    widths = covariance.diagonal().sqrt()
    if not bool((widths > 0).all()):  # nan is not positive either
        raise ValueError("expected a positive definite covariance; its diagonal is not positive")
    values, axes = torch.linalg.eigh(covariance / widths / widths[:, None])
    if not bool(values[0] > 0):
        raise ValueError(f"expected a positive definite covariance; an eigenvalue is {float(values[0]):.3g}")
    factor: Tensor = widths[:, None] * axes * values.sqrt()
    return factor


def whitened_density(
    density: Density, initial: Tensor | None, covariance: Tensor, num_chains: int
) -> tuple[Whitened, Tensor]:
    """The density in coordinates in which the covariance is the identity, and the initial positions in them.

    Args:
        density: of D numbers.
        initial: positions, (D,) or (num_chains, D).
        covariance: (D, D), symmetric and positive definite.
        num_chains: how many chains.

    Raises:
        ValueError: for shapes that do not fit, no initial positions, or a covariance that is not positive definite.
    """
    size = density.size
    if covariance.shape != (size, size):
        raise ValueError(
            f"expected an inverse mass of shape ({size},) or ({size}, {size}), got {tuple(covariance.shape)}"
        )
    if initial is None:
        raise ValueError("a dense inverse mass needs initial positions: where the posterior has that covariance")
    if initial.shape not in ((num_chains, size), (size,)):
        raise ValueError(
            f"expected initial positions of shape ({num_chains}, {size}) or ({size},), got {tuple(initial.shape)}"
        )
    # In double precision, and about the starts: what is left for the density's own dtype is of the size of the steps.
    start = initial.to(density.device, torch.float64)
    centre = start if start.dim() == 1 else start.mean(0)
    factor = principal_factor(covariance.to(density.device, torch.float64))
    around = Whitened(density, centre.to(density.dtype), factor.to(density.dtype))
    return around, around.whitened(start.to(density.dtype))
