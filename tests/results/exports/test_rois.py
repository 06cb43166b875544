"""Regions for ImageJ: where it draws them, by its own half-pixel convention."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from roifile import ROI_TYPE, roiread

from pyrodrop.results.exports.rois import imagej_rois, write_rois

TABLE = pd.DataFrame(
    {
        "id": [0, 7, 12],
        "x_px": [0.0, 10.25, 40_000.5],
        "y_px": [0.0, 20.5, 3.0],
        "radius_px": [0.5, 4.125, 30.0],
        "presence": [1.0, 0.9, 0.5],
    }
)


def test_a_droplet_on_the_first_pixel_covers_just_that_pixel() -> None:
    """In ImageJ the first pixel reaches from 0 to 1."""
    first = imagej_rois(TABLE)[0]
    assert (first.xd, first.yd, first.widthd, first.heightd) == (0.0, 0.0, 1.0, 1.0)


def test_they_come_back_from_the_zip_as_ovals_by_id(tmp_path: Path) -> None:
    path = tmp_path / "rois.zip"
    write_rois(TABLE, path)
    write_rois(TABLE, path)  # replaced, not added to
    read = roiread(path)
    assert isinstance(read, list)
    assert [roi.name for roi in read] == ["00", "07", "12"]
    for roi, row in zip(read, TABLE.itertuples(), strict=True):
        assert roi.roitype == ROI_TYPE.OVAL
        assert roi.subpixelrect
        centre = (roi.xd + roi.widthd / 2 - 0.5, roi.yd + roi.heightd / 2 - 0.5)
        np.testing.assert_allclose(centre, (row.x_px, row.y_px), rtol=1e-6)
        assert roi.widthd == roi.heightd == pytest.approx(2 * row.radius_px)
        assert roi.left <= roi.xd + 0.5
        assert roi.right >= roi.xd + roi.widthd - 0.5


def test_all_rows_are_drawn_unless_a_least_presence_is_asked_for() -> None:
    doubtful = TABLE.assign(presence=[0.49, 0.5, 1.0])
    assert len(imagej_rois(doubtful)) == 3
    assert [roi.name for roi in imagej_rois(doubtful, least_presence=0.5)] == ["07", "12"]
    assert len(imagej_rois(TABLE.drop(columns="presence"))) == 3


def test_no_droplets_are_an_empty_zip(tmp_path: Path) -> None:
    write_rois(TABLE[:0], tmp_path / "rois.zip")
    assert roiread(tmp_path / "rois.zip") == []


def test_a_presence_that_is_no_probability() -> None:
    with pytest.raises(ValueError, match="least_presence is 50"):
        imagej_rois(TABLE, least_presence=50)
