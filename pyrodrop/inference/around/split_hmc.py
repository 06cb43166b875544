"""Hamiltonian Monte Carlo around a normal approximation, whose own dynamics are solved and not stepped through.

In whitened coordinates w, where the approximation is Normal(0, 1), the log density is -w'w / 2 + v(w). The dynamics of
the first term are a rotation of position and momentum, known exactly for any time; only v, what the density has beyond
the normal one, is stepped (Shahbaba, Lan, Johnson and Neal, "Split Hamiltonian Monte Carlo", Statistics and Computing
24, 2014). Of a normal posterior, every quarter of a turn is an independent draw at the price of one gradient, in any
number of dimensions; steps are only as short as the density is not normal. The draws are of the density itself:
each proposal is accepted or rejected by its energy.
"""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from pyro.ops.dual_averaging import DualAveraging
from torch import Tensor

from pyrodrop.inference.density import capture
from pyrodrop.inference.kernel import pooled_acceptance
from pyrodrop.inference.transitions import Noise
from pyrodrop.inference.trees import MAX_ENERGY_ERROR
from pyrodrop.inference.whitening import Whitened

# A quarter of a turn makes position and momentum of a normal density change places. Turns of one length can resonate
# with what is not normal, so each is drawn between 0.8 and 1.2 of it.
_QUARTER, _SPREAD = math.pi / 2, 0.2

# Shares of the warm-up after which the approximation is mended by the draws since the last time.
_MENDED_AT = (0.15, 0.35, 0.6, 0.85)

# Weight of the approximation's own centre and scales beside those of the draws, in draws; as in Stan's mass matrix.
_PRIOR_DRAWS = 5.0


class Point(NamedTuple):
    """Where the chains are: w (C, D), log density beyond the normal one, v (C,), and its gradient (C, D)."""

    w: Tensor
    value: Tensor
    grad: Tensor


class Turn(NamedTuple):
    """What one transition did: acceptance (C,), which chains diverged (C,), and how many gradients it took."""

    acceptance: Tensor
    diverged: Tensor
    steps: int


class SplitHMC:
    """C chains about a normal approximation, all of which take the same steps; see the module.

    Args:
        around: the density, whitened by the approximation.
        start: positions w, (C, D).
        num_warmup: transitions in which the step is adapted, and centre and scale of the approximation along its
            axes are brought to those of the draws; afterwards both stay.
        target_accept: what acceptance the step is adapted to, between 0 and 1.
        seed: of all random numbers; the global generators are not touched.

    Raises:
        ValueError: for a setting out of range, or where the density is not finite at the start.
    """

    def __init__(
        self, around: Whitened, start: Tensor, num_warmup: int, target_accept: float = 0.8, seed: int = 0
    ) -> None:
        if num_warmup < 0 or not 0.0 < target_accept < 1.0:
            raise ValueError(
                f"expected num_warmup >= 0 and 0 < target_accept < 1; got {num_warmup} and {target_accept}"
            )
        if start.dim() != 2 or start.shape[1] != around.size:
            raise ValueError(f"expected a start of shape (chains, {around.size}), got {tuple(start.shape)}")
        self.around = around
        self.num_warmup = num_warmup
        self._target = target_accept
        self._noise = Noise(seed, len(start), around.dtype, around.device)
        self._turns = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self._graph = capture(around.value_and_grad, start, *around.tensors)
            self.at = self._evaluate(start.to(around.device, around.dtype))
        if not bool((self.at.value.isfinite() & self.at.grad.isfinite().all(-1)).all()):
            raise ValueError("the log density or its gradient is not finite at the start of a chain")
        self._done = 0
        self._since: list[Tensor] = []
        self._dual = DualAveraging(prox_center=math.log(_QUARTER))
        self._step = _QUARTER / 4

    @property
    def step_size(self) -> float:
        """The present step, in units of the time in which a normal density turns by one radian."""
        return self._step

    @property
    def z(self) -> Tensor:
        """Where the chains are in unconstrained space, (C, D)."""
        return self.around.coloured(self.at.w)

    @torch.no_grad()
    def __call__(self) -> Turn:
        """One transition of all chains, and of the adaptation during the warm-up."""
        time = _QUARTER * (1 - _SPREAD + 2 * _SPREAD * float(torch.rand((), generator=self._turns)))
        steps = max(1, math.ceil(time / self._step - 1e-9))
        momentum = self._noise.normal(self.around.size)
        end, momentum_there = self._trajectory(self.at, momentum, time / steps, steps)
        error = _energy(end, momentum_there) - _energy(self.at, momentum)
        error = error.nan_to_num(nan=math.inf, posinf=math.inf)
        acceptance = (-error).exp().clamp(max=1.0)
        accepted = self._noise.uniform(1)[0] < acceptance
        self.at = Point(*(_pick(accepted, new, old) for new, old in zip(end, self.at, strict=True)))
        if self._done < self.num_warmup:
            self._adapt(acceptance)
        self._done += 1
        return Turn(acceptance, error > MAX_ENERGY_ERROR, steps)

    def _trajectory(self, start: Point, momentum: Tensor, step: float, steps: int) -> tuple[Point, Tensor]:
        """Half a kick by v, a rotation, half a kick, and so on: reversible, and of unit volume."""
        cos, sin = math.cos(step), math.sin(step)
        w, value, grad = start
        for _ in range(steps):
            momentum = momentum + 0.5 * step * grad
            w, momentum = w * cos + momentum * sin, momentum * cos - w * sin
            w, value, grad = self._evaluate(w)
            momentum = momentum + 0.5 * step * grad
        return Point(w, value, grad), momentum

    def _evaluate(self, w: Tensor) -> Point:
        value, grad = self._graph(w, *self.around.tensors)
        return Point(w, value + 0.5 * (w * w).sum(-1), grad + w)

    def _adapt(self, acceptance: Tensor) -> None:
        self._dual.step(self._target - float(pooled_acceptance(acceptance)))
        latest, average = self._dual.get_state()
        self._since.append(self.at.w)
        number = self._done + 1
        if number in [round(share * self.num_warmup) for share in _MENDED_AT]:
            self._mend()
            self._dual.prox_center = min(average, math.log(_QUARTER))
            self._dual.reset()
            latest = self._dual.prox_center
        elif number == self.num_warmup:
            latest = average
        # Never more than the turn itself, and so short a step only where something is wrong.
        self._step = min(max(math.exp(latest), 1e-3), _QUARTER)

    def _mend(self) -> None:
        """Centre and scale of the approximation, along its axes, from the draws since the last time."""
        draws = torch.cat(self._since)
        self._since = []
        count = len(draws)
        centre = draws.mean(0) * (count / (count + _PRIOR_DRAWS))
        scale = ((count * draws.var(0) + _PRIOR_DRAWS) / (count + _PRIOR_DRAWS)).sqrt()
        around = self.around
        self.around = replace(
            around, centre=around.centre + around.factor @ centre, factor=(around.factor * scale).contiguous()
        )
        self.at = self._evaluate((self.at.w - centre) / scale)


def _energy(at: Point, momentum: Tensor) -> Tensor:
    return 0.5 * (at.w * at.w + momentum * momentum).sum(-1) - at.value


def _pick(which: Tensor, new: Tensor, old: Tensor) -> Any:
    return torch.where(which if new.dim() == 1 else which[:, None], new, old)
