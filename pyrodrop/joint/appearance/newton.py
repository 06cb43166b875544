"""The mode of the model of droplets as they look: damped Gauss-Newton steps over everything at once.

A step solves (H + damping * blocks of H) d = gradient by conjugate gradients, preconditioned by the blocks; it is
taken where the log density rises, and the damping falls then (Levenberg 1944, Marquardt 1963). The noise follows after
each.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from pyrodrop.joint.appearance.blocks import Blocks, blocks_of, solved
from pyrodrop.joint.appearance.state import Data, Look, PicturePrior, Step, moved, predicted
from pyrodrop.joint.appearance.tangent import EVERYTHING, Free, Tangent, backward, curvature, prior_pull, tangent_at
from pyrodrop.models.appearance import EDGE

_CG_STEPS = 30
_CG_TOLERANCE = 0.03  # of the gradient, in the norm of the blocks
_MOST_DAMPING = 1e4
_LOG_NOISE_SD = 2.0  # that of the prior, as in ``measured``
_FURTHEST = 0.5  # no droplet moves or grows by more than this, in radii, in a step


class Mode(NamedTuple):
    """Where a descent has ended: the state, its negative log density after each step, and whether it converged."""

    state: Look
    losses: list[float]
    converged: bool


def loss_of(state: Look, data: Data, prior: PicturePrior) -> float:
    """Negative log density of a state, up to a constant; that of log r, log edge and log noise."""
    residual = data.channels - predicted(state, data)
    return float(_misfit(residual, state)) + float(_prior_loss(state, data, prior))


def descend(
    state: Look,
    data: Data,
    prior: PicturePrior,
    steps: int,
    free: Free = EVERYTHING,
    tolerance: float = 1e-4,
) -> Mode:
    """Go down from a state.

    Args:
        state, data, prior: where from, and on what.
        steps: at most so many.
        free: whether places, weights, pictures and background are fitted.
        tolerance: it has converged where a step lowers the loss by less than this times the number of pixels' square
            root.
    """
    state = with_noise(state, data)
    losses = [loss_of(state, data, prior)]
    damping, converged = 1e-2, False
    enough = tolerance * math.sqrt(data.channels.numel()) * 10
    for _ in range(steps):
        tangent = tangent_at(state, data, prior, free)
        residual = data.channels - predicted(state, data)
        gradient = backward(tangent, residual * tangent.precision[:, None, None]).plus(prior_pull(tangent))
        while damping < _MOST_DAMPING:
            step = newton_step(tangent, gradient, damping)
            candidate = with_noise(moved(state, _held(step)), data)
            loss = loss_of(candidate, data, prior)
            if loss < losses[-1]:
                damping = max(damping / 5, 1e-4)
                break
            damping = damping * 8
        else:
            converged = True
            break
        state = candidate
        losses.append(loss)
        if losses[-2] - losses[-1] < enough:
            converged = True
            break
    return Mode(state, losses, converged)


def newton_step(tangent: Tangent, gradient: Step, damping: float, steps: int = _CG_STEPS) -> Step:
    """The damped Gauss-Newton step of a gradient."""
    blocks = blocks_of(tangent)
    return conjugate_gradients(tangent, blocks, gradient, damping, steps, _CG_TOLERANCE)


def conjugate_gradients(
    tangent: Tangent, blocks: Blocks, right: Step, damping: float, steps: int, tolerance: float
) -> Step:
    """Solve (H + damping * B) d = right, with B the blocks of H, which are the preconditioner, too.

    B d is not multiplied out: preconditioned residuals are B^-1 times residuals, and so directions p have B p at hand.
    """
    answer = Step(*(torch.zeros_like(part) for part in right))
    residual = right
    scaled = solved(blocks, residual)
    direction, image = scaled, residual  # image: B times the direction
    size = first = float(residual.dot(scaled))
    for _ in range(steps):
        if size <= tolerance**2 * first or size <= 0:
            break
        bent = curvature(tangent, direction).plus(image, damping)
        length = size / float(direction.dot(bent))
        answer = answer.plus(direction, length)
        residual = residual.plus(bent, -length)
        scaled = solved(blocks, residual)
        size, before = float(residual.dot(scaled)), size
        direction, image = scaled.plus(direction, size / before), residual.plus(image, size / before)
    return answer


def with_noise(state: Look, data: Data) -> Look:
    """The state with the noise at its mode given all else: n - S e^(-2 t) + (t - m) / sd^2 = 0 in t = log noise."""
    residual = data.channels - predicted(state, data)
    squares = residual.square().sum((1, 2)).clamp(min=1e-30)
    n = residual[0].numel()
    prior = residual.new_tensor(data.scales.noise.copy()).log()
    t = 0.5 * (squares / n).log()
    for _ in range(20):
        slope = n - squares * (-2 * t).exp() + (t - prior) / _LOG_NOISE_SD**2
        t = t - slope / (2 * squares * (-2 * t).exp() + 1 / _LOG_NOISE_SD**2)
    return state._replace(log_noise=t)


def _held(step: Step) -> Step:
    """The step with every droplet's move cut to ``_FURTHEST`` radii."""
    size = step.place.abs().amax(1, keepdim=True)
    return step._replace(place=step.place * (_FURTHEST / size.clamp(min=_FURTHEST)))


def _misfit(residual: Tensor, state: Look) -> Tensor:
    precision = (-2 * state.log_noise).exp()
    return (residual.square().sum((1, 2)) * precision / 2 + residual[0].numel() * state.log_noise).sum()


def _prior_loss(state: Look, data: Data, prior: PicturePrior) -> Tensor:
    scales = data.scales
    of = state.x.new_tensor
    spread = 1.0 if data.in_colour else data.amplitude
    level, width = (of(s.copy())[:, None, None] for s in (scales.level, scales.spread))
    return (
        (state.log_r - math.log(scales.radius_px)).square().sum() / 2
        + (state.weights / spread).square().sum() / 2
        + (prior.precision * (state.pictures - prior.mean).square()).sum() / 2
        + ((state.bg - level) / width).square().sum() / 2
        + (state.log_edge - EDGE[0]).square() / EDGE[1] ** 2 / 2
        + ((state.log_noise - of(scales.noise.copy()).log()) / _LOG_NOISE_SD).square().sum() / 2
    )
