"""The slope of a flat density in float64: climbing it, and its precision by differences."""

import math
from typing import Any

import torch
from torch import Tensor

from pyrodrop.inference.density import Density, NotFlatError, capture, check

# Differences of the gradient, in units of a number's scale: with gradients good to 1e-12 both errors stay under 1e-6.
_STEP = 1e-4

_ROWS = 16  # gradients taken in one batch
_MEMORY = 20  # pairs of steps and gradients that L-BFGS remembers


class Slope:
    """Log density and gradient of a flat density, captured for one row and for a batch.

    Args:
        density: in float64.

    Raises:
        NotFlatError: if the model cannot be captured.
    """

    def __init__(self, density: Density) -> None:
        self._density = density
        self._graphs: dict[int, Any] = {}
        try:
            self._graph(1)
        except RuntimeError as error:  # what tracing makes of control flow that depends on values
            reason = str(error).strip().splitlines()
            raise NotFlatError(f"the model cannot be captured: {reason[0] if reason else error!r}") from error
        check(density, self._graph(1))

    def start(self, initial: Tensor | None, seed: int) -> Tensor:
        """A position (D,): the given one, or uniform in (-1, 1).

        Raises:
            ValueError: if the given one is of another shape.
        """
        density = self._density
        like: dict[str, Any] = {"dtype": density.dtype, "device": density.device}
        if initial is None:
            generator = torch.Generator().manual_seed(seed)
            return (2.0 * torch.rand(density.size, generator=generator, dtype=density.dtype) - 1.0).to(**like)
        if initial.shape != (density.size,):
            raise ValueError(f"expected an initial position of shape ({density.size},), got {tuple(initial.shape)}")
        return initial.detach().to(**like)

    def at(self, z: Tensor) -> tuple[float, Tensor]:
        """Log density, and its gradient (D,), at z of shape (D,)."""
        value, grad = self._graph(1)(z[None], *self._density.tensors)
        return float(value), grad[0]

    def precision(self, z: Tensor, widths: Tensor) -> Tensor:
        """Minus the Hessian at z, (D, D), by central differences of the gradient over ``widths``."""
        size, half = len(z), _ROWS // 2
        hessian = torch.empty(size, size, dtype=z.dtype, device=z.device)
        for first in range(0, size, half):
            # The last batch is filled up with numbers that are already done.
            numbers = torch.arange(min(first, max(size - half, 0)), min(first + half, size), device=z.device)
            count = len(numbers)
            steps = torch.zeros(count, size, dtype=z.dtype, device=z.device)
            steps[torch.arange(count, device=z.device), numbers] = _STEP * widths[numbers]
            _, grad = self._graph(2 * count)(torch.cat([z + steps, z - steps]), *self._density.tensors)
            hessian[numbers] = (grad[:count] - grad[count:]) / (2 * _STEP * widths[numbers, None])
        return -0.5 * (hessian + hessian.T)

    def _graph(self, rows: int) -> Any:
        if rows not in self._graphs:
            example = torch.zeros(rows, self._density.size, dtype=self._density.dtype, device=self._density.device)
            self._graphs[rows] = capture(self._density.value_and_grad, example, *self._density.tensors)
        return self._graphs[rows]


def climb(slope: Slope, z: Tensor, factor: Tensor) -> Tensor:
    """Uphill from z by L-BFGS in coordinates w with z + F w; F a matrix (D, D) or a diagonal (D,).

    Returns:
        Where the climb ended, (D,). It is no lower than z.
    """
    from scipy.optimize import minimize  # slow to import, and it changes which warnings are shown

    # The last place with a density, that density and its slope, both downhill.
    last: list[Any] = [torch.zeros_like(z).cpu().numpy(), math.inf, torch.zeros_like(z).cpu().numpy()]

    def loss(w: Any) -> tuple[float, Any]:
        position = torch.from_numpy(w).to(z)
        try:
            value, grad = slope.at(z + (factor @ position if factor.dim() == 2 else factor * position))
        # A covariance that is none up to rounding: the density is none either. That torch.linalg has the error is
        # documented, but not told to the type checker.
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            value, grad = -math.inf, torch.zeros_like(position)
        if math.isfinite(value) and bool(grad.isfinite().all()):
            last[:] = w.copy(), -value, -(grad @ factor if factor.dim() == 2 else grad * factor).cpu().numpy()
            return last[1], last[2]
        # Where there is none, a slope that leads back: of an infinite value a line search makes nothing.
        away, steep = w - last[0], float((last[2] ** 2).sum() ** 0.5)
        far = float((away**2).sum() ** 0.5)
        if not (math.isfinite(last[1]) and far > 0 and steep > 0):
            return math.inf, 0.0 * w
        return last[1] + steep * far, steep * away / far

    options = {"maxiter": 2_000, "maxfun": 4_000, "maxcor": _MEMORY, "ftol": 0.0, "gtol": 1e-4}
    end = minimize(loss, torch.zeros_like(z).cpu().numpy(), jac=True, method="L-BFGS-B", options=options)
    w = torch.from_numpy(end.x).to(z)
    return z + (factor @ w if factor.dim() == 2 else factor * w)
