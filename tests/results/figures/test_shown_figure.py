"""A figure of the package shows itself to a notebook."""

from io import BytesIO

from PIL import Image

from pyrodrop.results.figures.fit_figures import figure
from pyrodrop.results.figures.shown_figure import ShownFigure


def test_a_figure_is_a_png_to_a_notebook_of_the_size_that_it_has() -> None:
    drawn, axes = figure(1, 2, panel=(2.0, 1.5))
    axes[0].plot([0.0, 1.0])
    assert isinstance(drawn, ShownFigure)
    with Image.open(BytesIO(drawn._repr_png_())) as shown:
        assert (shown.format, shown.size) == ("PNG", (600, 225))
