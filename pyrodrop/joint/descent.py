"""The way down to the joint mode: Levenberg and Marquardt's steps in a trust region, which no droplet runs out of."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyrodrop.joint.factor import step
from pyrodrop.joint.local_descent import WORSE, LocalStart, damped, descend_locally, lost_at
from pyrodrop.joint.normal_equations import (
    Equations,
    columns_of,
    energy,
    equations_of,
    pixels_that_count_once,
    residual_of,
    squares,
)
from pyrodrop.joint.pixels import Pixels
from pyrodrop.joint.priors import Array
from pyrodrop.joint.problem import Problem, State
from pyrodrop.joint.sums.engine import Image, Pictures
from pyrodrop.joint.trust_region import bounds_of, start_within
from pyrodrop.models.prior_scales import PriorScales, image_scales
from pyrodrop.rendering import profile_named

# Droplets that are fewer than this share of all go on by themselves.
_FEW = 0.5
# Rounds of holding back droplets that a step is worse for, each of which may be worse for their neighbours.
_ROUNDS = 4
# What a step gains in log density where a fit has converged: for one unknown of them all, a tenth of a standard
# deviation.
TOLERANCE = 0.005


class Descent(NamedTuple):
    """Where a descent is or ended: the state and what was computed there.

    residual (C, H, W) and noise (C,) are the image's; losses, shape (steps + 1,), are the energies; held, shape
    (N, 3 + C), tells unknowns at their bounds that wanted further.
    """

    state: State
    columns: Pictures
    residual: Image
    noise: Array
    equations: Equations
    losses: Array
    steps: int
    converged: bool
    held: NDArray[np.bool_]


def start_of(
    pixels: Pixels,
    x: ArrayLike,
    y: ArrayLike,
    r: ArrayLike,
    amplitude: ArrayLike | None = None,
    *,
    profile: str,
    scales: PriorScales | None = None,
    shape: ArrayLike | None = None,
) -> tuple[Problem, State]:
    """What is fitted, and where the fit begins; arguments and errors as of ``joint_fit.fit_jointly``."""
    places = [np.array(v, dtype=np.float64) for v in (x, y, r)]
    profile = profile_named(profile).name
    _check(places)
    if scales is None:
        scales = image_scales(pixels.channels, float(np.median(places[2])) if len(places[2]) else 8.0)
    problem = Problem(pixels, profile, scales)
    return problem, initial_state(problem, places[0], places[1], places[2], amplitude, shape)


def initial_state(
    problem: Problem, x: Array, y: Array, r: Array, amplitude: ArrayLike | None = None, shape: ArrayLike | None = None
) -> State:
    """The state that the descent begins at: no heights if none are given, a level background, shape parameters at the
    medians of their priors.

    A droplet that the image's border cuts may have its centre beyond it, by ``BEYOND`` radii.
    """
    count = problem.pixels.count
    a = np.zeros((count, len(x)))
    if amplitude is not None and len(x):
        a = np.array(amplitude, dtype=np.float64).reshape(-1, len(x))
        if len(a) != count or not np.isfinite(a).all():
            raise ValueError(f"amplitude has {len(a)} rows for {count} channels, or is not finite: give (C, N).")
    bg = problem.priors.bg.mean.copy()
    profile = problem.drawn
    usual = profile.initial_shape
    if {parameter.name for parameter in profile.parameters} & {prior.site for prior in problem.scales.priors}:
        usual = profile.constrained(np.clip(problem.priors.shape.mean, *profile.unconstrained_bounds))
    initial = usual if shape is None else np.array(shape, dtype=np.float64)
    if initial.shape != (profile.size,) or not np.isfinite(profile.unconstrained(initial)).all():
        raise ValueError(
            f"shape is {initial.tolist()}: profile {profile.name!r} takes {profile.size} numbers, widths positive."
        )
    x, y, r = start_within(problem, x, y, r)
    return State(x, y, np.log(r), a, profile.unconstrained(initial), bg)


def descend(
    problem: Problem, state: State, max_steps: int, origin: State, tolerance: float = TOLERANCE, solutions: int = 2
) -> Descent:
    """Where the steps of ``descending`` end."""
    for mode in descending(problem, state, max_steps, origin, tolerance, solutions):
        end = mode
    return end


def descending(
    problem: Problem, state: State, max_steps: int, origin: State, tolerance: float = TOLERANCE, solutions: int = 2
) -> Iterator[Descent]:
    """Levenberg and Marquardt's steps from an initial state to the mode, the noise being read anew after each.

    ``origin`` is where the droplets were found: they may go only so far from there, those that the border cuts also out
    of the image. The fit has converged when a step would gain by the quadratic less than ``tolerance`` in log density
    of each droplet, or that and a tenth of it more for each droplet of all of them and what they share, or when those
    few that have not got there gain no more together; all of it times ``pixels_that_count_once``. A step is of all
    droplets and what they share; droplets that it leaves short of that, if they are few, go on by themselves
    (``local_descent``) before the next. Before the first step come so many ``solutions`` for heights and background.

    Yields where it is after each step, and at last where it ends.
    """
    n, shapes = len(state.x), problem.drawn.size
    bounds = bounds_of(problem, origin)
    # The image is linear in heights and background: with the centres held, one solution finds them, and one more for
    # the noise as it is then read.
    columns = columns_of(problem, state)
    residual = residual_of(problem, state, columns)
    held = np.zeros((n, 3 + problem.pixels.count), bool)
    for _ in range(solutions):
        noise = _noise_in(problem, state, residual)
        equations = equations_of(problem, state, columns, residual, noise)
        geometry = held.copy()
        geometry[:, :3] = True
        by_droplet, by_shared = step(equations, np.zeros(n), 0.0, geometry)
        by_shared[:shapes] = 0.0
        state = state.moved(by_droplet, by_shared)
        residual = residual_of(problem, state, columns)
    noise = _noise_in(problem, state, residual)

    # Of each droplet, and of the shared parameters: one that the quadratic is wrong about does not hold up all others.
    damping, steady = np.full(n, 1e-2), 1e-2
    converged, steps = False, 0
    # Whether the residual is that of the state as a whole; else some droplets were taken out of it and drawn anew,
    # which rounds otherwise.
    drawn_whole = True
    losses = [energy(problem, state, residual, noise)]
    equations = equations_of(problem, state, columns, residual, noise)
    while steps < max_steps and not converged:
        if steps:
            yield Descent(state, columns, residual, noise, equations, np.array(losses), steps, converged, held)
        steps += 1
        held = bounds.held(state, equations.droplet_gradient)
        try:
            by_droplet, by_shared = step(equations, damping, steady, held)
        except (np.linalg.LinAlgError, RuntimeError):
            damping, steady = np.maximum(10 * damping, 1e-3), max(10 * steady, 1e-3)
            losses.append(losses[-1])
            continue
        # Where pixels repeat each other, standard deviations are wider, and what moves by a tenth of them gains more.
        together = pixels_that_count_once(problem, residual)
        little, clearly = tolerance * together, WORSE * together
        # What a quadratic would still gain, in units of the log density.
        own = -(by_droplet * equations.droplet_gradient).sum(1) / 2
        common = float(-by_shared @ equations.shared_gradient) / 2
        enough = little * (1 + 0.1 * n)
        near = abs(common) < enough and (bool((own < little).all()) or own.sum() + common < enough)
        trial = _Trial.of(problem, bounds.within(state, by_droplet, by_shared), noise)
        before = energy(problem, state, residual, noise)
        all_go = trial
        trial, worse = trial.without_the_worse(problem, state, residual, noise, clearly)
        losses.append(losses[-1] - max(before - trial.energy, 0.0))
        if trial.energy > before:
            # Near the mode, what is left to gain is less than what the cuts of the droplets' windows make of it.
            converged = near
            damping = np.maximum(10 * damping, 1e-3)
            steady = max(10 * steady, 1e-3)
            if steady > 1e8:
                break
        else:
            damping = damped(damping, own, -lost_at(problem, state, residual, trial.residual, noise), worse)
            state, columns, residual, drawn_whole = trial.state, trial.columns, trial.residual, trial is all_go
            converged = near and steady <= 1e-2
            steady = steady / 10 if steady > 1e-7 else 0.0
        late = np.flatnonzero((own >= little) | worse)
        if not converged and 0 < len(late) < _FEW * n:
            before = min(before, trial.energy)
            local = descend_locally(
                problem, LocalStart(state, residual, noise), late, bounds, damping, (little, clearly)
            )
            state, residual, damping, drawn_whole = local.state, local.residual, local.damping, False
            columns = columns.replaced(late, columns_of(problem, state.those(late)))
            losses[-1] -= before - energy(problem, state, residual, noise)
            gained = losses[-2] - losses[-1]
            # Few are still on their way, and all of them together no longer get anywhere.
            converged = abs(common) < enough and 0 <= gained < enough
        noise = _noise_in(problem, state, residual)
        equations = equations_of(problem, state, columns, residual, noise)
    if drawn_whole:
        yield Descent(state, columns, residual, noise, equations, np.array(losses), steps, converged, held)
    else:
        yield arrived(problem, state, np.array(losses), steps, converged, held)


def arrived(
    problem: Problem, state: State, losses: Array, steps: int, converged: bool, held: NDArray[np.bool_]
) -> Descent:
    """The descent that ended at a state, which all that is computed there follows from: to the bit, so that it may be
    kept and gone on from.
    """
    columns = columns_of(problem, state)
    residual = residual_of(problem, state, columns)
    noise = _noise_in(problem, state, residual)
    equations = equations_of(problem, state, columns, residual, noise)
    return Descent(state, columns, residual, noise, equations, losses, steps, converged, held)


def _noise_in(problem: Problem, state: State, residual: Image) -> Array:
    """Standard deviation of the noise, (C,), read off a residual."""
    of_droplets = len(state.x) * (1 + 3 / problem.pixels.count)
    freedom = problem.pixels.known_number - of_droplets - problem.n_shared
    return problem.noise_of(squares(problem, residual), max(freedom, 1.0))


class _Trial(NamedTuple):
    """A state that a step would lead to, and what is computed there; the energy for the noise before the step."""

    state: State
    columns: Pictures
    residual: Image
    energy: float

    @classmethod
    def of(cls, problem: Problem, state: State, noise: Array) -> "_Trial":
        columns = columns_of(problem, state)
        residual = residual_of(problem, state, columns)
        return cls(state, columns, residual, energy(problem, state, residual, noise))

    def without_the_worse(
        self, problem: Problem, before: State, residual: Image, noise: Array, clearly: float
    ) -> tuple["_Trial", NDArray[np.bool_]]:
        """The likelier of this and of the same without the droplets that it is clearly worse for, and which these are.

        They stay where they were while the others go, and those that this in turn is worse for stay, too.
        """
        made, worse = self, np.zeros(len(self.state.x), bool)
        for _ in range(_ROUNDS):
            more = (lost_at(problem, before, residual, made.residual, noise) > clearly) & ~worse
            if not more.any():
                break
            worse |= more
            made = made._without(problem, before, np.flatnonzero(more), noise)
        return min(self, made, key=lambda trial: trial.energy), worse

    def _without(self, problem: Problem, before: State, some: NDArray[np.intp], noise: Array) -> "_Trial":
        """The same, but some of the droplets as they were before the step."""
        gone, back = self.state.those(some), replace(before.those(some), shape=self.state.shape, bg=self.state.bg)
        engine, columns = problem.pixels.engine, columns_of(problem, back)
        residual = engine.copy(self.residual)
        engine.paint(self.columns.those(some), gone.amplitude, residual)
        engine.paint(columns, -back.amplitude, residual)
        state = self.state.with_those(some, back)
        return _Trial(state, self.columns.replaced(some, columns), residual, energy(problem, state, residual, noise))


def _check(places: list[Array]) -> None:
    """A ValueError for the first argument of ``start_of`` that does not fit."""
    if any(v.ndim != 1 or len(v) != len(places[0]) for v in places):
        raise ValueError(f"x, y and r have shapes {', '.join(str(v.shape) for v in places)}: give (N,) each.")
    if not all(np.isfinite(v).all() for v in places) or (places[2] <= 0).any():
        raise ValueError("x, y and r must be finite, and r positive.")
