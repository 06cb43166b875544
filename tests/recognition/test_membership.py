"""How like the others: as frequent as its kind is, and once in all what is of no kind."""

from dataclasses import replace

import numpy as np
import pytest

from pyrodrop.joint.joint_fit import JointFit, fit_jointly
from pyrodrop.joint.priors import priors_of
from pyrodrop.recognition.membership import log_membership


def droplets(r: np.ndarray, amplitude: np.ndarray) -> JointFit:
    """A fit that says so."""
    one = np.array([20.0])
    fit = fit_jointly(
        0.2 + 0.01 * np.random.default_rng(0).standard_normal((40, 40)), one, one, one, profile="gaussian"
    )
    scales = replace(fit.scales, amplitude=np.array([0.5]), radius_px=6.0)
    fit = replace(fit, priors=priors_of((1, 40, 40), scales, "gaussian"))
    return fit.with_droplets(np.full(len(r), 20.0), np.full(len(r), 20.0), r, amplitude[None])


def population(n: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    return np.exp(generator.uniform(np.log(3), np.log(10), n)), generator.uniform(0.2, 0.5, n)


@pytest.mark.parametrize("n", [20, 300, 900])
def test_what_is_unlike_all_others_is_as_likely_as_one_in_all(n: int) -> None:
    r, amplitude = population(n)
    r[0], amplitude[0] = 2.0, -0.3
    made = log_membership(droplets(r, amplitude), np.arange(n) > 0)
    assert made[0] == pytest.approx(-np.log(n), abs=0.1)
    assert np.median(made[1:]) > 0


def test_the_density_is_one_over_all_radii_and_heights() -> None:
    """Of what comes next, held against the prior: its mean over the prior is 1."""
    r, amplitude = population(200)
    generator = np.random.default_rng(2)
    next_r, next_amplitude = 6.0 * np.exp(generator.standard_normal(4_000)), 0.5 * generator.standard_normal(4_000)
    both = droplets(np.concatenate([r, next_r]), np.concatenate([amplitude, next_amplitude]))
    made = log_membership(both, np.arange(4_200) < 200)[200:]
    assert np.exp(made).mean() == pytest.approx(1.0, abs=0.1)


def test_a_second_kind_is_as_likely_as_it_is_frequent() -> None:
    r, amplitude = population(200)
    rare = slice(0, 20)
    r[rare], amplitude[rare] = np.random.default_rng(3).uniform(1.9, 2.1, 20), -0.3
    made = log_membership(droplets(r, amplitude), np.ones(200, bool))
    assert made[rare].min() > 0
    r[1:20], amplitude[1:20] = 5.0, 0.3
    assert log_membership(droplets(r, amplitude), np.ones(200, bool))[0] == pytest.approx(-np.log(200), abs=0.1)


def test_few_say_nothing() -> None:
    r, amplitude = population(12)
    fit = droplets(r, amplitude)
    assert not log_membership(fit, np.arange(12) < 7).any()
    assert np.isfinite(
        log_membership(fit.with_droplets(fit.x, fit.y, fit.r, np.zeros((1, 12))), np.ones(12, bool))
    ).all()
