"""Label images: every pixel belongs to the droplet that a slow look at all of them says."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrodrop.results.exports.label_image import label_bands, label_mask, write_labels


def slow_labels(table: pd.DataFrame, size: tuple[int, int]) -> np.ndarray:
    """Pixel by pixel: the droplet of least distance over radius, if that is at most one."""
    labels = np.zeros(size, int)
    for row, column in np.ndindex(*size):
        near = np.hypot(table["x_px"] - column, table["y_px"] - row) / table["radius_px"]
        if len(near) and near.min() <= 1:
            labels[row, column] = table["id"].iloc[int(near.argmin())] + 1
    return labels


# Eighths are exact in floating point, so that a pixel on a rim is on it for both.
eighths = st.integers(-40, 160).map(lambda number: number / 8)


@pytest.mark.slow
@given(st.lists(st.tuples(eighths, eighths, st.integers(1, 60).map(lambda number: number / 8)), max_size=8))
@settings(max_examples=60, deadline=None)
def test_it_is_the_slow_look(droplets: list[tuple[float, float, float]]) -> None:
    table = pd.DataFrame(droplets, columns=["x_px", "y_px", "radius_px"]).assign(id=range(len(droplets)))
    expected = slow_labels(table, (14, 17))
    np.testing.assert_array_equal(label_mask(table, (14, 17)), expected)
    for rows in (1, 5, 14):
        np.testing.assert_array_equal(np.concatenate(list(label_bands(table, (14, 17), rows=rows))), expected)


def droplets(ids: list[int], presence: float = 1.0) -> pd.DataFrame:
    n = len(ids)
    return pd.DataFrame({"id": ids, "x_px": range(n), "y_px": 0, "radius_px": 0.4, "presence": presence})


def test_labels_are_ids_and_one() -> None:
    assert label_mask(droplets([0, 5, 3]), (2, 4)).tolist() == [[1, 6, 4, 0], [0, 0, 0, 0]]
    assert label_mask(droplets([0, 5, 3], presence=0.4), (2, 4)).any()
    assert not label_mask(droplets([0, 5, 3], presence=0.4), (2, 4), least_presence=0.5).any()


@pytest.mark.parametrize(("largest", "kind"), [(65_534, np.uint16), (65_535, np.uint32)])
def test_a_label_always_fits(largest: int, kind: type, tmp_path: Path) -> None:
    labels = label_mask(droplets([largest]), (3, 4))
    assert labels.dtype == kind
    assert labels.max() == largest + 1
    write_labels(droplets([largest]), (3, 4), tmp_path / "labels.tif", 0.25)
    with tifffile.TiffFile(tmp_path / "labels.tif") as file:
        np.testing.assert_array_equal(file.asarray(), labels)
        top, bottom = file.pages.first.tags["XResolution"].value
        unit = file.pages.first.tags["ResolutionUnit"].value.name
        pixel_um = bottom / top * (1e4 if unit == "CENTIMETER" else 1)
        assert pixel_um == pytest.approx(0.25, rel=1e-6)
        if kind is np.uint16:
            assert file.is_imagej
            assert (file.imagej_metadata or {})["unit"] == "um"


def test_it_is_written_band_by_band(tmp_path: Path) -> None:
    """More than one band of rows, the last one shorter, and droplets across their seams."""
    generator = np.random.default_rng(0)
    table = pd.DataFrame(generator.uniform(0, 600, (60, 2)), columns=["x_px", "y_px"])
    table = table.assign(id=range(60), radius_px=generator.uniform(3, 90, 60))
    write_labels(table, (600, 310), tmp_path / "labels.tif")
    with tifffile.TiffFile(tmp_path / "labels.tif") as file:
        assert len(file.pages.first.dataoffsets) == 3
        np.testing.assert_array_equal(file.asarray(), label_mask(table, (600, 310)))


def test_a_negative_id_is_refused() -> None:
    with pytest.raises(ValueError, match="negative id"):
        label_mask(droplets([-1]), (3, 3))
