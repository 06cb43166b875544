"""The way down to the joint mode: Levenberg and Marquardt's steps in a trust region, which no droplet runs out of."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyrodrop.joint.factor import step
from pyrodrop.joint.normal_equations import (
    Equations,
    columns_of,
    compiled,
    energy,
    equations_of,
    residual_of,
)
from pyrodrop.joint.posterior import far_of
from pyrodrop.joint.priors import Array
from pyrodrop.joint.problem import Problem, State
from pyrodrop.models.support import centre_bounds
from pyrodrop.rendering.kernels.columns import Columns

# A droplet that the image's border cuts may have its centre so many radii beyond it.
BEYOND = 2.0
# By which factor a droplet's radius may change from that it was found with; how far it may go is ``far_of``.
FAR_FACTOR = 2.0
# The same of one step, against wild steps far from the quadratic.
STEP_PX, STEP_RADII, STEP_LOG_R, STEP_SHAPE = 0.7, 0.25, 0.25, 0.4
SMALLEST_PX = 0.4
# What a step gains in log density where a fit has converged: for one unknown of them all, a tenth of a standard
# deviation.
TOLERANCE = 0.005
# A droplet is clearly worse off after a step if its pixels have lost so much log density.
WORSE = 0.05


class Descent(NamedTuple):
    """Where the descent ended: the state and what was computed there.

    residual (C, H, W) and noise (C,) are the image's; losses, shape (steps + 1,), are the energies; held, shape
    (N, 3 + C), tells unknowns at their bounds that wanted further.
    """

    state: State
    columns: Columns
    residual: Array
    noise: Array
    equations: Equations
    losses: Array
    steps: int
    converged: bool
    held: NDArray[np.bool_]


def initial_state(
    problem: Problem, x: Array, y: Array, r: Array, amplitude: ArrayLike | None = None, shape: ArrayLike | None = None
) -> State:
    """The state that the descent begins at: no heights if none are given, a level background, shape parameters at the
    medians of their priors.

    A droplet that the image's border cuts may have its centre beyond it, by ``BEYOND`` radii.
    """
    count, height, width = problem.channels.shape
    a = np.zeros((count, len(x)))
    if amplitude is not None and len(x):
        a = np.array(amplitude, dtype=np.float64).reshape(-1, len(x))
        if len(a) != count or not np.isfinite(a).all():
            raise ValueError(f"amplitude has {len(a)} rows for {count} channels, or is not finite: give (C, N).")
    bg = problem.priors.bg.mean.copy()
    profile = problem.drawn
    initial = profile.initial_shape if shape is None else np.array(shape, dtype=np.float64)
    if initial.shape != (profile.size,) or not np.isfinite(profile.unconstrained(initial)).all():
        raise ValueError(
            f"shape is {initial.tolist()}: profile {profile.name!r} takes {profile.size} numbers, widths positive."
        )
    r = np.maximum(r, SMALLEST_PX)
    out = np.maximum(far_of(r), BEYOND * r)
    (left, right), (top, bottom) = centre_bounds(width), centre_bounds(height)
    x, y = np.clip(x, left - out, right + out), np.clip(y, top - out, bottom + out)
    return State(x, y, np.log(r), a, profile.unconstrained(initial), bg)


def descend(problem: Problem, state: State, max_steps: int, origin: State, tolerance: float = TOLERANCE) -> Descent:
    """Levenberg and Marquardt's steps from an initial state to the mode, the noise being read anew after each.

    ``origin`` is where the droplets were found: they may go only so far from there, those that the border cuts also out
    of the image. The fit has converged when a step gains, and would gain by the quadratic, less than ``tolerance`` in
    log density, and a hundredth of it more for each droplet.
    """
    count = len(problem.channels)
    n, shapes = len(state.x), problem.drawn.size
    bounds = _bounds(problem, origin)
    freedom = max(problem.channels[0].size - n * (1 + 3 / count) - problem.n_shared / count, 1.0)

    def read(residual: Array) -> Array:
        return np.maximum(np.sqrt(np.square(residual).sum((1, 2)) / freedom), problem.least_noise)

    # The image is linear in heights and background: with the centres held, one solution finds them.
    columns = columns_of(problem, state)
    residual = residual_of(problem, state, columns)
    held = np.zeros((n, 3 + count), bool)
    for _ in range(2):
        noise = read(residual)
        equations = equations_of(problem, state, columns, residual, noise)
        geometry = held.copy()
        geometry[:, :3] = True
        by_droplet, by_shared = step(equations, np.zeros(n), 0.0, geometry)
        by_shared[:shapes] = 0.0
        state = state.moved(by_droplet, by_shared)
        residual = residual_of(problem, state, columns)
    noise = read(residual)
    equations = equations_of(problem, state, columns, residual, noise)

    # Of each droplet, and of the shared parameters: one that the quadratic is wrong about does not hold up all others.
    damping, steady = np.full(n, 1e-2), 1e-2
    converged, steps = False, 0
    losses = [energy(problem, state, residual, noise)]
    while steps < max_steps and not converged:
        steps += 1
        geometry = np.stack([state.x, state.y, state.log_r], 1)
        uphill = equations.droplet_gradient[:, :3]
        held[:, :3] = ((geometry <= bounds.low + 1e-9) & (uphill > 0)) | (
            (geometry >= bounds.high - 1e-9) & (uphill < 0)
        )
        try:
            by_droplet, by_shared = step(equations, damping, steady, held)
        except (np.linalg.LinAlgError, RuntimeError):
            damping, steady = np.maximum(10 * damping, 1e-3), max(10 * steady, 1e-3)
            losses.append(losses[-1])
            continue
        # Half of this is what a quadratic would still gain, in units of the log density.
        slope = -(by_droplet * equations.droplet_gradient).sum() - by_shared @ equations.shared_gradient
        near = 0.5 * slope < tolerance * (1 + 0.01 * n)
        trial = _Trial.of(problem, _within(state, by_droplet, by_shared, bounds), noise)
        before = energy(problem, state, residual, noise)
        worse = _worse_at(state, residual, trial.residual, noise)
        if worse.any():
            # These stay where they are while the others go.
            by_droplet = by_droplet * ~worse[:, None]
            mixed = _Trial.of(problem, _within(state, by_droplet, by_shared, bounds), noise)
            trial = min(trial, mixed, key=lambda state: state.energy)
        gain = before - trial.energy
        losses.append(losses[-1] - max(gain, 0.0))
        damping = np.where(worse, np.maximum(10 * damping, 1e-3), damping)
        if gain < 0:
            # Near the mode, what is left to gain is less than what the cuts of the droplets' windows make of it.
            converged = bool(near)
            damping = np.where(worse, damping, np.maximum(10 * damping, 1e-3))
            steady = max(10 * steady, 1e-3)
            if steady > 1e8:
                break
            continue
        state, columns, residual = trial.state, trial.columns, trial.residual
        noise = read(residual)
        equations = equations_of(problem, state, columns, residual, noise)
        converged = bool(near) and steady <= 1e-2 and gain < tolerance * (1 + 0.01 * n)
        damping = np.where(worse, damping, np.where(damping > 1e-7, damping / 10, 0.0))
        steady = steady / 10 if steady > 1e-7 else 0.0
    return Descent(state, columns, residual, noise, equations, np.array(losses), steps, converged, held)


class _Trial(NamedTuple):
    """A state that a step would lead to, and what is computed there; the energy for the noise before the step."""

    state: State
    columns: Columns
    residual: Array
    energy: float

    @classmethod
    def of(cls, problem: Problem, state: State, noise: Array) -> "_Trial":
        columns = columns_of(problem, state)
        residual = residual_of(problem, state, columns)
        return cls(state, columns, residual, energy(problem, state, residual, noise))


def _worse_at(state: State, before: Array, after: Array, noise: Array) -> NDArray[np.bool_]:
    """Droplets in whose square, 2 r a side, the pixels are clearly less likely after a step than before it, (N,)."""
    lost = np.zeros(len(state.x))
    compiled().lost_at(state.x, state.y, np.exp(state.log_r), before, after, 0.5 * noise**-2.0, lost)
    return np.asarray(lost > WORSE)


class _Bounds(NamedTuple):
    """Least and greatest x, y and log r of each droplet, shape (N, 3) each, and shape parameters, shape (S,) each."""

    low: Array
    high: Array
    shape: tuple[Array, Array]


def _bounds(problem: Problem, origin: State) -> _Bounds:
    """How far droplets may go from where they were found, which may be beyond the border of the image."""
    r = np.exp(origin.log_r)
    far = far_of(r)
    low = np.stack([origin.x - far, origin.y - far, origin.log_r], 1)
    high = np.stack([origin.x + far, origin.y + far, origin.log_r], 1)
    height, width = problem.channels.shape[1:]
    for axis, (place, side) in enumerate(((origin.x, width), (origin.y, height))):
        least, most = centre_bounds(side)
        at_start, at_end = place - r < least, place + r > most  # which droplets the border cuts there
        low[at_start, axis] = np.minimum(low[at_start, axis], least - BEYOND * r[at_start])
        high[at_end, axis] = np.maximum(high[at_end, axis], most + BEYOND * r[at_end])
    low[:, 2] = np.maximum(origin.log_r - np.log(FAR_FACTOR), np.log(SMALLEST_PX))
    high[:, 2] += np.log(FAR_FACTOR)
    return _Bounds(low, high, problem.drawn.unconstrained_bounds)


def _within(state: State, by_droplet: Array, by_shared: Array, bounds: _Bounds) -> State:
    """The state after a step that is shortened, droplet by droplet, to the trust region, and ends within bounds."""
    r, shapes = np.exp(state.log_r), len(state.shape)
    longest = np.maximum(STEP_PX, STEP_RADII * r)
    limits = np.stack([longest, longest, np.full(len(r), STEP_LOG_R)], 1)
    excess = (np.abs(by_droplet[:, :3]) / limits).max(1, initial=1.0)
    moves = by_droplet / excess[:, None]
    shared = by_shared.copy()
    shared[:shapes] /= max(1.0, np.abs(shared[:shapes]).max(initial=0.0) / STEP_SHAPE)
    geometry = np.stack([state.x, state.y, state.log_r], 1)
    moves[:, :3] = np.clip(geometry + moves[:, :3], bounds.low, bounds.high) - geometry
    shared[:shapes] = np.clip(state.shape + shared[:shapes], *bounds.shape) - state.shape
    return state.moved(moves, shared)
