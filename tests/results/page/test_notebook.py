"""What a notebook shows: numbers and circles, and nothing that runs or fetches."""

import base64
import re
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from pyrodrop.results.page.notebook import notebook_html
from pyrodrop.results.tables.droplet_table import droplet_table
from pyrodrop.workflows.fitting.fit import fit
from pyrodrop.workflows.measuring.measure import measure

EVIL = "<script>alert(1)</script><img src=http://outside.invalid>"


def table_of(x: list[float], y: list[float], radius: list[float]) -> pd.DataFrame:
    means = {"x_px": x, "y_px": y, "radius_px": radius, "amplitude": [0.5] * len(x)}
    return droplet_table({name: torch.tensor([values] * 2) for name, values in means.items()}, (100, 120), 0.1)


def picture_of(html: str) -> np.ndarray[Any, Any]:
    found = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)"', html)
    assert len(found) == 1
    return np.asarray(Image.open(BytesIO(base64.b64decode(found[0]))).convert("RGB")).astype(int)


def test_circles_lie_where_the_droplets_are() -> None:
    table = table_of([60.0], [30.0], [20.0])
    shown = picture_of(notebook_html("One", {}, np.full((100, 120), 0.5), table))
    rows, columns = np.nonzero(shown[..., 0] - shown[..., 2] > 60)
    assert shown.shape == (400, 480, 3)  # four times as large
    ends = np.array([columns.min(), columns.max(), rows.min(), rows.max()])
    np.testing.assert_allclose((ends + 0.5) / 4 - 0.5, [40, 80, 10, 50], atol=0.5)


def test_every_row_of_the_table_has_a_circle() -> None:
    table = table_of([60.0], [30.0], [20.0]).assign(presence=0.3)
    shown = picture_of(notebook_html("One", {}, np.full((100, 120), 0.5), table))
    assert np.ptp(shown, axis=-1).max() > 60
    nothing = picture_of(notebook_html("None", {}, np.full((100, 120), 0.5), table.iloc[:0]))
    assert np.ptp(nothing, axis=-1).max() < 30


def test_a_large_image_is_small_in_the_notebook() -> None:
    shown = picture_of(notebook_html("Large", {}, np.zeros((700, 2_000)), table_of([1.0], [1.0], [1.0])))
    assert shown.shape == (168, 480, 3)


def test_all_of_it_is_text() -> None:
    table = table_of([1.0], [1.0], [1.0]).assign(flags=EVIL)
    html = notebook_html(EVIL, {EVIL: EVIL, "list": [EVIL]}, np.zeros((9, 9)), table, (EVIL,))
    assert "<script" not in html
    assert html.count("<img") == 1
    assert html.count("alert(1)") == 6


@pytest.mark.parametrize("n", [0, 3, 9])
def test_the_first_rows_and_how_many_there_are(n: int) -> None:
    table = table_of([5.0] * n, [5.0] * n, [2.0] * n)
    html = notebook_html("Some", {"noise": 0.25}, np.zeros((20, 20)), table)
    assert html.count("<tr") == 1 + min(n, 5)
    assert f"{min(n, 5)} of {n} droplets" in html
    assert "noise <b>0.25</b>" in html


def test_a_fit_shows_itself() -> None:
    channel = torch.rand(30, 40, generator=torch.Generator().manual_seed(0))
    fitted = fit(channel, 2, steps=3, start="uniform", progress=False, device="cpu")
    html = fitted._repr_html_()
    assert "Fit of 2 droplets" in html
    assert "40 × 30 px" in html
    assert picture_of(html).shape == (360, 480, 3)


def test_a_measurement_shows_its_numbers_with_intervals_and_units() -> None:
    y, x = np.mgrid[:40, :50]
    noise = 0.01 * np.random.default_rng(0).standard_normal((40, 50))
    made = measure(np.exp(-((x - 25) ** 2 + (y - 20) ** 2) / 50) + noise, profile="gaussian", pixel_size_um=0.5)
    html = made._repr_html_()
    assert "50 × 40 px" in html
    assert "droplets <b>1" in html
    assert re.search(r"median diameter <b>[0-9.]+ µm", html)
