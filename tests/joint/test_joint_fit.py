"""The joint fit: the truth is recovered within its intervals, and nothing runs away."""

from typing import Any

import numpy as np
import pytest
from joint.scenes import crowd, errors, scene
from scipy import stats

from pyrodrop.joint.draws import draws
from pyrodrop.joint.joint_fit import fit_jointly
from pyrodrop.joint.profile_choice import fit_best_profile
from pyrodrop.rendering import PROFILES


@pytest.mark.parametrize("profile", ["gaussian", "disc", "radial", "rimmed"])
def test_the_truth_is_recovered_within_its_intervals(profile: str) -> None:
    truth = scene(profile, crowd(0, (128, 128), 1.2, 12, (4, 9)), (128, 128))
    fit = fit_jointly(truth.image[0], *truth.start(), profile=profile)
    assert fit.convergence.converged
    assert not fit.convergence.at_bounds.any()
    assert np.abs(errors(fit, truth)).max() < 4.5
    assert fit.noise == pytest.approx([0.02], rel=0.03)
    assert fit.residuals.reduced_chi_square == pytest.approx([1], abs=0.1)
    if profile == "disc":
        assert abs(fit.shape[0] - 1.1) < 4 * fit.posterior.shape_sd[0]
    assert (fit.presence() > 0.99).all()


@pytest.mark.parametrize("profile", ["gaussian", "disc"])
@pytest.mark.parametrize("apart", [2.5, 0.7], ids=["isolated", "overlapping"])
def test_intervals_cover(profile: str, apart: float) -> None:
    """About 200 values of each kind: nine in ten lie inside, within what the binomial lets pass once in 10,000."""
    inside, sizes = np.zeros(4), 0
    for seed in range(4):
        truth = scene(profile, crowd(seed, (200, 200), apart, 50, (3, 7)), (200, 200), 0.03, seed=seed)
        z = errors(fit_jointly(truth.image, *truth.start(seed), profile=profile), truth)
        inside += (np.abs(z) < stats.norm.ppf(0.95)).sum(0)
        sizes += len(z)
    low, high = stats.binom(sizes, 0.9).ppf([5e-5, 1 - 5e-5])
    assert sizes > 60
    assert (inside >= low).all()
    assert (inside <= high).all()


def test_colours_share_centres_and_have_their_own_heights() -> None:
    places = [[20, 20, 6, 0.3, -0.1, 0.0], [44, 40, 8, 0.1, 0.2, 0.4], [25, 45, 5, -0.2, 0.3, 0.1]]
    truth = scene("disc", places, channels=3)
    fit = fit_jointly(truth.image, *truth.start(), profile="disc")
    assert fit.amplitude.shape == (3, 3)
    assert np.abs(errors(fit, truth)).max() < 4.5
    assert fit.amplitude == pytest.approx(truth.amplitude, abs=0.02)
    # All channels together know the centre better than one.
    one = fit_jointly(truth.image[0], *truth.start(), profile="disc")
    assert (fit.posterior.covariance[:, 0, 0] < one.posterior.covariance[:, 0, 0]).all()
    assert draws(fit, 7)["amplitude"].shape == (7, 3, 3)


@pytest.mark.parametrize("profile", ["gaussian", "disc", "radial", "rimmed"])
def test_the_evidence_prefers_the_right_profile(profile: str) -> None:
    truth = scene(profile, crowd(2, (128, 128), 1.2, 12, (5, 10)), (128, 128))
    x, y, r = truth.start()
    best, evidence = fit_best_profile(truth.image, x, y, r * PROFILES[profile].half_share)
    assert best.profile == profile, evidence
    assert set(evidence) == {"gaussian", "disc", "radial", "rimmed"}


@pytest.mark.parametrize("profile", ["gaussian", "disc", "radial", "rimmed"])
def test_nothing_runs_away_on_an_image_that_is_no_droplets(profile: str) -> None:
    """Blocky texture and stripes: droplets stay about where they start, and within a factor in size; those that the
    border cuts may also go out, by two radii.
    """
    g = np.random.default_rng(0)
    image = np.kron(g.standard_normal((12, 12)), np.ones((8, 8))) + np.sin(np.arange(96) / 3)
    x, y, r = g.uniform(0, 95, 30), g.uniform(0, 95, 30), g.uniform(2, 12, 30)
    fit = fit_jointly(image, x, y, r, profile=profile)
    far = np.maximum(2.0, 0.5 * r) + 1e-6
    for start, end in ((x, fit.x), (y, fit.y)):
        least = np.where(start - r < -0.5, np.minimum(start - far, -0.5 - 2 * r - 1e-6), start - far)
        most = np.where(start + r > 95.5, np.maximum(start + far, 95.5 + 2 * r + 1e-6), start + far)
        assert ((least <= end) & (end <= most)).all()
    assert (np.abs(np.log(fit.r / r)) <= np.log(2) + 1e-6).all()
    assert np.isfinite(fit.posterior.covariance).all()
    assert np.isfinite(fit.evidence.log_bayes).all()
    # What the model leaves is correlated, and the intervals say so.
    assert fit.residuals.noise_correlation > 2
    assert fit.posterior.inflation.mean() > 1.2


def test_correlated_noise_widens_the_intervals_until_they_cover() -> None:
    from scipy.ndimage import gaussian_filter

    inside, sizes = np.zeros(4), 0
    for seed in range(4):
        truth = scene("disc", crowd(seed, (200, 200), 2.0, 30, (4, 8)), (200, 200), 0.0, seed=seed)
        smooth = gaussian_filter(np.random.default_rng(seed).standard_normal((200, 200)), 1.0, mode="wrap")
        image = truth.image + 0.03 * smooth / smooth.std()
        fit = fit_jointly(image, *truth.start(seed), profile="disc")
        z = errors(fit, truth)
        inside += (np.abs(z) < stats.norm.ppf(0.95)).sum(0)
        sizes += len(z)
        assert fit.residuals.noise_correlation == pytest.approx(4 * np.pi, rel=0.35)
    assert (inside >= stats.binom(sizes, 0.85).ppf(1e-4)).all()


def test_no_droplets_are_a_background() -> None:
    truth = scene("disc", np.zeros((0, 4)))
    fit = fit_jointly(truth.image, [], [], [], profile="disc")
    assert fit.noise == pytest.approx([0.02], rel=0.05)
    assert fit.posterior.covariance.shape == (0, 4, 4)
    assert draws(fit, 5)["x_px"].shape == (5, 0)


def test_droplets_at_and_over_the_edge_of_the_image() -> None:
    truth = scene("disc", [[2, 30, 6, 0.3], [62, 62, 5, 0.4], [30, -0.2, 7, -0.3]])
    fit = fit_jointly(truth.image, *truth.start(px=0.3), profile="disc")
    assert np.abs(errors(fit, truth)).max() < 4.5


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((np.zeros(4), [1.0], [1.0], [1.0]), r"\(C, H, W\)"),
        ((np.full((9, 9), np.nan), [1.0], [1.0], [1.0]), "not finite"),
        ((np.zeros((9, 9)), [1.0, 2.0], [1.0], [1.0]), "each"),
        ((np.zeros((9, 9)), [1.0], [1.0], [0.0]), "positive"),
        ((np.zeros((9, 9)), [1.0], [1.0], [1.0], np.zeros((2, 1))), "2 rows"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        fit_jointly(*arguments)
