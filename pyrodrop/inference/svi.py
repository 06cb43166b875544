"""Mean-field SVI of a flat density: ELBO, gradient and Adam in one captured step, at the speed of the renderer.

The guide is Pyro's ``AutoNormal``: z = loc + softplus(rho) * eps in unconstrained space. Loss and gradient are
those of ``pyro.infer.Trace_ELBO`` with one particle, and the update is that of ``torch.optim.Adam``; given the
same eps the numbers are those of ``pyro.infer.SVI`` (Kingma and Welling, arXiv:1312.6114; Kingma and Ba,
arXiv:1412.6980).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pyrodrop.inference.density import Density, agree, capture
from pyrodrop.inference.graphs import can_compile, compile_graph
from pyrodrop.inference.replay import Replayed, Step

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8
_LOG_TWO_PI = math.log(2.0 * math.pi)
# The first iterations run the captured graph as it is: a short fit is over before a compiler would be. The switch
# hangs on the iteration alone, so that a resumed fit takes it where an undisturbed one does.
_COMPILED_FROM = 2_000


@dataclass(frozen=True)
class State:
    """All that the next step depends on: it can be saved, loaded and continued to the same numbers.

    Attributes:
        params: loc and rho, shape (2, R, D): R starts side by side, scale = softplus(rho).
        first, second: Adam's moments, of the shape of params.
        iteration: the number of steps taken.
        random: state of the generator of eps, a byte tensor.
    """

    params: Tensor
    first: Tensor
    second: Tensor
    iteration: int
    random: Tensor

    @property
    def loc(self) -> Tensor:
        """Means of the guide in unconstrained space, shape (R, D)."""
        return self.params[0]

    @property
    def scale(self) -> Tensor:
        """Standard deviations of the guide in unconstrained space, shape (R, D)."""
        return torch.nn.functional.softplus(self.params[1])


def start(density: Density, loc: Tensor, scale: float | Tensor = 0.1, seed: int = 0) -> State:
    """The state before the first step.

    Args:
        density: the density to be fitted.
        loc: where the guide's means start, shape (R, D) or (D,).
        scale: where its standard deviations start, positive, a number or of the shape of loc; 0.1 is Pyro's default.
        seed: seed of the generator of the random numbers of all steps.
    """
    loc = loc.to(density.dtype).to(density.device).reshape(-1, density.size)
    scale = torch.as_tensor(scale, dtype=density.dtype, device=density.device)
    rho = scale.expm1().log().expand(loc.shape) if scale.dim() == 0 else scale.expm1().log().reshape(loc.shape)
    params = torch.stack([loc, rho])
    generator = torch.Generator(density.device).manual_seed(seed)
    return State(params, torch.zeros_like(params), torch.zeros_like(params), 0, generator.get_state())


def carried_over(state: State, device: torch.device, seed: int) -> tuple[State, bool]:
    """The state as it goes on on a device, and whether its random numbers are others than where it came from.

    A CPU cannot go on with the random numbers of a GPU, nor the other way round. A state that comes from the other
    kind of device goes on with a new stream, which hangs on nothing but ``seed`` and the iteration.
    """
    generator = torch.Generator(device)
    if state.random.numel() == generator.get_state().numel():
        return state, False
    generator.manual_seed((seed + 1_000_003 * state.iteration) % 2**63)
    return replace(state, random=generator.get_state()), True


def uniform_start(density: Density, seed: int = 0, radius: float = 2.0, starts: int = 1) -> Tensor:
    """Means drawn uniformly from (-radius, radius) in unconstrained space, as in the post: shape (starts, D)."""
    generator = torch.Generator().manual_seed(seed)
    loc = torch.empty(starts, density.size, dtype=torch.float64).uniform_(-radius, radius, generator=generator)
    return loc.to(density.dtype).to(density.device)


class MeanField:
    """Steps a mean-field guide of a density.

    Args:
        density: the density to be fitted.
        compiled: True compiles the step with torch's compiler, False does not, None does from iteration 2,000
            on where there is a C++ compiler or a GPU.
        repeats: into how many parts of equal length the starts fall of which all have the same random numbers, those of
            a state with the starts of one part alone.
        relative: the learning rate of each mean is in units of ten of its own standard deviations, and so the plain
            rate where that is Pyro's 0.1. A guide that starts close to where it ends, with means known to a
            thousandth, would be thrown far off by the first plain steps.

    Raises:
        NotFlatError: if the model cannot be captured; plain ``pyro.infer.SVI`` can still fit it.
    """

    def __init__(
        self, density: Density, compiled: bool | None = None, relative: bool = False, repeats: int = 1
    ) -> None:
        self.density = density
        self.repeats = repeats
        self.relative = relative
        if compiled is None:
            self._compiled_from = _COMPILED_FROM if can_compile(density.device) else None
        else:
            self._compiled_from = 0 if compiled else None
        self._steps: dict[tuple[int, bool], Step] = {}
        self._check()

    def run(
        self,
        state: State,
        steps: int,
        learning_rate: float | Callable[[int], float] = 0.01,
    ) -> tuple[State, Tensor]:
        """Take steps; return the new state and the losses, shape (steps, R).

        Two runs of a and b steps are one run of a + b, to the last bit.

        Args:
            state: where to start from; it is not changed.
            steps: the number of steps.
            learning_rate: Adam's, or a function of the iteration (from 0) that gives it.
        """
        density = self.density
        rate = learning_rate if callable(learning_rate) else lambda _: learning_rate
        generator = torch.Generator(density.device)
        generator.set_state(state.random)
        params, first, second = state.params, state.first, state.second
        losses = torch.empty(steps, params.shape[1], dtype=density.dtype, device=density.device)
        drawn = (params.shape[1] // self.repeats, params.shape[2])
        numbers = range(state.iteration + 1, state.iteration + steps + 1)
        # All at once, for the host waits for a device that it sends numbers to.
        by_step = torch.tensor([_adam_rates(rate(number - 1), number) for number in numbers], dtype=density.dtype)
        for done, (number, rates) in enumerate(zip(numbers, by_step.to(density.device).unbind(), strict=True)):
            eps = torch.randn(drawn, generator=generator, dtype=density.dtype, device=density.device)
            eps = eps if self.repeats == 1 else eps.repeat(self.repeats, 1)
            step = self._step_for(params, self._compiled_from is not None and number > self._compiled_from)
            params, first, second, losses[done] = step(params, first, second, rates, eps, *density.tensors)
        return State(params, first, second, state.iteration + steps, generator.get_state()), losses

    def _check(self) -> None:
        """Hold loss and gradient of the captured step against the model's own at a random point."""
        density = self.density
        loc = uniform_start(density, starts=len(density.tensors[0]) if density.by_row else 1)
        params = torch.stack([loc, torch.full_like(loc, -2.0)])
        still, rates = torch.zeros_like(params), torch.ones(2, dtype=loc.dtype, device=loc.device)
        arguments = (params, still, still.clone(), rates, loc.flip(-1) / 2.0, *density.tensors)
        _, gradient, _, loss = self._step_for(params, False)(*arguments)
        _, own_gradient, _, own_loss = _step(density, *arguments)
        agree((loss, gradient), (own_loss, own_gradient))

    def _step_for(self, params: Tensor, compiled: bool) -> Step:
        key = (params.shape[1], compiled)
        if key not in self._steps:
            density, relative = self.density, self.relative

            def step(*arguments: Tensor) -> tuple[Tensor, ...]:
                return _step(density, *arguments, relative=relative)

            rates = torch.ones(2, dtype=params.dtype, device=params.device)
            example = (params, params, params.abs(), rates, params[0], *density.tensors)
            if not compiled:
                self._steps[key] = capture(step, *example)
            elif params.is_cuda:
                self._steps[key] = Replayed(compile_graph(step, *example), example)
            else:
                self._steps[key] = compile_graph(step, *example)
        return self._steps[key]


def _step(
    density: Density,
    params: Tensor,
    first: Tensor,
    second: Tensor,
    rates: Tensor,
    eps: Tensor,
    *tensors: Tensor,
    relative: bool = False,
) -> tuple[Tensor, ...]:
    loc, rho = params[0], params[1]
    scale = torch.nn.functional.softplus(rho)
    value, grad = density.value_and_grad(loc + scale * eps, *tensors)
    loss = _log_q(eps, scale) - value
    gradient = torch.stack([-grad, -(grad * eps + 1.0 / scale) * torch.sigmoid(rho)])
    first = first + (1.0 - _BETAS[0]) * (gradient - first)
    second = _BETAS[1] * second + (1.0 - _BETAS[1]) * gradient * gradient
    change = rates[0] * first / (second.sqrt() / rates[1] + _EPSILON)
    if relative:
        change = torch.stack([change[0] * scale * 10.0, change[1]])
    params = params - change
    return params, first, second, loss


def _adam_rates(learning_rate: float, number: int) -> tuple[float, float]:
    return learning_rate / (1.0 - _BETAS[0] ** number), math.sqrt(1.0 - _BETAS[1] ** number)


def mean_loss(density: Density, state: State, draws: int = 16, seed: int = 0) -> float:
    """The negative ELBO of a state, averaged over its starts and over draws that do not depend on the state."""
    generator = torch.Generator(density.device).manual_seed(seed)
    losses = []
    for _ in range(draws):
        eps = torch.randn(state.loc.shape, generator=generator, dtype=density.dtype, device=density.device)
        value = density.log_density(state.loc + state.scale * eps).detach()
        losses.append(_log_q(eps, state.scale) - value)
    return float(torch.stack(losses).double().mean())


def _log_q(eps: Tensor, scale: Tensor) -> Tensor:
    return (-0.5 * eps * eps - scale.log()).sum(-1) - 0.5 * eps.shape[-1] * _LOG_TWO_PI


def join(states: Sequence[State]) -> State:
    """States after as many steps with the same random numbers, as one: all their starts side by side."""
    if any(s.iteration != states[0].iteration or not torch.equal(s.random, states[0].random) for s in states):
        raise ValueError("states of different iterations or random numbers cannot go on side by side")
    params, first, second = (torch.cat([getattr(s, name) for s in states], 1) for name in ("params", "first", "second"))
    return replace(states[0], params=params, first=first, second=second)


def keep(state: State, rows: Tensor) -> State:
    """The state of some of the starts only."""
    return replace(state, params=state.params[:, rows], first=state.first[:, rows], second=state.second[:, rows])
