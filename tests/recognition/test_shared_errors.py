"""Errors that all droplets of an image share."""

import numpy as np
import pytest

from pyrodrop.recognition.shared_errors import intraclass_correlation, shared_posterior


def test_without_droplets_nothing_is_known_of_what_they_share() -> None:
    mean, covariance = shared_posterior(*[np.zeros(0)] * 4)
    assert mean.tolist() == [0, 0]
    assert covariance == pytest.approx(np.eye(2))


def test_the_posterior_is_that_of_images_drawn_so() -> None:
    """Of images whose droplets share errors, b and a are within the told deviations as often as they should be, and the
    difference that both make is known far better than either.
    """
    rng, n = np.random.default_rng(0), 30
    own, fit_part, network_part = rng.uniform(0.03, 0.1, n), rng.uniform(0.05, 0.15, n), rng.uniform(0.02, 0.06, n)
    z = []
    for _ in range(2000):
        b, a = rng.standard_normal(2)
        apart = b * fit_part - a * network_part + own * rng.standard_normal(n)
        mean, covariance = shared_posterior(apart, own, fit_part, network_part)
        z.append(np.linalg.solve(np.linalg.cholesky(covariance), np.array([b, a]) - mean))
    assert np.std(z) == pytest.approx(1, abs=0.04)
    difference = np.array([fit_part.mean(), -network_part.mean()])
    assert difference @ covariance @ difference < 0.2 * fit_part.mean() ** 2


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_the_shared_part_of_errors_is_found_again(share: float) -> None:
    rng = np.random.default_rng(1)
    errors = [
        np.sqrt(share) * rng.standard_normal() + np.sqrt(1 - share) * rng.standard_normal(rng.integers(1, 40))
        for _ in range(3000)
    ]
    assert intraclass_correlation(errors) == pytest.approx(share, abs=0.04)


def test_lone_errors_share_nothing() -> None:
    assert intraclass_correlation([np.ones(1)] * 50) == 0
