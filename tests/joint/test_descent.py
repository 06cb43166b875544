"""The way down: which droplets a step makes worse, and how far a droplet may start beyond the border."""

import numpy as np
import pytest

from pyrodrop.joint.descent import initial_state
from pyrodrop.joint.factor import step
from pyrodrop.joint.joint_fit import fit_jointly, refit_jointly
from pyrodrop.joint.normal_equations import columns_of, equations_of, pixels_that_count_once, residual_of
from pyrodrop.joint.pixels import Pixels
from pyrodrop.joint.problem import Problem
from pyrodrop.joint.sums.choice import engine_of
from pyrodrop.joint.sums.engine import Places
from pyrodrop.models.prior_scales import image_scales

WIDTH, HEIGHT = 60, 40


def gaussian(x: float, y: float, r: float, amplitude: float) -> np.ndarray:
    down, along = np.mgrid[:HEIGHT, :WIDTH]
    return np.asarray(amplitude * np.exp(-((along - x) ** 2 + (down - y) ** 2) / (2 * r**2)))


def test_what_is_lost_is_summed_over_each_droplets_square() -> None:
    random = np.random.default_rng(0)
    before, after = random.normal(size=(2, 2, HEIGHT, WIDTH))
    x, y, r = np.array([5.2, 30.0, 59.0, -1.5]), np.array([4.0, 20.6, 39.4, 42.0]), np.array([3.0, 5.5, 2.0, 6.0])
    weight = np.array([0.5, 2.0])
    found = engine_of().lost_at(Places(x, y, r), before, after, weight)
    down, along = np.mgrid[:HEIGHT, :WIDTH]
    for k in range(4):
        # The first and last pixel of a square are those next to its sides.
        left, right, top, bottom = (round(v) for v in (x[k] - r[k], x[k] + r[k], y[k] - r[k], y[k] + r[k]))
        inside = (along >= left) & (along <= right) & (down >= top) & (down <= bottom)
        expected = (weight[:, None] * (after**2 - before**2)[:, inside]).sum()
        assert found[k] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_a_droplet_starts_no_further_out_than_it_may_go() -> None:
    image = np.zeros((1, HEIGHT, WIDTH))
    problem = Problem(
        Pixels.of(image), "gaussian", image_scales(image + np.random.default_rng(0).normal(size=image.shape), 4.0)
    )
    far_out, r = np.array([-50.0, 200.0, 10.0]), np.array([4.0, 10.0, 1.0])
    made = initial_state(problem, far_out, far_out, r)
    assert made.x == pytest.approx([-0.5 - 2 * r[0], WIDTH - 0.5 + 2 * r[1], 10.0])
    assert made.y == pytest.approx([-0.5 - 2 * r[0], HEIGHT - 0.5 + 2 * r[1], 10.0])


@pytest.mark.parametrize("out", [1.5, 6.0])
def test_a_centre_beyond_the_border_is_found_there(out: float) -> None:
    image = 0.2 + gaussian(-out, 20.0, 4.0, 0.5) + np.random.default_rng(1).normal(0, 0.01, (HEIGHT, WIDTH))
    made = fit_jointly(image, [0.0], [19.0], [4.5], profile="gaussian")
    spread = np.sqrt(np.diagonal(made.posterior.covariance[0]))
    assert abs(made.x[0] + out) < 4 * spread[0]
    assert abs(made.y[0] - 20.0) < 4 * spread[1]
    assert not made.convergence.at_bounds[0]
    assert made.residuals.reduced_chi_square[0] == pytest.approx(1, abs=0.15)


def test_a_droplet_that_is_damped_stays_while_one_far_away_goes() -> None:
    image = (0.2 + gaussian(12, 20, 3, 0.5) + gaussian(48, 20, 3, 0.5))[None]
    problem = Problem(Pixels.of(image), "gaussian", image_scales(image, 3.0))
    state = initial_state(problem, np.array([11.5, 47.5]), np.array([20.0, 20.0]), np.array([3.0, 3.0]), [[0.5, 0.5]])
    columns = columns_of(problem, state)
    noise = np.array([0.01])
    equations = equations_of(problem, state, columns, residual_of(problem, state, columns), noise)
    free = np.zeros((2, 4), bool)
    both, _ = step(equations, np.zeros(2), 1e9, free)  # the shared parameters stay, which would pass on what one does
    one, _ = step(equations, np.array([1e9, 0.0]), 1e9, free)
    assert both[:, 0] == pytest.approx([0.5, 0.5], rel=0.1)
    assert np.abs(one[0]).max() < 1e-6
    assert one[1] == pytest.approx(both[1], rel=1e-6, abs=1e-9)


def test_a_fit_goes_on_from_where_it_ended_and_is_done_at_once() -> None:
    image = 0.2 + gaussian(15, 20, 4, 0.5) + gaussian(42, 22, 5, 0.3)
    image += np.random.default_rng(2).normal(0, 0.01, image.shape)
    fit = fit_jointly(image, [14.0, 43.0], [21.0, 22.0], [4.5, 4.5], profile="gaussian")
    all_of_them, none = np.ones(2, bool), (np.zeros(0),) * 3
    again = refit_jointly(image[None], fit, all_of_them, none, (fit.x, fit.y, fit.r))
    assert again.convergence.converged
    assert again.convergence.steps <= 2 < fit.convergence.steps
    assert again.x == pytest.approx(fit.x, abs=0.01)
    one = refit_jointly(image[None], fit, np.array([True, False]), none, (fit.x[:1], fit.y[:1], fit.r[:1]))
    more = (np.array([43.0]), np.array([22.0]), np.array([5.0]))
    both = tuple(np.append(own[:1], other) for own, other in zip((fit.x, fit.y, fit.r), more, strict=True))
    back = refit_jointly(image[None], one, np.ones(1, bool), more, both)
    assert [back.x[1], back.y[1]] == pytest.approx([fit.x[1], fit.y[1]], abs=0.05)


def test_pixels_of_independent_noise_count_each_and_those_that_repeat_each_other_once() -> None:
    noise = np.random.default_rng(4).normal(size=(2, 64, 80))
    coarse = noise[:, ::4, ::4].repeat(4, 1).repeat(4, 2)
    for image, together in ((noise, 1.0), (coarse, 16.0)):
        problem = Problem(Pixels.of(image), "gaussian", image_scales(image, 3.0))
        assert pixels_that_count_once(problem, problem.pixels.image) == pytest.approx(together, rel=0.2)
