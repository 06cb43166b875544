"""Figures made from the table alone."""

from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pyrodrop.results.figures.table_figures import size_figure


@pytest.fixture
def table() -> pd.DataFrame:
    radius = np.random.default_rng(0).uniform(3, 6, 40)
    return pd.DataFrame({"radius_px": radius, "radius_px_sd": 0.1, "presence": 0.9})


def ink(png: bytes) -> int:
    """How many pixels are not white."""
    return int((np.asarray(Image.open(BytesIO(png)).convert("L")) < 250).sum())


def test_it_draws_something_and_the_same_twice(table: pd.DataFrame) -> None:
    drawn, again = size_figure(table, 0.5), size_figure(table, 0.5)
    assert drawn is not None
    assert drawn == again
    assert ink(drawn) > 5_000


def test_without_droplets_or_their_uncertainty_there_is_no_band_to_draw(table: pd.DataFrame) -> None:
    assert size_figure(table[:0], None) is None
    assert size_figure(table.drop(columns="radius_px_sd"), None) is None
    assert size_figure(table.assign(radius_px=np.nan), None) is None


def test_a_diameter_as_unsure_as_it_is_large_is_drawn_all_the_same(table: pd.DataFrame) -> None:
    assert size_figure(table.assign(radius_px_sd=table["radius_px"]), None) is not None
