"""Figures show the numbers they were given: what the artists hold is looked at."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection
from matplotlib.colors import to_rgba

from pyrodrop.results.figures import fit_figures as plots

X, Y, R = np.array([3.0, 10.5, 0.0]), np.array([4.0, 1.0, 7.25]), np.array([1.0, 2.5, 0.25])


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def one() -> Axes:
    return plots.figure()[1][0]


def circles_of(ax: Axes) -> list[tuple[float, float, float]]:
    """Centre and radius of each circle, as it is drawn."""
    (collection,) = (artist for artist in ax.collections if isinstance(artist, EllipseCollection))
    np.testing.assert_array_equal(collection.get_widths(), collection.get_heights())
    centres = collection.get_offsets().tolist()
    return [(x, y, across / 2) for (x, y), across in zip(centres, collection.get_widths(), strict=True)]


def colour_bars(ax: Axes) -> list[Axes]:
    return [other for other in ax.figure.axes if other.get_label() == "<colorbar>"]


def test_a_figure_has_its_panels_row_by_row() -> None:
    figure, axes = plots.figure(2, 3, panel=(4.0, 2.0))
    assert len(axes) == 6
    assert figure.get_size_inches().tolist() == [12.0, 4.0]
    places = [(ax.get_subplotspec().rowspan.start, ax.get_subplotspec().colspan.start) for ax in axes]
    assert places == [(row, column) for row in range(2) for column in range(3)]


def test_an_image_panel_shows_the_image_its_title_and_a_colour_bar() -> None:
    ax, image = one(), torch.arange(12.0).reshape(3, 4).requires_grad_()
    shown = plots.image_panel(ax, image, "what it is", cmap="viridis")
    np.testing.assert_array_equal(shown.get_array(), image.detach().numpy())
    assert ax.get_title() == "what it is"
    assert shown.get_cmap().name == "viridis"
    (bar,) = colour_bars(ax)
    assert shown.colorbar.ax is bar
    assert (shown.colorbar.vmin, shown.colorbar.vmax) == (0, 11)


@pytest.mark.parametrize(("image", "wanted"), [(noise(3, 4, 3), True), (noise(3, 4), False)])
def test_a_photograph_has_no_colour_bar_nor_has_who_wants_none(image: torch.Tensor, wanted: bool) -> None:
    ax = one()
    shown = plots.image_panel(ax, image, "", colour_bar=wanted)
    np.testing.assert_array_equal(shown.get_array(), image.numpy())
    assert colour_bars(ax) == []


def test_channels_are_panels_in_their_order() -> None:
    named = {name: torch.full((2, 3), float(k)) for k, name in enumerate(("hue", "saturation", "value"))}
    _, axes = plots.figure(3, 1)
    assert plots.channels(axes, named) is axes
    assert [ax.get_title() for ax in axes] == ["hue channel", "saturation channel", "value channel"]
    assert [ax.images[0].get_array().mean() for ax in axes] == [0, 1, 2]
    assert len(colour_bars(axes[0])) == 3
    with pytest.raises(ValueError, match="zip"):
        plots.channels(axes[:2], named)


def test_circles_lie_where_the_droplets_are() -> None:
    ax = one()
    assert plots.circles(ax, torch.tensor(X), torch.tensor(Y), torch.tensor(R), (8, 12), "red") is ax
    np.testing.assert_allclose(circles_of(ax), np.stack([X, Y, R], 1), atol=1e-6)
    assert ax.get_xlim() == (-0.5, 11.5)  # the outer edges of the outermost pixels
    assert ax.get_ylim() == (7.5, -0.5)  # y runs down
    assert ax.get_aspect() == 1
    (collection,) = ax.collections
    np.testing.assert_allclose(collection.get_facecolor(), [to_rgba("red")])


def test_circles_may_have_colours_of_their_own() -> None:
    ax, colours = one(), np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    plots.circles(ax, X, Y, R, (8, 12), colours)
    np.testing.assert_allclose(ax.collections[0].get_facecolor()[:, :3], colours)


def test_open_circles_have_an_edge_and_nothing_inside() -> None:
    ax = one()
    plots.circles(ax, X, Y, R, (8, 12), "red", filled=False, linewidth=0.6)
    (collection,) = ax.collections
    assert len(collection.get_facecolor()) == 0
    np.testing.assert_allclose(collection.get_edgecolor(), [to_rgba("red")])
    assert collection.get_linewidth() == [0.6]


def test_no_droplets_are_no_circles() -> None:
    ax = plots.circles(one(), [], [], [], (8, 12), "red")
    assert circles_of(ax) == []
    assert ax.get_xlim() == (-0.5, 11.5)


def test_rendered_draws_are_shown_inverted() -> None:
    val = noise(5, 3, 4)
    _, axes = plots.figure(3, 1)
    assert plots.rendered_draws(axes, val) is axes
    for k, ax in enumerate(axes):
        np.testing.assert_array_equal(ax.images[0].get_array(), (1 - val[k]).numpy())
        assert ax.get_title() == f"1 - val, draw {k + 1}"
    assert len(colour_bars(axes[0])) == 3


def test_prediction_shows_what_was_fitted_what_was_left_and_what_was_there() -> None:
    val, diff, channel = noise(3, 4), noise(3, 4, seed=1) - 0.5, noise(3, 4, seed=2)
    _, axes = plots.figure(3, 1)
    assert plots.prediction(axes, val, diff, channel) is axes
    assert [ax.get_title() for ax in axes] == ["Prediction", "Difference, absolute", "Ground truth: the image"]
    both = torch.stack([val, channel])
    for ax in (axes[0], axes[2]):
        assert ax.images[0].get_clim() == (both.min().item(), both.max().item())
    for ax, image in zip(axes, (val, diff.abs(), channel), strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), image.numpy())
    assert len(colour_bars(axes[0])) == 3


def test_amplitudes_are_counted_over_all_draws() -> None:
    amplitude = torch.rand(5, 40, generator=torch.Generator().manual_seed(0))
    ax = one()
    assert plots.amplitudes(ax, amplitude, bins=10) is ax
    heights = [bar.get_height() for bar in ax.patches]
    counts, edges = np.histogram(amplitude.flatten().numpy(), bins=10)
    assert heights == counts.tolist()
    assert sum(heights) == 200
    np.testing.assert_allclose([bar.get_x() for bar in ax.patches], edges[:-1], rtol=1e-6)
    assert "amplitude" in ax.get_xlabel()


def test_a_loss_has_its_curve_and_its_running_mean() -> None:
    losses = 3e6 - 1e3 * torch.arange(1000, dtype=torch.float64)
    ax = one()
    assert plots.loss(ax, losses) is ax
    curve, mean = ax.lines
    np.testing.assert_array_equal(curve.get_xdata(), np.arange(1, 1001))
    np.testing.assert_allclose(curve.get_ydata(), losses.numpy() / 1e6)
    assert ax.get_ylabel() == "loss, millions"
    assert mean.get_label() == "mean of 10"
    # The mean of a straight line over a window lies on the line, in the middle of the window.
    np.testing.assert_allclose(mean.get_xdata()[:2], [5.5, 15.5])
    np.testing.assert_allclose(mean.get_ydata(), 3 - 1e-3 * (mean.get_xdata() - 1))
    low, high = ax.get_ylim()
    assert low < mean.get_ydata().min()
    assert high > np.quantile(mean.get_ydata(), 0.95)


def test_a_loss_of_few_iterations_is_one_curve() -> None:
    ax = plots.loss(one(), torch.tensor([-4e5, -4e5]))
    (curve,) = ax.lines
    assert curve.get_xdata().tolist() == [1, 2]
    low, high = ax.get_ylim()
    assert high - low > 1  # or no label fits onto the axis


def test_nothing_of_an_image_is_cut_off() -> None:
    figure, axes = plots.figure(3, 1, panel=(5.0, 3.5))
    for ax in axes:
        plots.image_panel(ax, noise(300, 400), "image")
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    for ax in axes:
        box = ax.get_tightbbox(renderer)
        assert box is not None
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1


@pytest.mark.parametrize("losses", [torch.tensor([5.0]), torch.tensor([-3.0, -4.0]), torch.full((150,), 2.0)])
def test_a_short_or_level_loss_can_be_drawn(losses: torch.Tensor) -> None:
    ax = plots.loss(one(), losses)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), losses.numpy())
    assert ax.get_ylabel() == "loss"
    low, high = ax.get_ylim()
    assert low < high
    ax.figure.canvas.draw()


def test_an_overlay_is_the_image_with_a_circle_around_each_droplet() -> None:
    ax, image = one(), noise(8, 12, 3)
    table = pd.DataFrame({"x_px": X, "y_px": Y, "radius_px": R})
    assert plots.overlay(ax, image, table) is ax
    np.testing.assert_array_equal(ax.images[0].get_array(), image.numpy())
    np.testing.assert_allclose(circles_of(ax), np.stack([X, Y, R], 1), atol=1e-6)
    assert ax.get_title() == "3 droplets"
    assert colour_bars(ax) == []


def test_figures_are_not_pyplots_and_change_none_of_its_settings() -> None:
    before = {name: str(mpl.rcParams._get(name)) for name in mpl.rcParams}
    figure, axes = plots.figure()
    plots.overlay(axes[0], noise(8, 12), pd.DataFrame({"x_px": X, "y_px": Y, "radius_px": R}))
    figure.canvas.draw()
    assert {name: str(mpl.rcParams._get(name)) for name in mpl.rcParams} == before
