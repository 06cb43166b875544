"""Steps of some droplets by themselves, all others and what all share held: those that have not yet converged.

In a crowded image a few droplets need many steps while hundreds are long where they belong. Those that do not meet go
and stay apart: a group that a step makes no likelier stays where it is, whatever the others do.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrodrop.joint.factor import step
from pyrodrop.joint.normal_equations import columns_of, equations_of_droplets, meetings
from pyrodrop.joint.priors import Array
from pyrodrop.joint.problem import Problem, State
from pyrodrop.joint.sums.engine import Engine, Image, Pictures
from pyrodrop.joint.trust_region import Bounds

# A droplet is clearly worse off after a step if its pixels have lost so much log density.
WORSE = 0.05
# A step gains much or little of what the quadratic promised, by these shares; and the factor that damping changes by.
_GOOD, _POOR, _FACTOR = 0.75, 0.25, 5.0
# Steps before the others are looked at again.
_STEPS = 40
# Rounds of holding back droplets that a step is worse for, each of which may be worse for their neighbours.
_ROUNDS = 4
# One that is damped more than this has given up for now.
_STUCK = 1e4


class LocalStart(NamedTuple):
    """Where the droplets are: the state of all, and the residual (C, H, W) and noise (C,) of the image there."""

    state: State
    residual: Image
    noise: Array


class LocalEnd(NamedTuple):
    """Where they went: the state of all, the residual there, and the damping that each has come to, (N,)."""

    state: State
    residual: Image
    damping: Array


def descend_locally(
    problem: Problem,
    start: LocalStart,
    some: NDArray[np.intp],
    bounds: Bounds,
    damping: Array,
    gains: tuple[float, float],
) -> LocalEnd:
    """Levenberg and Marquardt's steps of some droplets, until each would gain less than the tolerance.

    Args:
        problem: what is fitted.
        start: where all are.
        some: numbers of those that go.
        bounds: how far each of all may go.
        damping: of each of all, (N,).
        gains: in log density of a droplet, by the quadratic below which it has converged, and by the pixels that it
            clearly has lost (``WORSE``).
    """
    tolerance, clearly = gains
    state, noise, engine = start.state, start.noise, problem.pixels.engine
    residual, trial, damping = engine.copy(start.residual), engine.copy(start.residual), damping.copy()
    own, columns = state.those(some), columns_of(problem, state.those(some))
    for _ in range(_STEPS):
        equations = equations_of_droplets(problem, own, columns, residual, noise)
        its = bounds.those(some)
        try:
            by, _ = step(equations, damping[some], 0.0, its.held(own, equations.droplet_gradient))
        except (np.linalg.LinAlgError, RuntimeError):
            damping[some] = np.maximum(10 * damping[some], 1e-3)
            continue
        promised = -(by * equations.droplet_gradient).sum(1) / 2
        made = its.within(own, by, np.zeros(len(own.shape) + own.bg.size))
        made_columns = columns_of(problem, made)
        both = _around(columns.box, made_columns.box)
        engine.paint(columns, own.amplitude, trial)
        engine.paint(made_columns, -made.amplitude, trial)
        bad = np.zeros(len(some), bool)
        for _ in range(_ROUNDS):
            more = (lost_at(problem, own, residual, trial, noise) > clearly) & ~bad
            if not more.any():
                break
            bad |= more
            _put_back(engine, trial, np.flatnonzero(more), own, columns, made, made_columns)
        # Whether each group of droplets that meet has become likelier on the whole.
        group = _groups(both)
        change = engine.change_in(both, group, residual, trial, 0.5 * noise**-2.0)
        priors = _prior_energy(problem, made) - _prior_energy(problem, own)
        change += np.bincount(group, np.where(bad, 0.0, priors), len(change))
        stays = (change > 0)[group] & ~bad
        _put_back(engine, trial, np.flatnonzero(stays), own, columns, made, made_columns)
        bad |= stays
        damping[some] = damped(damping[some], promised, -lost_at(problem, own, residual, trial, noise), bad)
        engine.copy_boxes(both, trial, residual)
        own = made.with_those(np.flatnonzero(bad), own.those(np.flatnonzero(bad)))
        state = state.with_those(some, own)
        goes_on = ((promised >= tolerance) | bad) & (damping[some] < _STUCK)
        if not goes_on.any():
            break
        some, own = some[goes_on], own.those(np.flatnonzero(goes_on))
        columns = columns_of(problem, own)
    return LocalEnd(state, residual, damping)


def lost_at(problem: Problem, state: State, before: Image, after: Image, noise: Array) -> Array:
    """Log density that the pixels in each droplet's square, 2 r a side, lose by a step, (N,)."""
    return problem.pixels.engine.lost_at(state.places, before, after, 0.5 * noise**-2.0)


def damped(damping: Array, promised: Array, gained: Array, bad: NDArray[np.bool_]) -> Array:
    """The damping of each droplet's next step, by what the quadratic promised and what the last step gained, (N,).

    It rests where a step gains half of what is promised: a droplet whose damping fell as fast as it rises would take
    every other step in vain. ``bad`` are those that did not move.
    """
    ratio = gained / np.maximum(promised, 1e-9)
    factor = np.where(ratio > _GOOD, 1 / _FACTOR, np.where(ratio < _POOR, 2.0, 1.0))
    return np.where(bad, np.maximum(_FACTOR * damping, 1e-2), np.where(damping * factor > 1e-7, damping * factor, 0.0))


def _put_back(
    engine: Engine,
    residual: Image,
    some: NDArray[np.intp],
    old: State,
    old_columns: Pictures,
    new: State,
    new_columns: Pictures,
) -> None:
    """Paint some of the droplets where they were, in place of where they went."""
    if len(some):
        engine.paint(new_columns.those(some), new.amplitude[:, some], residual)
        engine.paint(old_columns.those(some), -old.amplitude[:, some], residual)


def _prior_energy(problem: Problem, state: State) -> Array:
    """Negative log density of each droplet's priors but for constants, (N,)."""
    priors = problem.priors
    density = priors.log_r.log_density(state.log_r) + priors.amplitude.log_density(state.amplitude.T).sum(1)
    return np.asarray(-density if state.edge is None else -density - problem.own_edge(state).log_density(state.edge))


def _around(box: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Boxes (N, 4), left, top, wide and high, around each two."""
    empty, gone = box[:, 2] == 0, other[:, 2] == 0
    box, other = np.where(empty[:, None], other, box), np.where(gone[:, None], box, other)
    low = np.minimum(box[:, :2], other[:, :2])
    return np.concatenate([low, np.maximum(box[:, :2] + box[:, 2:], other[:, :2] + other[:, 2:]) - low], 1)


def _groups(box: NDArray[np.int64]) -> NDArray[np.int32]:
    """Number of the group that each box is of: of those that meet, directly or by others."""
    from pyrodrop.joint.sums.sparse_columns import groups_of  # importing Numba is left to who needs it

    return np.asarray(groups_of(meetings(box), len(box)))
