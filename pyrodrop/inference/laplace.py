"""The Laplace approximation of any Pyro model's posterior: a normal distribution around a mode of its flat density.

With log density f over D unconstrained numbers, mode m and precision P = -f''(m), the posterior is taken for
Normal(m, P^-1) and the log evidence for f(m) + D/2 log(2 pi) - 1/2 log det P (MacKay, "Information Theory, Inference,
and Learning Algorithms", 2003, chapter 27). Both are exact where f is quadratic. The mode is that of the unconstrained
density, log Jacobians included, so it depends on the transforms of the sites.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyrodrop.inference.climb import Slope, climb
from pyrodrop.inference.density import Density, Model, flatten

LARGEST = 4_096
"""The largest D: the Hessian takes 2 D gradients, and each matrix D^2 numbers of 8 bytes."""

# Eigenvalues of the equilibrated precision under this are within the error of the differences.
_FLOOR = 1e-7

# A Newton step that promises to gain less log density than this is not worth another Hessian.
_GAIN = 1e-3


@dataclass(frozen=True, eq=False)
class Laplace:
    """A normal approximation of the posterior around one mode, in unconstrained space.

    Attributes:
        density: over D numbers, in float64.
        mode: (D,).
        value: log density there, log Jacobians included.
        precision: (D, D), minus the Hessian at the mode.
        factor: F, (D, D), with F F' the covariance, columns along the principal axes of the equilibrated precision.
        gain: log density that one more Newton step promises; how far from the mode the search ended.
        floored: number of principal axes along which the density was not found to fall off from the mode; where it is
            not 0, F is a guess along these axes, by the size of the curvature and by a floor of 1e-7 of the curvature
            of single numbers.
    """

    density: Density
    mode: Tensor
    value: float
    precision: Tensor
    factor: Tensor
    gain: float
    floored: int

    @property
    def covariance(self) -> Tensor:
        """(D, D)."""
        return self.factor @ self.factor.T

    @property
    def log_evidence(self) -> float:
        """Log of the model's evidence around this mode; nan where the precision had to be floored."""
        if self.floored:
            return math.nan
        # log|det F| is -1/2 log det P, and F is a diagonal times an orthogonal times a diagonal matrix.
        return (
            self.value + 0.5 * self.density.size * math.log(2 * math.pi) + float(torch.linalg.slogdet(self.factor)[1])
        )

    def positions(self, n: int, seed: int = 0) -> Tensor:
        """Draws in unconstrained space, (n, D)."""
        return self.mode + _normal(n, self.mode, seed) @ self.factor.T

    def draws(self, n: int, seed: int = 0) -> dict[str, Tensor]:
        """Draws by site, each of shape (n, *site shape)."""
        return self.density.constrained(self.positions(n, seed))


def laplace(
    model: Model,
    *args: Any,
    initial: Tensor | None = None,
    scale: Tensor | None = None,
    seed: int = 0,
    rounds: int = 8,
    device: torch.device | str = "cpu",
    **kwargs: Any,
) -> Laplace:
    """The Laplace approximation of a Pyro model's posterior around the mode uphill of a start.

    Args:
        model: a Pyro model with continuous latent sites; further arguments are passed to it.
        initial: (D,), unconstrained, where the climb starts, such as a guide's means; by default uniform in (-1, 1).
        scale: (D,), positive, about how far each number can move, such as a guide's standard deviations; by default
            ones.
        seed: of the start.
        rounds: the largest number of Hessians.
        device: where to compute, in float64.

    Raises:
        NotFlatError: if the model has no flat density, or cannot be captured.
        ValueError: if there are more than 4,096 numbers, if shapes do not fit, or the density is not finite at the
            start.
    """
    density = flatten(model, args, kwargs, dtype=torch.float64, device=device)
    return around_mode(density, initial, scale, seed=seed, rounds=rounds)


def around_mode(
    density: Density, initial: Tensor | None = None, scale: Tensor | None = None, *, seed: int = 0, rounds: int = 8
) -> Laplace:
    """The Laplace approximation of a flat density; arguments and errors as for ``laplace``.

    L-BFGS climbs in the coordinates of the latest Hessian, where a quadratic density is round, until a Newton step
    promises less than 0.001; from a saddle it leaves along the axis of the largest upward curvature.
    """
    if density.dtype != torch.float64:
        raise ValueError(f"the density is in {density.dtype}: flatten the model with dtype=torch.float64")
    if density.size > LARGEST:
        raise ValueError(
            f"the density has {density.size:,} numbers; a Laplace approximation here has {LARGEST:,} at most"
        )
    slope = Slope(density)
    z = slope.start(initial, seed)
    widths = torch.ones_like(z) if scale is None else _positive(scale, z)
    value, grad = slope.at(z)
    if not (math.isfinite(value) and bool(grad.isfinite().all())):
        raise ValueError("the log density or its gradient is not finite at the start")
    factor = widths
    for left in reversed(range(max(rounds, 1))):
        z = climb(slope, z, factor)
        value, grad = slope.at(z)
        precision = slope.precision(z, widths)
        factor, curvatures, widths = _axes(precision)
        gain = 0.5 * float((grad @ factor).square().sum())
        saddle = bool(curvatures[0] < -_FLOOR)
        if not left or (gain < _GAIN and not saddle):
            break
        if saddle:
            z = _off_the_saddle(slope, z, value, factor[:, 0])
    floored = int((curvatures < _FLOOR).sum())
    return Laplace(density, z, value, precision, factor, gain, floored)


def _axes(precision: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Factor of the covariance, curvature along each of its axes, and the widths of single numbers.

    The precision is equilibrated to a unit diagonal, so that the floor means the same for every number. Along an axis
    of upward curvature the factor goes by its size, which is how far it is to where the curvature has to end.
    """
    diagonal = precision.diagonal().abs()
    widths = diagonal.clamp(min=_FLOOR * float(diagonal.max().clamp(min=1e-300))).rsqrt()
    curvatures, axes = torch.linalg.eigh(precision * widths * widths[:, None])
    factor = widths[:, None] * axes * curvatures.abs().clamp(min=_FLOOR).rsqrt()
    return factor, curvatures, widths


def _off_the_saddle(slope: Slope, z: Tensor, value: float, axis: Tensor) -> Tensor:
    """The higher of the two sides along the axis, however small a step that takes; z if neither is higher."""
    for share in (1.0, 0.3, 0.1, 0.01, 0.001):
        sides = [z + share * axis, z - share * axis]
        values = [slope.at(side)[0] for side in sides]
        best = max(range(2), key=lambda side: values[side])
        if values[best] > value:
            return sides[best]
    return z


def _positive(scale: Tensor, like: Tensor) -> Tensor:
    if scale.shape != like.shape or not bool((scale > 0).all()):
        raise ValueError(f"expected a positive scale of shape {tuple(like.shape)}, got {tuple(scale.shape)}")
    return scale.detach().to(like)


def _normal(n: int, like: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, len(like), generator=generator, dtype=like.dtype).to(like.device)
