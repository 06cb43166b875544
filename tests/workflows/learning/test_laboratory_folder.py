"""Reading a laboratory's folder: images with tables, results that were corrected, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from workflows.learning.laboratory_images import beaded, write_laboratory

from pyrodrop.images import ImageError
from pyrodrop.workflows.learning.laboratory_folder import read_laboratory
from pyrodrop.workflows.settings import SettingError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_laboratory(tmp_path / "lab", [beaded(k, 64, 2) for k in range(2)])
    return tmp_path / "lab"


def results(folder: Path, channels: int = 1) -> Path:
    """As measure writes them: a table with more columns, and what was measured."""
    folder.mkdir()
    image = beaded(7, 64, 2)
    table = pd.DataFrame(image.circles[:, :3], columns=["x_px", "y_px", "radius_px"])
    table.assign(id=range(len(table)), presence=0.1, flags="").to_csv(folder / "droplets.csv", index=False)
    tifffile.imwrite(folder / "image.tif", np.stack([image.pixels] * channels) if channels > 1 else image.pixels)
    for name in ("residual.tif", "fit.pt", "overlay.png", "summary.json", "candidates.csv"):
        (folder / name).write_bytes(b"{}")
    return folder


def test_images_with_tables_are_marked_and_those_without_are_not(folder: Path) -> None:
    (folder / "1.csv").unlink()
    (folder / "notes.txt").write_text("nothing")
    seen = read_laboratory(folder)
    assert [image.name for image in seen.marked] == [str(folder / "0.tif")]
    assert [image.name for image in seen.unmarked] == [str(folder / "1.tif")]
    np.testing.assert_allclose(seen.marked[0].circles, beaded(0, 64, 2).circles, atol=1e-4)
    assert seen.marked[0].pixels.max() == pytest.approx(1)


def test_a_table_without_rows_says_that_there_is_nothing(folder: Path) -> None:
    (folder / "0.csv").write_text("x_px,y_px,radius_px\n")
    assert [len(image.circles) for image in read_laboratory(folder).marked] == [0, 2]


@pytest.mark.parametrize("channels", [1, 2])
def test_results_count_as_they_were_corrected_whatever_their_presence(
    folder: Path, tmp_path: Path, channels: int
) -> None:
    within = results(folder / "one-0123abcd", channels)
    (folder / "summary.csv").write_text("image\n")  # as a batch writes them
    (folder / "droplets.csv").write_text("image,x_px\n")
    (folder / "summary.json").write_text("{}")
    assert [Path(image.name).name for image in read_laboratory(folder).marked] == ["one-0123abcd", "0.tif", "1.tif"]
    alone = read_laboratory(within)
    assert [len(image.circles) for image in alone.marked] == [2]
    assert alone.unmarked == []
    table = pd.read_csv(within / "droplets.csv")
    table = pd.concat([table.iloc[1:], pd.DataFrame({"x_px": [30.0], "y_px": [20.0], "radius_px": [5.0]})])
    table.to_csv(within / "droplets.csv", index=False)
    places = read_laboratory(within).marked[0].circles[:, :3]
    np.testing.assert_allclose(places, table[["x_px", "y_px", "radius_px"]].to_numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ("x,y,r\n1,2,3\n", "lacks the column x_px, y_px, radius_px"),
        ("x_px,y_px\n1,2\n", "lacks the column radius_px"),
        ("", "lacks the column"),
        ("x_px,y_px,radius_px\n1,2,3\n70,2,3\n", "line 3 of"),
        ("x_px,y_px,radius_px\n1,-4,3\n", "64 x 64 pixels (x_px 1, y_px -4, radius_px 3)"),
        ("x_px,y_px,radius_px\n1,2,0\n", "line 2 of"),
        ("x_px,y_px,radius_px\n1,2,\n", "line 2 of"),
        ("x_px,y_px,radius_px\n1,2,wide\n", "radius_px wide"),
        ('x_px,y_px,radius_px\n1,2,3\n4,5,6,7,8\n"', "no readable table"),
    ],
)
def test_a_table_that_is_none_of_the_image_is_refused(folder: Path, table: str, named: str) -> None:
    (folder / "1.csv").write_text(table)
    with pytest.raises(SettingError) as refused:
        read_laboratory(folder)
    assert named in str(refused.value)
    assert str(folder / "1.csv") in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_no_laboratory_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, named in {
        tmp_path / "missing": "is none",
        folder / "0.tif": "is none",
        tmp_path / "empty": "holds no images",
    }.items():
        with pytest.raises(SettingError, match=named):
            read_laboratory(path)
    (folder / "other.csv").write_text("x_px,y_px,radius_px\n")
    with pytest.raises(SettingError, match=r"other\.csv has no image beside it"):
        read_laboratory(folder)


def test_an_image_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "1.tif").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"1\.tif"):
        read_laboratory(folder)
    with pytest.raises(ImageError, match="channel"):
        read_laboratory(folder, channel="infrared")
    tifffile.imwrite(folder / "1.tif", np.zeros((20, 20), np.uint8))
    (folder / "1.csv").write_text("x_px,y_px,radius_px\n")
    with pytest.raises(SettingError, match="at least 32 a side"):
        read_laboratory(folder)
