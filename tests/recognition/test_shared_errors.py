"""Errors that all droplets of an image share."""

import numpy as np
import pytest

from pyrodrop.recognition.shared_errors import intraclass_correlation, shared_posterior


def test_without_droplets_nothing_is_known_of_what_they_share() -> None:
    assert shared_posterior(*[np.zeros(0)] * 3) == (0, 1)


def test_the_posterior_is_that_of_images_drawn_so() -> None:
    """Of images whose droplets share an error, it is within the stated deviation as often as it should be."""
    rng, n = np.random.default_rng(0), 30
    own, fit_part = rng.uniform(0.03, 0.1, n), rng.uniform(0.05, 0.15, n)
    z = []
    for b in rng.standard_normal(4000):
        mean, sd = shared_posterior(b * fit_part + own * rng.standard_normal(n), own, fit_part)
        z.append((b - mean) / sd)
    assert np.std(z) == pytest.approx(1, abs=0.04)
    assert sd < 0.2


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
