"""One posterior of network and joint fit: what makes a droplet more likely, and what was learnt."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from pyrodrop.images.simulation.simulate import simulate
from pyrodrop.joint.joint_fit import JointFit, fit_jointly
from pyrodrop.joint.trust_region import FAR_FACTOR
from pyrodrop.recognition.agreement import Views, fit_errors, log_prior_odds
from pyrodrop.recognition.candidates import Candidates
from pyrodrop.recognition.learn import shared_doubt, unfitted_doubt, weights_of_agreement, weights_of_presence
from pyrodrop.recognition.learning.lessons import Beside, Lesson, worth
from pyrodrop.recognition.presence import presence_of
from pyrodrop.rendering.pixel_noise import pixel_noise
from pyrodrop.results.statistics.shared_doubt import central_log_odds

IMAGE, TRUTH = simulate(1, (64, 64), seed=1, kind="gray", radius_px=(7.0, 7.5), noise=0.05, profile="disc")


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return IMAGE.pixels[..., 0].double().numpy()


@pytest.fixture(scope="module")
def fit(pixels: np.ndarray) -> JointFit:
    return fit_jointly(pixels, TRUTH["x_px"], TRUTH["y_px"], [7.0], profile="disc")


@pytest.fixture(scope="module")
def crowd() -> tuple[np.ndarray, JointFit]:
    """Twenty discs alike and one three times as large."""
    places = [(20.0 + 28 * (k % 5), 20.0 + 28 * (k // 5)) for k in range(20)]
    x, y = (np.array(v) for v in zip(*places, strict=True))
    x, y, r = np.append(x, 175.0), np.append(y, 75.0), np.append(np.full(20, 6.0), 18.0)
    pixels = np.random.default_rng(2).normal(0.1, 0.03, (150, 210))
    grid_y, grid_x = np.mgrid[:150, :210]
    for one in zip(x, y, r, strict=True):
        pixels += 0.5 / (1 + np.exp(2 * (np.hypot(grid_x - one[0], grid_y - one[1]) - one[2])))
    return pixels, fit_jointly(pixels, x, y, r, profile="disc")


def candidate(fit: JointFit, proposed: float) -> Candidates:
    return Candidates(fit.x, fit.y, fit.half_radius, np.array([proposed]), np.full((1, 3), 0.1))


def with_evidence(fit: JointFit, log_bayes: float) -> JointFit:
    evidence = fit.evidence._replace(log_bayes=np.array([log_bayes]), log_bayes_white=np.array([log_bayes]))
    return replace(fit, evidence=evidence)


def test_the_surer_the_network_the_likelier(pixels: np.ndarray, fit: JointFit) -> None:
    white = pixel_noise(pixels[None])
    presence = [presence_of(fit, candidate(fit, p), white)[0] for p in (0.1, 0.3, 0.6, 0.9)]
    assert presence == sorted(presence)
    assert presence[-1] > presence[0]


def test_the_more_evidence_the_likelier_where_the_model_explains_the_droplet(pixels: np.ndarray, fit: JointFit) -> None:
    white = pixel_noise(pixels[None])
    presence = [presence_of(with_evidence(fit, e), candidate(fit, 0.5), white)[0] for e in (-8.0, 0.0, 8.0, 800.0)]
    assert presence == sorted(presence)
    assert presence[0] < presence[1] - 0.08
    assert presence[-1] > 0.75


def test_what_the_fit_has_left_is_less_likely(pixels: np.ndarray, fit: JointFit) -> None:
    """A proposal whose fitted circle has gone elsewhere was not of what is there."""
    white, here = pixel_noise(pixels[None]), candidate(fit, 0.5)
    presence = [presence_of(fit, here._replace(x=fit.x + d * fit.half_radius), white)[0] for d in (0.0, 0.5, 1.0)]
    assert presence == sorted(presence, reverse=True)
    assert presence[-1] < presence[0]


def test_where_the_model_does_not_explain_a_droplet_the_word_of_the_network_stands(
    pixels: np.ndarray, fit: JointFit
) -> None:
    white, here = pixel_noise(pixels[None]), candidate(fit, 0.5)
    unexplained = replace(fit, residuals=fit.residuals._replace(at_droplets=50 * fit.residuals.at_droplets))
    for e in (-8.0, 800.0):
        for d in (0.0, 1.0):
            moved = here._replace(x=fit.x + d * fit.half_radius)
            presence = presence_of(with_evidence(unexplained, e), moved, white)[0]
            assert presence == pytest.approx(0.5, abs=1e-6)


def test_what_is_unlike_the_others_is_as_likely_as_they_are(crowd: tuple[np.ndarray, JointFit]) -> None:
    """A droplet three times as large as twenty that are alike: of a field of stars the brightest are so."""
    pixels, fit = crowd
    every = Candidates(fit.x, fit.y, fit.half_radius, np.full(len(fit.x), 0.6), np.full((len(fit.x), 3), 0.1))
    among = presence_of(fit, every, pixel_noise(pixels[None]))
    large = int(np.argmax(fit.half_radius))
    assert among[large] > np.delete(among, large).min() - 0.02


def test_an_image_of_many_tells_less_than_as_many_images() -> None:
    assert worth([1, 1, 0, 1], 0.5) == pytest.approx(np.ones(3))
    assert worth([101, 1], 0.5).tolist() == pytest.approx([1 / 51] * 101 + [1.0])
    assert worth([7], 0.0).sum() == 7


def test_weights_of_a_logistic_regression_are_found_again() -> None:
    rng = np.random.default_rng(0)
    true = np.array([-0.5, 1.2, -0.7])
    signs = np.column_stack([np.ones(20_000), rng.standard_normal((20_000, 2))])
    correct = rng.random(20_000) < 1 / (1 + np.exp(-signs @ true))
    assert weights_of_presence(signs, correct) == pytest.approx(true, abs=0.06)


def test_the_doubt_of_what_was_not_fitted_is_found_again() -> None:
    """Images of twenty sure droplets, and of circles that are droplets together or not, as one doubt says."""
    rng, true = np.random.default_rng(4), 3.0
    views = Views(*(np.zeros((0, 3)),) * 3, *(np.zeros(0),) * 5)
    lessons, odds = [], []
    for _ in range(400):
        number, presence = int(rng.integers(5, 60)), float(rng.uniform(0.02, 0.08))
        chance = expit(central_log_odds([presence], true) + true * rng.standard_normal())[0]
        asked = 20 + int(rng.binomial(number, chance))
        beside = Beside(np.full(number, logit(presence)), np.ones((number, 1)), np.zeros(number, bool), asked)
        lessons.append(Lesson(*(np.zeros(0),) * 5, views, np.zeros((0, 3)), beside))
        odds.append(np.full(20, 40.0))
    assert unfitted_doubt(lessons, np.zeros(1), odds, 1.5) == pytest.approx(true, rel=0.25)


def test_what_candidates_of_an_image_share_is_found_again() -> None:
    """Images whose candidates are right or wrong together, each as often as its log odds say."""
    rng = np.random.default_rng(3)
    log_odds = [rng.normal(0, 1.5, 30) for _ in range(300)]
    for true in (0.3, 1.5):
        given = [central_log_odds(expit(odds), true) + true * rng.standard_normal() for odds in log_odds]
        assert shared_doubt(log_odds, [rng.random(30) < expit(one) for one in given]) == pytest.approx(true, rel=0.2)


def test_weights_of_agreement_are_found_again() -> None:
    """Errors that grow with what a fit leaves unexplained, of fits of which ever fewer sit on the right edge."""
    rng, n = np.random.default_rng(0), 6000
    true = np.array([-1.0, -0.8, -1.5, -2.0, 1.5, 0.3, 0.6])
    unexplained = np.exp(rng.uniform(-4, 0, n))
    views = Views(
        apart=np.zeros((n, 3)),
        fit_sd=np.exp(rng.uniform(-7, -2, (n, 3))),
        network_sd=np.full((n, 3), 0.1),
        unexplained=unexplained,
        excess=unexplained,
        explained=rng.random(n).round(),
        far=np.full(n, 2.0),
        only_noise=(rng.random(n) < 0.2).astype(float),
    )
    sd = fit_errors(views, true)
    error = sd * rng.standard_t(5, (n, 3)) * np.sqrt(3 / 5)
    wrong = rng.random(n) > expit(log_prior_odds(views, true))
    error[wrong, 2] = rng.uniform(-1, 1, wrong.sum()) * np.log(FAR_FACTOR)
    nowhere = wrong & (rng.random(n) < 0.5)
    error[nowhere, :2] = rng.uniform(-2, 2, (nowhere.sum(), 2))
    assert weights_of_agreement(views, error) == pytest.approx(true, abs=0.25)
