"""The exponent of coarsening is found, and is as unsure as so few droplets leave it."""

import numpy as np
import pytest

from pyrodrop.results.statistics.coarsening import coarsening
from pyrodrop.results.statistics.mean_curve import MeanCurve, mean_curve

FRAMES, GROWTH = 30, 0.5


def curve_of(
    exponent: float, droplets: int, spread: float, seed: int = 0, growth: float = GROWTH, live: float = 1e9
) -> MeanCurve | None:
    """Droplets whose radii over the mean stay as they are; each begins in the stack, and ends after ``live`` frames."""
    rng, time = np.random.default_rng(seed), np.arange(FRAMES)
    law = (2.0 ** (1 / exponent) + growth * time) ** exponent
    own = np.exp(spread * rng.standard_normal((droplets, 1)))
    begin = rng.uniform(-live, FRAMES, (droplets, 1)) if live < FRAMES else np.zeros((droplets, 1))
    path, frame = np.nonzero((time >= begin) & (time < begin + live))
    radius = (own * law)[path, frame, None] * (1 + 1e-3 * rng.standard_normal((len(path), 4)))
    return mean_curve(path, frame, radius, np.ones(droplets))


@pytest.mark.parametrize("exponent", [1 / 3, 1 / 2])
def test_the_exponent_of_a_curve_is_found(exponent: float) -> None:
    curve = curve_of(exponent, 2000, 0.1, live=10.0)
    assert curve is not None
    found = coarsening(curve)
    assert found.q05 < exponent < found.q95
    assert found.exponent == pytest.approx(exponent, rel=0.1)
    assert (found.log_evidence > 0) == (exponent < 0.4)
    assert found.growth == pytest.approx((1 + 29 * GROWTH / 2 ** (1 / exponent)) ** exponent, rel=0.15)


def test_a_mean_that_does_not_change_has_no_exponent() -> None:
    curve = curve_of(1 / 2, 100, 0.2, growth=0.0)
    assert curve is not None
    assert not coarsening(curve).grows


def test_the_covariance_is_that_of_other_stacks_of_as_many_droplets() -> None:
    curves = [curve_of(1 / 3, 400, 0.3, seed, live=10.0) for seed in range(100)]
    known = [each for each in curves if each is not None]
    assert len(known) == len(curves)
    drawn = np.cov(np.array([each.log_mean for each in known]).T)
    said = np.mean([each.covariance for each in known], axis=0)
    assert np.trace(said) == pytest.approx(np.trace(drawn), rel=0.2)
    assert np.trace(np.linalg.solve(said, drawn)) == pytest.approx(len(said), rel=0.25)


def test_intervals_hold_the_exponent_also_of_few_droplets() -> None:
    held = []
    for seed in range(100):
        curve = curve_of(1 / 3, 100, 0.3, seed, live=10.0)
        assert curve is not None
        found = coarsening(curve)
        held.append(found.q05 <= 1 / 3 <= found.q95)
    assert 0.81 <= np.mean(held) <= 0.97  # of 100, with 90 % intervals


def test_of_too_few_droplets_or_frames_nothing_is_said() -> None:
    assert curve_of(1 / 3, 4, 0.2) is None
    rows = np.arange(60) % 20
    assert mean_curve(rows, np.arange(60) // 20, np.ones((60, 2)), np.ones(20)) is None
