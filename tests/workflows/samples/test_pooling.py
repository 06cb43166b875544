"""Draws of what images say together, against quadrature, and what changes with units and images."""

import numpy as np
import pytest
from workflows.samples.posteriors_on_a_grid import quantiles_of_density, quantiles_of_typical

from pyrodrop.results.statistics.image_statistics import NUMBER, SIZES, ImageStatistics
from pyrodrop.workflows.samples.pooling import pool, pooled_numbers, pooled_sizes

LEVELS = np.array([0.05, 0.5, 0.95])
IMAGES = {
    "one": ([3.0], [0.02]),
    "two alike": ([3.0, 3.001], [0.02, 0.02]),
    "two unlike": ([3.0, 3.4], [0.02, 0.05]),
    "three": ([2.9, 3.0, 3.2], [0.02, 0.02, 0.3]),
    "six": ([2.9, 3.0, 3.2, 3.1, 3.05, 2.95], [0.02] * 6),
}


def width(quantiles: np.ndarray) -> float:
    return float(quantiles[2] - quantiles[0])


@pytest.mark.slow
def test_draws_of_sizes_are_of_the_posterior() -> None:
    """Samples of one to six images in one run."""
    most = max(len(logs) for logs, _ in IMAGES.values())
    logs = np.array([[*logs, *[np.nan] * (most - len(logs))] for logs, _ in IMAGES.values()])
    errors = np.array([[*errors, *[1e6] * (most - len(errors))] for _, errors in IMAGES.values()])
    drawn = np.log(np.quantile(pooled_sizes(logs, errors)[0], LEVELS, axis=0).T)
    for quantiles, (own, own_errors) in zip(drawn, IMAGES.values(), strict=True):
        expected = quantiles_of_typical(np.array(own), np.array(own_errors), LEVELS)
        assert quantiles == pytest.approx(expected, abs=0.06 * width(expected))


NUMBERS = [[90], [60, 105], [24, 24, 24], [0, 3, 1], [131, 70, 90, 65, 100, 110]]


@pytest.mark.slow
def test_draws_of_numbers_are_of_the_posterior() -> None:
    """Samples of one to six images in one run."""
    most = max(map(len, NUMBERS))
    area = [np.linspace(0.2, 0.3, len(numbers)) for numbers in NUMBERS]
    numbers = np.array([[*own, *[0] * (most - len(own))] for own in NUMBERS], float)
    areas = np.array([[*own, *[1e-10] * (most - len(own))] for own in area])
    drawn = np.log(np.quantile(pooled_numbers(numbers, areas, np.full(areas.shape, 0.03))[0], LEVELS, axis=0).T)
    for quantiles, own, own_area in zip(drawn, NUMBERS, area, strict=True):
        expected = quantiles_of_density(np.array(own, float), own_area, np.full(len(own), 0.03), LEVELS)
        assert quantiles == pytest.approx(np.log(expected), abs=0.08 * width(np.log(expected)))


def image(number: int = 50, log: float = 3.0, error: float = 0.03, area: float = 0.1) -> ImageStatistics:
    return ImageStatistics(number, 0.02, area, np.full(len(SIZES), log), np.full(len(SIZES), error))


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run too short for a result, and long enough for what is asked here."""
    from pyrodrop.workflows.samples import pooling

    monkeypatch.setitem(pooling._HOW, "num_warmup", 50)
    monkeypatch.setitem(pooling._HOW, "num_samples", 20)


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
def test_other_units_change_the_numbers_and_nothing_else() -> None:
    images = [image(40, 3.0), image(60, 3.1), image(52, 3.05)]
    scaled = [each._replace(area=1e3 * each.area, log_sizes=each.log_sizes + np.log(7)) for each in images]
    own, other = (pool({"a": given}, "um")["a"] for given in (images, scaled))
    assert other.values["d_3_2"] == pytest.approx(7 * own.values["d_3_2"], rel=1e-6)
    assert other.values[NUMBER] == pytest.approx(own.values[NUMBER] / 1e3, rel=1e-6)


@pytest.mark.usefixtures("brief")
def test_an_image_with_next_to_no_droplets_counts_for_the_number_alone() -> None:
    nothing = np.full(len(SIZES), np.nan)
    few = ImageStatistics(0, 0.0, 0.1, nothing, nothing)
    pooled = pool({"a": [image(), few], "b": [few], "c": [image()]}, "px")
    assert np.isfinite(pooled["a"].values["dn50"]).all()
    assert np.median(pooled["a"].values[NUMBER]) < 500 / 1.3
    assert set(pooled["b"].values) == {NUMBER}
    assert np.median(pooled["c"].values["dn50"]) == pytest.approx(np.exp(3), rel=0.05)


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
def test_the_same_seed_gives_the_same_numbers() -> None:
    first, again = (pool({"a": [image(), image()]}, "px", seed=3)["a"] for _ in range(2))
    assert (first.values["cv"] == again.values["cv"]).all()
    assert (first.values[NUMBER] == again.values[NUMBER]).all()
