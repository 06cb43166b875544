"""Calibration: a right posterior passes, and each wrong one is caught and named."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from pyrodrop.results.checks.calibration import (
    Calibration,
    calibrate,
    check_ranks,
    cumulative_band,
    rank_histogram,
    rank_truth,
)

SEEDS = range(4)
RUNS, DRAWS = 300, 99


def simulate(generator: np.random.Generator) -> tuple[Mapping[str, float], Any]:
    """A mean from Normal(0, 1) and five numbers around it, with the variance 1."""
    mean = generator.standard_normal()
    return {"mean": mean}, mean + generator.standard_normal(5)


def posterior(
    shift: float = 0.0, stretch: float = 1.0, skewed: bool = False
) -> Callable[[Any, np.random.Generator], Mapping[str, Any]]:
    """The conjugate posterior Normal(sum / 6, 1 / 6), or one that is off by so many of its standard deviations."""

    def infer(data: Any, generator: np.random.Generator) -> Mapping[str, Any]:
        centre, sd = data.sum() / 6, 6**-0.5
        z = generator.gamma(1.0, size=DRAWS) - 1 if skewed else generator.standard_normal(DRAWS)
        return {"mean": centre + sd * (shift + stretch * z)}

    return infer


def run(seed: int, **wrong: Any) -> Calibration:
    return calibrate(simulate, posterior(**wrong), RUNS, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_conjugate_posterior_passes(seed: int) -> None:
    result = run(seed)
    assert result.calibrated
    assert result.verdict == "No fault was found in 300 runs."
    assert all(
        abs(c.held - c.level) < 4 * np.sqrt(c.level * (1 - c.level) / RUNS) for c in result.checks["mean"].coverage
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"stretch": 0.7}, "too narrow"),
        ({"stretch": 1.5}, "too wide"),
        ({"shift": 0.5}, "biased, too high"),
        ({"shift": -0.5}, "biased, too low"),
    ],
)
def test_a_wrong_posterior_is_caught_and_named(seed: int, wrong: dict[str, float], said: str) -> None:
    result = run(seed, **wrong)
    assert not result.calibrated
    assert said in result.faults["mean"]
    assert f"mean is {said}" in result.verdict


@pytest.mark.parametrize("seed", SEEDS)
def test_a_posterior_of_the_wrong_shape_is_caught(seed: int) -> None:
    """It has the right mean and standard deviation, and is skewed."""
    assert not run(seed, skewed=True).calibrated


def test_intervals_that_are_too_narrow_hold_less_than_they_promise() -> None:
    (half, most, nine) = run(0, stretch=0.5).checks["mean"].coverage
    assert [round(c.level, 1) for c in (half, most, nine)] == [0.5, 0.8, 0.9]
    assert all(c.q05 < c.held < c.q95 < c.level for c in (half, most, nine))


@pytest.mark.slow
def test_it_seldom_cries_wolf() -> None:
    """Ranks that are uniform are called wrong in 1 % of cases or fewer: of 300, 9 or more has the chance 4e-3."""
    generator = np.random.default_rng(0)
    wrong = sum(
        not Calibration({"x": check_ranks(generator.random(60), generator.random((60, 19)), seed)}).calibrated
        for seed in range(300)
    )
    assert wrong < 9


@pytest.mark.slow
def test_p_values_are_those_of_uniform_ranks() -> None:
    generator = np.random.default_rng(1)
    checks = [check_ranks(generator.random(80), generator.random((80, 39)), seed) for seed in range(200)]
    for name in ("p_chi_square", "p_cumulative"):
        p = np.array([getattr(check, name) for check in checks])
        for level in (0.1, 0.5):
            assert abs((p <= level).mean() - level) < 4 * np.sqrt(level * (1 - level) / 200) + 0.02
    for name in ("bias", "width"):
        z = np.array([getattr(check, name) for check in checks])
        assert abs(z.mean()) < 4 / np.sqrt(200)
        assert abs(z.std() - 1) < 4 / np.sqrt(400)


def test_ranks_count_the_draws_below_and_break_ties_by_lot() -> None:
    assert rank_truth([0.0, 2.5, 9.0], np.tile([1.0, 2.0, 3.0], (3, 1))).tolist() == [0, 2, 3]
    ranks = rank_truth(np.zeros(4000), np.zeros((4000, 3)))
    np.testing.assert_allclose(np.bincount(ranks) / 4000, 0.25, atol=0.03)


def test_the_histogram_has_all_ranks_and_uneven_bins_their_due() -> None:
    ranks = np.repeat(np.arange(11), 20)
    counts, expected = rank_histogram(ranks, 10, bins=4)
    assert counts.sum() == 220
    np.testing.assert_allclose(counts, expected)
    assert len(rank_histogram(ranks[:12], 10)[0]) == 2  # at least five are expected in a bin


def test_the_band_holds_the_whole_curve_as_often_as_it_says() -> None:
    places, low, high = cumulative_band(100, 49, 0.9)
    generator = np.random.default_rng(7)
    ranks = generator.integers(0, 50, (1000, 100))
    curve = (ranks[..., None] < np.round(places * 50)).mean(1)
    assert abs(((curve >= low) & (curve <= high)).all(1).mean() - 0.9) < 0.06
    # Point by point it is wider than a band that holds for one place alone.
    assert (low <= binom.ppf(0.05, 100, places) / 100).all()


def test_the_first_runs_do_not_change_with_their_number() -> None:
    few, many = calibrate(simulate, posterior(), 10, 3), calibrate(simulate, posterior(), 20, 3)
    assert few.checks["mean"].ranks.tolist() == many.checks["mean"].ranks[:10].tolist()
    assert "only great faults" in few.verdict


def test_several_quantities_are_told_apart() -> None:
    def two(generator: np.random.Generator) -> tuple[Mapping[str, float], Any]:
        return {"good": generator.random(), "bad": generator.random()}, None

    def infer(_: Any, generator: np.random.Generator) -> Mapping[str, Any]:
        return {"good": generator.random(49), "bad": generator.random(49) ** 3}

    assert calibrate(two, infer, 200).faults.keys() == {"bad"}


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="runs is 1"):
        calibrate(simulate, posterior(), 1)
    with pytest.raises(ValueError, match="no draws of mean"):
        calibrate(simulate, lambda data, generator: {}, 2)
    with pytest.raises(ValueError, match="do not go together"):
        check_ranks(np.zeros(3), np.zeros((4, 5)))
    with pytest.raises(ValueError, match="not finite"):
        check_ranks(np.zeros(1), np.full((1, 5), np.nan))
