"""The distribution of the number of droplets, against all combinations and closed forms."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from pyrodrop.results.statistics.counts import count_distribution, counted


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.0]) | st.floats(0, 1), max_size=8))
def test_it_is_the_sum_over_all_combinations(presence: list[float]) -> None:
    expected = np.zeros(len(presence) + 1)
    for there in product((0, 1), repeat=len(presence)):
        expected[sum(there)] += np.prod([p if here else 1 - p for p, here in zip(presence, there, strict=True)])
    count = count_distribution(presence)
    np.testing.assert_allclose(count.probability, expected, atol=1e-14)
    assert count.mean == pytest.approx(sum(presence))
    assert count.sd**2 == pytest.approx(sum(p * (1 - p) for p in presence), abs=1e-12)


def test_alike_droplets_are_binomial() -> None:
    count = count_distribution(np.full(200, 0.3))
    np.testing.assert_allclose(count.probability, binom.pmf(np.arange(201), 200, 0.3), atol=1e-14)
    assert [count.quantile(level) for level in (0.05, 0.5, 0.95)] == [
        int(binom.ppf(level, 200, 0.3)) for level in (0.05, 0.5, 0.95)
    ]


@pytest.mark.parametrize("likely", [(0.5, 0.5), (20.0, 0.3), (0.05, 2.0)])
@pytest.mark.parametrize("number", [63, 64, 65, 128, 129, 2_000])
def test_many_droplets_are_counted_as_one_after_the_other(number: int, likely: tuple[float, float]) -> None:
    """The recurrence, droplet by droplet, in as many digits as the machine has: unlikely numbers, too."""
    presence = np.random.default_rng(number).beta(*likely, number)
    slow = np.ones(1, np.longdouble)
    for p in presence.astype(np.longdouble):
        slow = np.append(slow * (1 - p), 0) + np.append(0, slow * p)
    made = count_distribution(presence).probability
    np.testing.assert_allclose(made, slow.astype(float), rtol=1e-11, atol=1e-25)


def test_a_hundred_thousand_droplets_have_the_moments_of_their_sum() -> None:
    presence = np.random.default_rng(0).beta(2.0, 0.5, 100_000)
    count = count_distribution(presence)
    assert count.probability.shape == (100_001,)
    assert (count.probability >= 0).all()
    assert count.probability.sum() == pytest.approx(1, abs=1e-12)
    assert count.mean == pytest.approx(presence.sum(), rel=1e-12)
    assert count.sd == pytest.approx(np.sqrt((presence * (1 - presence)).sum()), rel=1e-9)
    normal = norm.ppf(0.95, count.mean, count.sd)
    assert count.quantile(0.95) == pytest.approx(normal, abs=1.5)


@pytest.mark.parametrize("number", [0, 1, 60, 400, 3_000, 60_000])
@pytest.mark.parametrize("likely", [(0.001, 0.01), (0.4, 0.6), (0.01, 0.99), (0.99, 0.999)])
def test_doubt_that_is_shared_changes_the_spread_and_not_the_mean(number: int, likely: tuple[float, float]) -> None:
    presence = np.random.default_rng(number).uniform(*likely, number)
    count, alone = count_distribution(presence, 0.3), count_distribution(presence)
    assert count.probability.sum() == pytest.approx(1)
    assert count.mean == pytest.approx(presence.sum(), rel=1e-3, abs=1e-12)  # of two hundred values of the doubt
    assert count.quantile(0.05) <= alone.quantile(0.05)
    assert alone.quantile(0.95) <= count.quantile(0.95)


def test_what_is_certain_has_no_spread() -> None:
    assert count_distribution([1, 1, 0, 1]).as_dict() == {"mean": 3.0, "q05": 3, "q95": 3}
    assert count_distribution([]).as_dict() == {"mean": 0.0, "q05": 0, "q95": 0}


@pytest.mark.parametrize("presence", [[-0.1], [1.1], [np.nan], [[0.5]]])
def test_no_probabilities_are_refused(presence: object) -> None:
    with pytest.raises(ValueError, match=r"within \[0, 1\]"):
        count_distribution(presence)


def test_a_level_outside_is_refused() -> None:
    with pytest.raises(ValueError, match=r"level is 1\.5"):
        count_distribution([0.5]).quantile(1.5)


def test_as_many_are_counted_as_the_median_says_the_most_probable_ones() -> None:
    assert counted([0.9, 0.2, 1.0, 0.6]).tolist() == [True, False, True, True]
    assert counted([0.4] * 10).sum() == count_distribution([0.4] * 10).quantile(0.5) == 4
    assert counted([0.4] * 10)[:4].all()  # of equals the first
    assert counted([]).tolist() == []
    assert not counted([0.1, 0.2]).any()
