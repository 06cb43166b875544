"""Size statistics: closed forms, what the intervals hold, and what is said where they cannot hold it."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm

from pyrodrop.results.statistics.counts import counted
from pyrodrop.results.statistics.sizes import STATISTICS, Sizes, size_statistics

Array = NDArray[np.float64]
LENGTHS = [name for name in STATISTICS if name not in ("span", "cv")]


def log_normal(mu: float, sigma: float) -> dict[str, float]:
    """The statistics of a log-normal population: by volume it is log-normal too, about mu + 3 sigma^2."""
    z = norm.ppf([0.1, 0.5, 0.9])
    by_number, by_volume = np.exp(mu + sigma * z), np.exp(mu + 3 * sigma**2 + sigma * z)
    means = [np.exp(mu + factor * sigma**2) for factor in (0.5, 2.5, 3.5)]
    spread = [(by_volume[2] - by_volume[0]) / by_volume[1], np.sqrt(np.exp(sigma**2) - 1)]
    return dict(zip(STATISTICS, [*by_number, *by_volume, *means, *spread], strict=True))


def seen(mu: float, sigma: float, n: int, seed: int, error: float = 0.03) -> Array:
    """Posterior draws (100, n) of a sample of the population, each diameter known to a relative error."""
    generator = np.random.default_rng(seed)
    diameters = np.exp(mu + sigma * generator.standard_normal(n))
    measured = diameters * (1 + error * generator.standard_normal(n))
    return measured * (1 + error * generator.standard_normal((100, n)))


def coverage(sigma: float, n: int, trials: int) -> tuple[dict[str, float], list[Sizes]]:
    truth = log_normal(2.5, sigma)
    results = [size_statistics(seen(2.5, sigma, n, seed), replicates=300, seed=seed) for seed in range(trials)]
    held = {
        name: np.mean([result[name].q05 <= truth[name] <= result[name].q95 for result in results]) for name in truth
    }
    return {name: float(share) for name, share in held.items()}, results


def test_nine_of_ten_intervals_hold_the_population() -> None:
    """Of 200 trials at 0.9, four standard deviations are 0.085."""
    held, results = coverage(0.2, 150, 200)
    assert {name: share for name, share in held.items() if not 0.815 <= share <= 0.985} == {}
    assert np.mean([len(result.warnings) > 0 for result in results]) < 0.05


def test_where_the_volume_hangs_on_few_droplets_a_warning_comes_with_the_narrow_intervals() -> None:
    """A sample says nothing about droplets larger than its largest: this is the limit, and it is told."""
    held, results = coverage(0.6, 100, 60)
    assert held["dv90"] < 0.5
    assert min(held["dn10"], held["dn50"], held["dn90"], held["d_1_0"]) > 0.75
    assert all(any("larger ones not seen" in warning for warning in result.warnings) for result in results)


def test_known_diameters_give_the_moments_of_the_formulas() -> None:
    """The mean over replicates is that of the droplets themselves, here to the error of 20,000 replicates."""
    d = np.exp(np.random.default_rng(1).normal(2, 0.3, 400))
    result = size_statistics(d[None], replicates=20_000)
    moments = {p: (d**p).mean() for p in range(5)}
    assert result["d_1_0"].mean == pytest.approx(moments[1], rel=1e-3)
    assert result["d_3_2"].mean == pytest.approx(moments[3] / moments[2], rel=5e-3)
    assert result["d_4_3"].mean == pytest.approx(moments[4] / moments[3], rel=5e-3)
    assert result["cv"].mean == pytest.approx(d.std(ddof=1) / d.mean(), rel=5e-3)
    assert result["dn50"].mean == pytest.approx(np.median(d), rel=5e-3)
    # Half of the volume is in the droplets up to dv50.
    assert (d[d <= result["dv50"].mean] ** 3).sum() / (d**3).sum() == pytest.approx(0.5, abs=0.01)


def test_the_mean_diameter_varies_as_the_mean_of_a_sample_does() -> None:
    d = np.random.default_rng(2).uniform(5, 15, 12)
    result = size_statistics(d[None], replicates=40_000)
    standard_error = d.std(ddof=1) / np.sqrt(len(d))
    # A 90 % interval of a normal is 3.29 standard errors wide.
    assert result["d_1_0"].q95 - result["d_1_0"].q05 == pytest.approx(3.29 * standard_error, rel=0.05)


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 30), st.integers(0, 9999), st.floats(0.1, 100))
def test_order_and_units(n: int, seed: int, pixel: float) -> None:
    generator = np.random.default_rng(seed)
    d = np.exp(generator.normal(2, 0.5, (5, n)))
    presence = generator.uniform(0.8, 1, n)  # of fewer, three droplets may determine no interval
    pixels = size_statistics(d, presence, replicates=50, seed=seed)
    microns = size_statistics(d, presence, pixel_size_um=pixel, replicates=50, seed=seed)
    assert (pixels.unit, microns.unit) == ("px", "um")
    for name in STATISTICS:
        factor = pixel if name in LENGTHS else 1.0
        np.testing.assert_allclose(microns[name], np.array(pixels[name]) * factor, rtol=1e-9)
        assert pixels[name].q05 <= pixels[name].q95
    mean = {name: estimate.mean for name, estimate in pixels.statistics.items()}
    assert mean["dn10"] <= mean["dn50"] <= mean["dn90"]
    assert mean["dv10"] <= mean["dv50"] <= mean["dv90"]
    assert mean["d_1_0"] <= mean["d_3_2"] <= mean["d_4_3"]
    assert all(mean[f"dn{level}"] <= mean[f"dv{level}"] + 1e-9 for level in (10, 50, 90))
    assert all(d.min() - 1e-9 <= mean[name] <= d.max() + 1e-9 for name in LENGTHS)


def test_what_is_not_there_does_not_count() -> None:
    d = np.array([[5.0, 7.0, 6.0, 900.0, 0.01]])
    with_ghosts = size_statistics(d, [1, 1, 1, 0, 0], replicates=4000)
    without = size_statistics(d[:, :3], replicates=4000, seed=1)
    for name in STATISTICS:
        assert with_ghosts[name].mean == pytest.approx(without[name].mean, rel=0.05)
    assert with_ghosts.count.mean == 3


def test_doubt_widens_intervals() -> None:
    generator = np.random.default_rng(0)
    d = np.exp(generator.normal(2, 0.2, 100))
    sure = size_statistics(d[None])
    unsure = size_statistics(d * (1 + 0.5 * generator.uniform(-1, 1, (200, 1))))  # as if the scale were not known
    few = size_statistics(d[None], np.full(100, 0.3))
    for name in ("d_1_0", "dn50", "dv50"):
        width = sure[name].q95 - sure[name].q05
        assert unsure[name].q95 - unsure[name].q05 > 2 * width
        assert few[name].q95 - few[name].q05 > 1.3 * width


def test_no_droplets_leave_nothing_determined() -> None:
    for result in (size_statistics(np.empty((3, 0))), size_statistics(np.ones((3, 2)), [0, 0])):
        assert all(np.isnan(result[name]).all() for name in STATISTICS)
        assert result.count.as_dict() == {"mean": 0, "q05": 0, "q95": 0}
        assert all(value is None for parts in result.as_dict().values() for value in parts.values())


def test_one_droplet_has_a_size_but_no_spread_and_no_interval() -> None:
    result = size_statistics(np.full((4, 1), 7.0))
    for name in LENGTHS:
        assert result[name].mean == pytest.approx(7)
        assert np.isnan([result[name].q05, result[name].q95]).all()
    assert np.isnan(result["span"]).all()
    assert np.isnan(result["cv"]).all()
    assert "(1.0)" in result.warnings[0]


def test_two_droplets_have_intervals_between_them() -> None:
    result = size_statistics(np.array([[4.0, 8.0]]))
    for name in LENGTHS:
        assert 4 - 1e-9 <= result[name].q05 <= result[name].mean <= result[name].q95 <= 8 + 1e-9
    assert result["cv"].mean > 0


def test_json_can_hold_it() -> None:
    result = size_statistics(np.full((2, 1), 3.0)).as_dict()
    assert json.loads(json.dumps(result, allow_nan=False))["dn50"] == {
        "mean": pytest.approx(3),
        "q05": None,
        "q95": None,
    }


def test_leaving_out_what_the_border_cuts_is_made_good() -> None:
    """Large droplets are cut more often: without weights the mean comes out too small, with them it does not."""
    generator = np.random.default_rng(3)
    height, width, n = 100.0, 150.0, 20_000
    d = generator.choice([10.0, 60.0], n)
    x, y = generator.uniform(0, width, n), generator.uniform(0, height, n)
    cut = (np.minimum(x, width - x) < d / 2) | (np.minimum(y, height - y) < d / 2)
    kept = size_statistics(d[None, ~cut], replicates=100)["d_1_0"]
    corrected = size_statistics(d[None], cut=cut, size=(100, 150), replicates=100)
    assert kept.q95 < 30 < 35
    assert corrected["d_1_0"].q05 < 35 < corrected["d_1_0"].q95
    assert corrected.count.mean == n
    assert "Miles" in corrected.edge
    assert size_statistics(d[None, :100], replicates=10).edge == "all droplets count alike"


def test_a_droplet_as_large_as_the_image_has_a_finite_weight() -> None:
    result = size_statistics(np.array([[10.0, 120.0]]), cut=[False, False], size=(100, 100), replicates=50)
    assert np.isfinite(result["d_1_0"]).all()


def test_the_same_seed_gives_the_same_numbers() -> None:
    d = seen(2, 0.3, 20, 0)
    assert size_statistics(d, seed=5).statistics == size_statistics(d, seed=5).statistics
    assert size_statistics(d, seed=5).statistics != size_statistics(d, seed=6).statistics


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"diameters_px": [1.0, 2.0]}, "draws of shape"),
        ({"diameters_px": [[1.0, 0.0]]}, "not positive"),
        ({"diameters_px": [[1.0, np.nan]]}, "not positive"),
        ({"diameters_px": [[1.0]], "presence": [0.5, 0.5]}, "presence has 2 entries for 1"),
        ({"diameters_px": [[1.0]], "presence": [2.0]}, "within"),
        ({"diameters_px": [[1.0]], "cut": [False]}, "without size"),
        ({"diameters_px": [[1.0]], "cut": [False, True], "size": (9, 9)}, "cut has shape"),
        ({"diameters_px": [[1.0]], "pixel_size_um": 0.0}, "pixel_size_um is 0"),
        ({"diameters_px": [[1.0]], "replicates": 0}, "replicates is 0"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        size_statistics(**arguments)


def test_the_mean_that_is_told_is_that_of_the_counted_droplets() -> None:
    """And their own, whatever else may be there, which only widens the interval."""
    generator = np.random.default_rng(5)
    diameters, presence = generator.lognormal(2.0, 0.2, (50, 20)), np.r_[np.ones(15), np.full(5, 0.3)]
    chosen = counted(presence)
    sizes = size_statistics(diameters, presence, counted=chosen)
    assert sizes["d_1_0"].mean == pytest.approx(diameters[:, chosen].mean(), rel=1e-12)
    assert sizes["d_1_0"].q05 == size_statistics(diameters, presence)["d_1_0"].q05
    known = size_statistics(diameters[:1], presence, counted=chosen)
    assert known["dn50"].mean == pytest.approx(np.median(diameters[0, chosen]), rel=0.02)
    with pytest.raises(ValueError, match="counted has shape"):
        size_statistics(diameters, presence, counted=[True])


def test_a_number_of_droplets_that_is_below_twenty_is_not_told_as_twenty() -> None:
    warnings = size_statistics(np.full((4, 20), 5.0), np.full(20, 0.999), replicates=50).warnings
    assert warnings[0].startswith("fewer than 20 droplets are expected (19.9)")
