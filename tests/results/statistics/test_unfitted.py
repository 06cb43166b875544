"""Circles that were not fitted: they add to the number of droplets as equally probable ones of a shared doubt do."""

from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from pyrodrop.results.statistics.counts import count_distribution, counted
from pyrodrop.results.statistics.shared_doubt import central_log_odds, shared_values
from pyrodrop.results.statistics.unfitted import NONE_UNFITTED, Unfitted, binomial


@pytest.mark.parametrize("chance", [0.0, 1e-4, 0.03, 0.7, 1.0])
@pytest.mark.parametrize("number", [1, 7, 400])
def test_the_binomial_distribution_is_scipys(number: int, chance: float) -> None:
    least, probability = binomial(number, chance)
    k = np.arange(least, least + len(probability))
    assert probability == pytest.approx(stats.binom.pmf(k, number, chance), rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("presence", [[], [0.9, 0.4], np.linspace(0.2, 1.0, 90)])
def test_they_count_as_so_many_droplets_of_the_same_presence(presence: Any) -> None:
    """Against a sum over what is shared, each number of droplets one after the other."""
    unfitted, shared = Unfitted(30, 1.2, 3.0), 1.5
    expected = np.zeros(len(presence) + 31)
    for u, weight in zip(*shared_values(200)[:2], strict=True):
        chances = expit(central_log_odds(presence, shared) + shared * u)
        of_rest = expit(central_log_odds([1.2 / 30], 3.0) + 3.0 * u)
        row = np.ones(1)
        for chance in np.concatenate([chances, np.repeat(of_rest, 30)]):
            row = np.convolve(row, [1 - chance, chance])
        expected += weight * row
    count = count_distribution(presence, shared, unfitted)
    assert count.probability == pytest.approx(expected, abs=1e-12)
    assert count.mean == pytest.approx(np.sum(presence) + 1.2, rel=0.02)


def test_mostly_none_of_them_is_a_droplet_and_now_and_then_many() -> None:
    count = count_distribution([], 1.9, Unfitted(200, 4.0, 3.5))
    assert count.quantile(0.5) == 0
    assert count.quantile(0.95) > 4
    assert not counted([0.3], 1.9, Unfitted(200, 4.0, 3.5)).any()


def test_with_thousands_a_normal_distribution_stands_for_the_sum() -> None:
    presence = np.full(3_000, 0.9)
    count = count_distribution(presence, 1.0, Unfitted(5_000, 150.0, 3.0))
    assert len(count.probability) == 8_001
    assert count.mean == pytest.approx(2_850, rel=0.01)
    alone = count_distribution(presence, 1.0)
    assert count.quantile(0.95) > alone.quantile(0.95)
    assert count.quantile(0.05) >= alone.quantile(0.05)


def test_no_shared_doubt_leaves_them_independent() -> None:
    count = count_distribution([1.0, 1.0], 0.0, Unfitted(10, 1.0))
    assert count.probability[2:] == pytest.approx(stats.binom.pmf(np.arange(11), 10, 0.1))
    assert count.probability[:2] == pytest.approx([0, 0])


def test_a_share_of_them_is_as_probable() -> None:
    assert Unfitted(40, 2.0, 3.0).share(0.5) == Unfitted(20, 1.0, 3.0)
    assert Unfitted(40, 2.0, 3.0).share(0.0).expected == 0
    assert NONE_UNFITTED.share(1.0) == NONE_UNFITTED


def test_a_summary_says_them_and_is_read_again() -> None:
    unfitted = Unfitted(40, 2.0, 3.0)
    assert Unfitted.of_dict(unfitted.as_dict()) == unfitted
    for other in (
        None,
        3,
        {},
        {"number": 1, "expected": 2.0, "shared_doubt": 1.0},
        {**unfitted.as_dict(), "number": "x"},
    ):
        assert Unfitted.of_dict(other) == NONE_UNFITTED
