"""The image at full resolution: whole pixels, and a scale bar as long as it says."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from pyrodrop.results.figures.scaled_overlay import bar_length, scaled_overlay

TABLE = pd.DataFrame({"x_px": [10.0], "y_px": [8.0], "radius_px": [4.0]})


def drawn(figure: Figure) -> Image.Image:
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return Image.open(stream)


@pytest.mark.parametrize(("size", "side"), [((30, 40), 1200), ((1300, 700), 1300), ((37, 1), 1221)])
def test_each_pixel_of_the_image_is_a_square_of_whole_ones(size: tuple[int, int], side: int) -> None:
    picture = drawn(scaled_overlay(np.zeros(size, np.float32), TABLE, None))
    assert max(picture.size) == side
    assert picture.size[0] * size[0] == picture.size[1] * size[1]


def test_the_pixels_are_those_of_the_image() -> None:
    image = np.random.default_rng(0).integers(0, 2, (30, 40)).astype(np.float32)
    picture = np.asarray(drawn(scaled_overlay(image, TABLE.head(0), None)).convert("L"))
    assert ((picture[15::30, 15::30] > 127) == (image > 0.5)).all()


def test_the_scale_bar_is_as_long_as_it_says() -> None:
    figure = scaled_overlay(np.zeros((100, 200), np.float32), TABLE, 0.25)
    (ax,) = figure.axes
    (bar,) = (patch for patch in ax.patches if isinstance(patch, Rectangle))
    (text,) = ax.texts
    assert text.get_text() == "10 µm"
    assert bar.get_width() == pytest.approx(10 / 0.25)
    assert not scaled_overlay(np.zeros((100, 200), np.float32), TABLE, None).axes[0].texts


@given(st.floats(1e-3, 1e6))
def test_a_bar_is_a_round_length_of_a_tenth_to_a_quarter_of_the_width(width_um: float) -> None:
    length = bar_length(width_um)
    assert 0.1 * width_um * (1 - 1e-6) <= length <= 0.25 * width_um * (1 + 1e-6)
    digit = length / 10 ** np.floor(np.log10(length * (1 + 1e-9)))
    assert min(abs(digit - round_) for round_ in (1, 2, 5)) < 1e-6
