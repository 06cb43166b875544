"""Whose centre and radius is right: what the image's droplets settle together."""

import numpy as np
import pytest

from pyrodrop.images.simulation.simulate import simulate
from pyrodrop.joint.joint_fit import JointFit, fit_jointly
from pyrodrop.recognition.agreement import combined_draws, joint_fit_is_right, log_odds_of_joint_fit, share_of
from pyrodrop.recognition.candidates import Candidates


@pytest.fixture(scope="module")
def fit() -> JointFit:
    image, truth = simulate(20, (150, 180), seed=2, kind="gray", radius_px=(5.0, 9.0), noise=0.02, profile="disc")
    x, y, r = truth[["x_px", "y_px", "radius_px"]].to_numpy().T
    return fit_jointly(image.pixels[..., 0].double().numpy(), x, y, r, profile="disc")


def said_by_network(fit: JointFit, radius: np.ndarray, seed: int = 0) -> Candidates:
    """Circles at the fit's places with errors of 0.3 px and 4 per cent, which the network knows of."""
    rng, n = np.random.default_rng(seed), len(fit.x)
    x, y = fit.x + 0.3 * rng.standard_normal(n), fit.y + 0.3 * rng.standard_normal(n)
    return Candidates(
        x, y, radius * np.exp(0.04 * rng.standard_normal(n)), np.full(n, 0.9), np.tile([0.3, 0.3, 0.04], (n, 1))
    )


def test_where_both_say_the_same_the_joint_fit_is_right(fit: JointFit) -> None:
    right = joint_fit_is_right(fit, said_by_network(fit, fit.half_radius))
    assert right.min() > 0.8


def test_where_the_fit_sits_on_the_core_and_the_network_on_the_rim_the_network_is_right(fit: JointFit) -> None:
    right = joint_fit_is_right(fit, said_by_network(fit, 1.6 * fit.half_radius))
    assert right.max() < 0.05


def test_a_droplet_is_judged_by_what_the_others_of_the_image_show(fit: JointFit) -> None:
    """The same doubtful droplet, 12 per cent apart: beside droplets that agree, and beside droplets that do not."""
    n = len(fit.x)
    doubtful = np.where(np.arange(n) == 0, 1.12, 1.0)
    others = np.where(np.arange(n) == 0, 1.12, 1.6)
    among_right = joint_fit_is_right(fit, said_by_network(fit, doubtful * fit.half_radius))[0]
    among_wrong = joint_fit_is_right(fit, said_by_network(fit, others * fit.half_radius))[0]
    assert among_right > 0.5 > among_wrong


def test_a_part_is_judged_by_what_the_whole_image_shows(fit: JointFit) -> None:
    """One doubtful droplet alone says little; given the share of the whole image it says what it says among all."""
    n = len(fit.x)
    among_others = said_by_network(fit, np.where(np.arange(n) == 0, 1.12, 1.6) * fit.half_radius)
    share = share_of(log_odds_of_joint_fit(fit, among_others))
    whole = joint_fit_is_right(fit, among_others)
    assert share < 0.2
    np.testing.assert_allclose(joint_fit_is_right(fit, among_others, share), whole, atol=1e-6)
    agreeing = said_by_network(fit, np.where(np.arange(n) == 0, 1.12, 1.0) * fit.half_radius)
    assert joint_fit_is_right(fit, agreeing)[0] > 0.5 > joint_fit_is_right(fit, agreeing, share)[0]
    assert share_of(np.zeros(0)) == 0.5


def test_what_the_network_has_not_proposed_is_the_joint_fits(fit: JointFit) -> None:
    candidates = Candidates.of_residual(fit.x, fit.y, 2 * fit.half_radius)
    assert (joint_fit_is_right(fit, candidates) == 1).all()


def test_draws_are_of_the_one_that_is_right(fit: JointFit) -> None:
    n, count = len(fit.x), 4000
    candidates = said_by_network(fit, 1.5 * fit.half_radius)
    drawn = {name: np.full((count, n), value) for name, value in (("x_px", 1.0), ("y_px", 2.0), ("radius_px", 3.0))}
    generator = np.random.default_rng(1)
    joint = combined_draws(drawn, np.ones(n), candidates, generator)
    assert all((joint[name] == drawn[name]).all() for name in drawn)
    network = combined_draws(drawn, np.zeros(n), candidates, generator)
    assert network["x_px"].mean(0) == pytest.approx(candidates.x, abs=0.03)
    assert np.log(network["radius_px"]).mean(0) == pytest.approx(np.log(candidates.radius), abs=0.004)
    # Student's t of 5 degrees of freedom, scaled to the standard deviation that the network gives.
    assert network["y_px"].std(0) == pytest.approx(np.full(n, 0.3), rel=0.15)
