"""Doubt that all droplets of an image share."""

import numpy as np
import pytest
from scipy.special import expit

from pyrodrop.results.statistics.counts import count_distribution, counted
from pyrodrop.results.statistics.shared_doubt import central_log_odds, shared_values
from pyrodrop.results.statistics.sizes import size_statistics


@pytest.mark.parametrize("shared_sd", [0.0, 0.4, 1.6, 3.0])
def test_the_mean_over_what_is_shared_is_the_presence(shared_sd: float) -> None:
    presence = np.array([0.001, 0.1, 0.5, 0.5, 0.93, 0.9999])
    a = central_log_odds(presence, shared_sd)
    u, weight, _ = shared_values(200)
    assert expit(a[:, None] + shared_sd * u) @ weight == pytest.approx(presence, rel=2e-3)


def test_what_is_certain_stays_certain() -> None:
    assert central_log_odds([0.0, 1.0, 0.5], 1.0).tolist() == [-np.inf, np.inf, pytest.approx(0.0, abs=1e-12)]
    certain = count_distribution([0.0, 1.0, 1.0], 2.0).as_dict()
    assert certain == {"mean": pytest.approx(2.0, abs=1e-12), "q05": 2, "q95": 2}


@pytest.mark.parametrize("n", [30, 100, 3_000])
def test_the_count_is_that_of_images_drawn_so(n: int) -> None:
    """Blocks, convolutions and normal distributions give what drawing images gives."""
    generator = np.random.default_rng(n)
    presence, shared_sd = generator.beta(2, 1, n), 1.3
    a = central_log_odds(presence, shared_sd)
    images = 20_000
    drawn = np.zeros(images, int)
    for k, u in enumerate(generator.standard_normal(images)):
        drawn[k] = (generator.random(n) < expit(a + shared_sd * u)).sum()
    count = count_distribution(presence, shared_sd)
    assert count.mean == pytest.approx(presence.sum(), rel=0.01)
    for level in (0.05, 0.5, 0.95):
        assert (drawn <= count.quantile(level)).mean() == pytest.approx(level, abs=0.02 + 1 / n)


def test_many_doubtful_things_are_most_likely_none() -> None:
    """A hundred bumps of a texture: ten droplets are expected, but there are none or dozens."""
    alone, together = (count_distribution([0.05] * 40, sd).quantile(0.5) for sd in (0.0, 2.0))
    assert (alone, together) == (2, 0)
    assert not counted([0.05] * 40, 2.0).any()


def test_many_clear_things_are_most_likely_all() -> None:
    alone, together = (count_distribution([0.9] * 60, sd) for sd in (0.0, 2.0))
    assert alone.quantile(0.5) < 55 < together.quantile(0.5)
    assert together.quantile(0.95) == 60
    assert together.quantile(0.05) < alone.quantile(0.05)


def test_very_many_droplets_have_no_gaps_between_their_numbers() -> None:
    """The mean goes further from one value of the doubt to the next than the number varies at either."""
    chances = count_distribution(np.full(20_000, 0.3), 2.0).probability
    likely = chances[100:-100]
    assert (likely > 0).all()
    assert np.abs(np.diff(np.log(likely))).max() < 0.02


def test_a_negative_deviation_is_refused() -> None:
    with pytest.raises(ValueError, match="shared_sd is -1"):
        count_distribution([0.5], -1.0)


def test_sizes_share_it_too() -> None:
    """Two kinds of droplets, the small ones doubtful together: the median diameter is that of either mixture."""
    generator = np.random.default_rng(0)
    diameters = np.concatenate([generator.normal(10, 0.1, 60), generator.normal(20, 0.1, 60)])[None]
    presence = np.repeat([0.5, 1.0], 60)
    alone, together = (size_statistics(diameters, presence, shared_sd=sd, seed=1) for sd in (0.0, 3.0))
    assert together["d_1_0"].q95 - together["d_1_0"].q05 > 1.5 * (alone["d_1_0"].q95 - alone["d_1_0"].q05)
    assert together.count.quantile(0.95) > alone.count.quantile(0.95)
