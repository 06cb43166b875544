"""Figures of sizes, counts and checks show the numbers they were given: what the artists hold is looked at."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import StepPatch

from pyrodrop.results.checks.calibration import check_ranks, rank_histogram
from pyrodrop.results.checks.residuals import image_fit
from pyrodrop.results.figures import check_figures as check_plots
from pyrodrop.results.figures import fit_figures as plots
from pyrodrop.results.figures import size_figures as size_plots
from pyrodrop.results.statistics.counts import count_distribution
from pyrodrop.results.statistics.histogram import size_histogram
from pyrodrop.results.statistics.sizes import size_statistics

DIAMETERS = np.exp(np.random.default_rng(0).normal(2.5, 0.3, (5, 80)))
CURVE = pd.DataFrame(
    {
        "radius_px": [3.0, 1.0, 1.0, 3.0],
        "contrast": [0.1, 0.1, 0.2, 0.2],
        "probability": [0.5, 0.1, 0.6, 1.0],
        "q05": [0.3, 0.0, 0.4, 0.9],
        "q95": [0.7, 0.3, 0.8, 1.0],
        "radius_bias": [0.1, np.nan, 0.05, 0.0],
        "radius_bias_se": [np.nan, np.nan, 0.01, 0.01],
    }
)


def one() -> Axes:
    return plots.figure()[1][0]


def labels(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def steps(ax: Axes) -> list[StepPatch]:
    return [patch for patch in ax.patches if isinstance(patch, StepPatch)]


@pytest.mark.parametrize("logarithmic", [False, True])
def test_the_histogram_shows_shares_bands_and_medians(logarithmic: bool) -> None:
    sizes = size_histogram(DIAMETERS, pixel_size_um=0.5, logarithmic=logarithmic, replicates=50)
    statistics = size_statistics(DIAMETERS, pixel_size_um=0.5, replicates=100)
    ax = size_plots.histogram(one(), sizes, statistics)
    named = {step.get_label(): step.get_data() for step in steps(ax)}
    np.testing.assert_array_equal(named["droplets"].values, sizes.share)
    np.testing.assert_array_equal(named["90 % band"].values, sizes.q95)
    np.testing.assert_array_equal(named["90 % band"].baseline, sizes.q05)
    for number, name in enumerate(("dn50", "dv50")):
        interval, median = ax.lines[2 * number : 2 * number + 2]
        assert list(interval.get_xdata()) == [statistics[name].q05, statistics[name].mean, statistics[name].q95]
        assert list(median.get_xdata()) == [statistics[name].mean]
        assert name in str(median.get_label())
    assert ax.get_xlabel() == "diameter / µm"
    assert ax.get_xscale() == ("log" if logarithmic else "linear")


def test_a_histogram_of_nothing_can_be_drawn() -> None:
    nothing = np.empty((2, 0))
    ax = size_plots.histogram(one(), size_histogram(nothing, replicates=20), size_statistics(nothing, replicates=20))
    assert ax.get_title() == "0 droplets"
    assert not ax.lines


def test_the_count_has_its_interval_in_colour() -> None:
    counted = count_distribution(np.full(40, 0.5))
    ax = size_plots.count(one(), counted)
    inside, _ = ax.containers
    numbers = [round(bar.get_x() + bar.get_width() / 2) for bar in inside]
    assert numbers == list(range(counted.quantile(0.05), counted.quantile(0.95) + 1))
    np.testing.assert_allclose([bar.get_height() for bar in inside], counted.probability[numbers])
    assert "90 %: 15 to 25" in labels(ax)


def test_a_count_of_thousands_has_bars_of_several_numbers_and_the_same_probability() -> None:
    counted = count_distribution(np.random.default_rng(2).uniform(0.2, 0.8, 5_000), 1.0)
    ax = size_plots.count(one(), counted)
    bars = sorted((bar.get_x(), bar.get_width(), bar.get_height()) for bar in ax.patches)
    left, width, height = np.array(bars).T
    assert 60 < len(bars) <= 120
    assert np.allclose(left[:-1] + width[:-1], left[1:])
    assert (width * height).sum() == pytest.approx(1, abs=2e-3)


def test_a_certain_count_is_one_bar() -> None:
    ax = size_plots.count(one(), count_distribution([1, 1]))
    assert [bar.get_height() for bar in ax.containers[0]] == [1.0]


def test_the_residual_map_says_whether_the_model_fits() -> None:
    residual = 3 * np.random.default_rng(0).standard_normal((20, 30))
    ax = check_plots.residuals(one(), residual, image_fit(residual, 0))
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array(), residual)
    assert image.get_clim() == (-5, 5)
    assert "does not fit" in ax.get_title()


def test_ranks_are_shown_as_counted() -> None:
    generator = np.random.default_rng(0)
    check = check_ranks(generator.random(100), generator.random((100, 19)))
    ax = check_plots.ranks(one(), check, "radius")
    np.testing.assert_array_equal(steps(ax)[1].get_data().values, rank_histogram(check.ranks, 19)[0])
    assert "radius" in ax.get_xlabel()
    ax = check_plots.rank_difference(one(), check, "radius")
    x, y = ax.lines[0].get_data()
    cumulative = np.array([(check.ranks < round(place * 20)).mean() for place in x[1:-1]])
    np.testing.assert_allclose(y[1:-1], cumulative - x[1:-1])


def test_a_detection_curve_has_a_line_for_each_contrast() -> None:
    ax = check_plots.detection(one(), CURVE)
    assert labels(ax) == ["0.1", "0.2"]
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[1.0, 0.1], [3.0, 0.5]])
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), [[1.0, 0.6], [3.0, 1.0]])
    biased = check_plots.radius_bias(one(), CURVE)
    np.testing.assert_array_equal(biased.lines[0].get_ydata(), [0.1])
    np.testing.assert_array_equal(biased.containers[1][0].get_ydata(), [0.05, 0.0])


def test_the_axis_says_where_a_diameter_ends() -> None:
    sizes = size_histogram(np.full((3, 4), 8.0), replicates=20)
    for ends, label in (("at half height", "diameter at half height / px"), ("", "diameter / px")):
        _, axes = plots.figure()
        size_plots.histogram(axes[0], sizes, ends=ends)
        assert axes[0].get_xlabel() == label
