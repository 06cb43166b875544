"""Where a droplet is, by the joint fit and the network together."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pyrodrop.images.simulation.simulate import simulate
from pyrodrop.joint.joint_fit import JointFit, fit_jointly
from pyrodrop.recognition.agreement import Agreed, agreed, agreed_draws, leaves_only_noise
from pyrodrop.recognition.candidates import Candidates

WHITE = np.array([0.02])


@pytest.fixture(scope="module")
def fit() -> JointFit:
    image, truth = simulate(20, (150, 180), seed=2, kind="gray", radius_px=(5.0, 9.0), noise=0.02, profile="disc")
    x, y, r = truth[["x_px", "y_px", "radius_px"]].to_numpy().T
    return fit_jointly(image.pixels[..., 0].double().numpy(), x, y, r, profile="disc")


@pytest.fixture(scope="module")
def poor() -> JointFit:
    """Of Gaussians taken for discs: half of the height at the rim is unexplained."""
    image, truth = simulate(20, (150, 180), seed=2, kind="gray", radius_px=(5.0, 9.0), noise=0.02)
    x, y, r = truth[["x_px", "y_px", "radius_px"]].to_numpy().T
    return fit_jointly(
        image.pixels[..., 0].double().numpy(), x, y, r, profile="disc", shape=np.array([0.3]), max_steps=3
    )


def said_by_network(fit: JointFit, radius: np.ndarray, seed: int = 0) -> Candidates:
    """Circles at the fit's places with errors of 0.3 px and 4 per cent, which the network knows of."""
    rng, n = np.random.default_rng(seed), len(fit.x)
    x, y = fit.x + 0.3 * rng.standard_normal(n), fit.y + 0.3 * rng.standard_normal(n)
    return Candidates(
        x, y, radius * np.exp(0.04 * rng.standard_normal(n)), np.full(n, 0.9), np.tile([0.3, 0.3, 0.04], (n, 1))
    )


def test_where_the_image_is_explained_the_joint_fit_has_it(fit: JointFit) -> None:
    places = agreed(fit, said_by_network(fit, fit.half_radius), WHITE)
    assert places.share.min() > 0.9
    assert places.radius == pytest.approx(fit.half_radius, rel=0.01)
    assert places.sd[:, 2].max() < 0.03


def test_where_the_fit_sits_on_the_core_and_the_network_on_the_rim_the_network_is_right(fit: JointFit) -> None:
    candidates = said_by_network(fit, 1.6 * fit.half_radius)
    places = agreed(fit, candidates, WHITE)
    assert not places.share.any()
    assert places.radius == pytest.approx(candidates.radius)
    assert places.sd == pytest.approx(candidates.sd)


def test_a_fit_that_leaves_more_unexplained_has_less_of_a_say(fit: JointFit, poor: JointFit) -> None:
    good = agreed(fit, said_by_network(fit, fit.half_radius), WHITE)
    less = agreed(poor, said_by_network(poor, poor.half_radius), WHITE)
    assert np.median(less.share[:, 2]) < np.median(good.share[:, 2])
    assert np.median(less.sd[:, 2]) > np.median(good.sd[:, 2])


def test_what_the_network_has_not_proposed_is_the_joint_fits(fit: JointFit) -> None:
    places = agreed(fit, Candidates.of_residual(fit.x, fit.y, 2 * fit.half_radius), WHITE)
    assert (places.share == 1).all()
    assert places.radius == pytest.approx(fit.half_radius)


def test_draws_are_of_what_is_agreed_on(fit: JointFit) -> None:
    n, count = len(fit.x), 4000
    sd = np.tile([0.3, 0.2, 0.05], (n, 1))
    share = np.repeat(np.array([0.0, 1.0])[np.arange(n) % 2][:, None], 3, 1)
    own = np.sqrt(fit.posterior.covariance[:, [0, 1, 2], [0, 1, 2]])
    places = Agreed(
        fit.x + 1,
        fit.y,
        1.2 * fit.half_radius,
        np.where(share == 1, own, sd),
        share,
        own,
        np.zeros((n, 3)),
        np.zeros(n),
    )
    rng = np.random.default_rng(1)
    drawn = {
        "x_px": fit.x + own[:, 0] * rng.standard_normal((count, n)),
        "y_px": fit.y + own[:, 1] * rng.standard_normal((count, n)),
        "radius_px": fit.half_radius * np.exp(own[:, 2] * rng.standard_normal((count, n))),
    }
    both = agreed_draws(drawn, fit, places, np.random.default_rng(2))
    assert both["x_px"].mean(0) == pytest.approx(fit.x + 1, abs=0.03)
    assert np.log(both["radius_px"]).mean(0) == pytest.approx(np.log(places.radius), abs=0.005)
    assert both["y_px"].std(0) == pytest.approx(places.sd[:, 1], rel=0.15)
    assert both["x_px"][:, 1] == pytest.approx(drawn["x_px"][:, 1] + 1)  # the fit's own draws, where all say is its own


def test_an_error_that_the_fit_makes_on_all_droplets_is_taken_off(poor: JointFit) -> None:
    """Each droplet alone would be put between fit and network; all of them together say that they differ by as much
    everywhere, which is an error of the fit more than one of the network.
    """
    candidates = said_by_network(poor, 0.85 * poor.half_radius)._replace(sd=np.tile([0.3, 0.3, 0.15], (len(poor.x), 1)))
    places = agreed(poor, candidates, WHITE)
    assert places.share[:, 2].min() > 0.05
    between = places.share[:, 2] * np.log(poor.half_radius) + (1 - places.share[:, 2]) * np.log(candidates.radius)
    assert np.median(np.log(places.radius) - between) < -0.01
    assert (np.abs(places.common[:, 2]) < places.sd[:, 2]).all()
    assert places.common[:, 2].min() > 0.001


@pytest.fixture(scope="module")
def rimmed() -> JointFit:
    """Bright cores in dark rims that end at the radius."""
    image, truth = simulate(
        20, (150, 180), seed=2, kind="gray", radius_px=(6.0, 9.0), noise=0.02, profile="radial",
        shape=[0.8, 2.0, 2.0, 1.0, -2.0, -3.5], amplitude=(0.2, 0.4), separation=1.2,
    )  # fmt: skip
    x, y, r = truth[["x_px", "y_px", "radius_px"]].to_numpy().T
    return fit_jointly(image.pixels[..., 0].double().numpy(), x, y, r, profile="radial")


@pytest.mark.parametrize("number", [0, 1])
def test_of_two_outlines_the_network_says_which(rimmed: JointFit, number: int) -> None:
    """Of all droplets alike, though it knows the radius of each to a tenth only."""
    drawn, sharp = rimmed.outlines
    assert len(drawn) == 2
    assert np.median(drawn[1] / drawn[0]) > 1.15
    said = said_by_network(rimmed, drawn[number])._replace(sd=np.tile([0.3, 0.3, 0.1], (len(rimmed.x), 1)))
    places = agreed(rimmed, said, WHITE)
    assert np.median(np.abs(np.log(places.radius / drawn[number]))) < 0.02
    assert places.outwards == pytest.approx(sharp[number] ** 2 - drawn[number] ** 2)


def test_an_interval_holds_the_radius_of_a_sharp_and_of_a_soft_droplet(fit: JointFit) -> None:
    """Either is as likely, so that a 90 % interval leaves out a tenth of each, all on one side."""
    n, count = len(fit.x), 4000
    sd = np.full((n, 3), 1e-3)
    places = agreed(fit, said_by_network(fit, fit.half_radius), WHITE)._replace(
        sd=sd, share=np.zeros((n, 3)), common=np.zeros((n, 3))
    )
    drawn = {name: np.ones((count, n)) for name in ("x_px", "y_px", "radius_px")}
    radius = agreed_draws(drawn, fit, places, np.random.default_rng(3))["radius_px"]
    own = np.sqrt(places.radius**2 + places.outwards)
    assert (own > places.radius * 1.005).all()
    low, high = np.quantile(radius, [0.05, 0.95], axis=0)
    for truth in (places.radius, own):
        errors = 1e-3 * np.sqrt(3 / 5) * np.random.default_rng(4).standard_t(5, (count, n))
        likely = truth * np.exp(errors)
        assert ((low < likely) & (likely < high)).mean() == pytest.approx(0.9, abs=0.02)


def test_noise_that_goes_together_is_noise_and_what_a_profile_leaves_is_not(fit: JointFit, poor: JointFit) -> None:
    assert leaves_only_noise(fit)
    assert not leaves_only_noise(poor)
    image, truth = simulate(20, (150, 180), seed=2, kind="gray", radius_px=(5.0, 9.0), noise=1e-4, profile="disc")
    noise = gaussian_filter(np.random.default_rng(5).standard_normal((150, 180)), 1.0)
    places = truth[["x_px", "y_px", "radius_px"]].to_numpy().T
    coloured = fit_jointly(image.pixels[..., 0].double().numpy() + 0.02 * noise / noise.std(), *places, profile="disc")
    assert coloured.residuals.noise_correlation > 5
    assert leaves_only_noise(coloured)
