"""Some droplets go on by themselves: they end where all would, the others stay, and nothing becomes less likely."""

import numpy as np
import pytest

from pyrodrop.joint.descent import initial_state
from pyrodrop.joint.local_descent import WORSE, LocalStart, damped, descend_locally
from pyrodrop.joint.normal_equations import columns_of, energy, equations_of_droplets, residual_of
from pyrodrop.joint.pixels import Pixels
from pyrodrop.joint.problem import Problem, State
from pyrodrop.joint.trust_region import bounds_of
from pyrodrop.models.prior_scales import image_scales

NOISE = np.array([0.02])
X, Y, R = np.array([20.0, 27.0, 60.0, 62.0]), np.array([20.0, 22.0, 30.0, 60.0]), np.array([4.0, 4.5, 5.0, 3.0])


def problem_and_state(away: float) -> tuple[Problem, State]:
    """Four droplets, of which two overlap, each so many px from where it is in the image."""
    down, along = np.mgrid[:80, :80]
    image = 0.2 + NOISE[0] * np.random.default_rng(3).normal(size=(80, 80))
    for x, y, r in zip(X, Y, R, strict=True):
        image += 0.4 * np.exp(-((along - x) ** 2 + (down - y) ** 2) / (2 * r**2))
    problem = Problem(Pixels.of(image[None]), "gaussian", image_scales(image[None], 4.0))
    state = initial_state(problem, X + away, Y - away, R, np.full((1, 4), 0.4))
    return problem, State(*state.__dict__.values())


def gone(problem: Problem, state: State, some: list[int]) -> tuple[State, np.ndarray]:
    start = LocalStart(state, residual_of(problem, state, columns_of(problem, state)), NOISE)
    end = descend_locally(problem, start, np.array(some), bounds_of(problem, state), np.full(4, 1e-2), (1e-6, WORSE))
    return end.state, end.residual


def test_they_go_to_where_the_density_is_greatest_and_the_others_stay() -> None:
    problem, state = problem_and_state(0.6)
    made, residual = gone(problem, state, [0, 1, 3])
    columns = columns_of(problem, made)
    assert residual == pytest.approx(residual_of(problem, made, columns), abs=1e-6)
    equations = equations_of_droplets(problem, made, columns, residual, NOISE)
    own = equations.pairs[:, 0] == equations.pairs[:, 1]
    sd = np.sqrt(1 / np.einsum("pdd->pd", equations.blocks[own])[np.argsort(equations.pairs[own, 0])])
    assert np.abs(equations.droplet_gradient * sd)[[0, 1, 3]].max() < 0.02  # of a standard deviation
    assert (made.x[2], made.y[2]) == (state.x[2], state.y[2])
    assert np.hypot(made.x - X, made.y - Y)[[0, 1, 3]].max() < 0.1 < np.hypot(made.x - X, made.y - Y)[2]


def test_no_step_of_some_makes_the_whole_less_likely() -> None:
    problem, state = problem_and_state(1.8)
    before = energy(problem, state, residual_of(problem, state, columns_of(problem, state)), NOISE)
    made, residual = gone(problem, state, [0, 1])
    assert energy(problem, made, residual, NOISE) < before - 10
    again, after = gone(problem, made, [0, 1, 2, 3])
    assert energy(problem, again, after, NOISE) < energy(problem, made, residual, NOISE)


def test_damping_falls_where_the_quadratic_holds_rests_where_it_half_holds_and_rises_where_it_fails() -> None:
    promised, gained = np.full(5, 1.0), np.array([0.99, 0.5, 0.1, -1.0, 0.9])
    bad = np.array([False, False, False, True, False])
    assert damped(np.array([1.0, 1.0, 1.0, 1.0, 1e-7]), promised, gained, bad) == pytest.approx([0.2, 1, 2, 5, 0])
    assert damped(np.zeros(1), promised[:1], gained[3:4], bad[3:4]) > 0
