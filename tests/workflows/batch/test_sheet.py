"""A sheet of images: what it says is in the tables, its settings hold, and each fault is one line with its place."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from worker_here import worker_here

import pyrodrop
from pyrodrop.cli import main
from pyrodrop.images import write_png
from pyrodrop.workflows.batch.result_folders import RECORD
from pyrodrop.workflows.batch.sheet import read_sheet
from pyrodrop.workflows.settings import SettingError

FIT = ("--job", "fit", "--channel", "gray", "--droplets", "2", "--steps", "4", "--start", "uniform", "--device", "cpu")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number, name in enumerate("abc"):
        image, _ = pyrodrop.simulate(3, (32, 40), seed=number, kind="gray", radius_px=(3, 5))
        write_png(image, folder / f"{name}.png")
    return folder


def sheet_of(folder: Path, text: str, name: str = "images.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_rows_are_images_with_settings_and_columns(images: Path) -> None:
    (images / "mask.png").write_bytes(b"")
    text = "path,sample,pixel_size_um,dose,mask\na.png,control,0.5,3,\n\nb.png,treated,,,mask.png\n"
    first, second = read_sheet(sheet_of(images, text), "measure")
    assert (first.path, first.name) == (str(images / "a.png"), "a.png")
    assert first.settings == {"pixel_size_um": 0.5}
    assert first.columns == {"sample": "control", "dose": "3"}
    assert second.settings == {"mask": str(images / "mask.png")}
    assert second.columns == {"sample": "treated", "dose": ""}
    assert second.where.endswith("row 4")


def test_semicolons_go_with_decimal_commas(images: Path) -> None:
    text = '\ufeffpath;pixel_size_um;note\r\n"a.png";0,25;"x; y"\r\n'
    (source,) = read_sheet(sheet_of(images, text), "measure")
    assert (source.settings, source.columns) == ({"pixel_size_um": 0.25}, {"note": "x; y"})


FAULTS = {
    "": "has no column path",
    "image;b\n": "has no column path, which names the images; it has image, b",
    "path\n": "has no image",
    "path,path\na.png,a.png\n": "row 1: column path is there twice",
    "path,,x\na.png,1,2\n": "row 1: a column has no name",
    "path,radius_px\na.png,1\n": "row 1: the tables have a column radius_px of their own",
    "path,x\na.png,1\nnowhere.png,2\n": "row 3, column path: 'nowhere.png' is no file",
    "path,x\n,1\n": "row 2, column path: '' is no file",
    "path,x\na.png,1\nb.png,2\n./a.png,3\n": "row 4, column path: './a.png' is the image of row 2, too",
    "path,pixel_size_um\na.png,wide\n": "row 2, column pixel_size_um: 'wide' is no positive number",
    'path,pixel_size_um\na.png,"0,5"\n': "row 2, column pixel_size_um: '0,5' is no positive number",
    "path,polarity\na.png,both\nb.png,up\n": "row 3, column polarity: 'up' is not one of bright, dark, both",
    "path,mask\na.png,no.png\n": "row 2, column mask: 'no.png' is no file",
    "path,x\na.png,1,2\n": "row 2: 3 cells for 2 columns",
}


@pytest.mark.parametrize("text", FAULTS, ids=range(len(FAULTS)))
def test_every_fault_is_one_line_with_its_place(text: str, images: Path) -> None:
    with pytest.raises(SettingError) as refused:
        read_sheet(sheet_of(images, text, "faulty.csv"), "measure")
    assert FAULTS[text] in str(refused.value)
    assert "faulty.csv" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_setting_of_another_job_is_refused(images: Path) -> None:
    with pytest.raises(SettingError, match="column border is no setting of fit"):
        read_sheet(sheet_of(images, "path,border\na.png,drop\n"), "fit")


def test_a_setting_that_no_image_can_have_is_refused_with_its_row(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = sheet_of(images, "path,profile\na.png,disc\nb.png,square\n")
    assert main(["batch", "--sheet", str(sheet), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "row 3: --profile is 'square'" in said or "row 3: profile is 'square'" in said
    assert main(["batch", "a.png", "--sheet", str(sheet), "--out", str(tmp_path / "out")]) == 2
    assert "name images in one of them" in capsys.readouterr().err
    assert main(["batch", "--out", str(tmp_path / "out")]) == 2


def batch(sheet: Path, out: Path, capsys: pytest.CaptureFixture[str], *further: str) -> dict[str, Any]:
    """A batch of a sheet in this process; its summary."""
    with worker_here():
        status = main(["batch", "--sheet", str(sheet), "--out", str(out), "--json", "--quiet", *further])
    assert status == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_tables_carry_the_columns_and_a_changed_sheet_is_noticed(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    sheet = sheet_of(images, "path,sample,pixel_size_um,dose\na.png,control,0.5,1\nb.png,treated,,2\n")
    told = batch(sheet, out, capsys, *FIT, "--pixel-size", "0.1")
    assert (told["done"], told["done_before"]) == (2, 0)
    droplets, listed = (pd.read_csv(out / name) for name in ("droplets.csv", "summary.csv"))
    assert list(droplets.columns[:4]) == ["image", "sample", "dose", "id"]
    assert droplets.groupby("image")["dose"].first().to_dict() == {"a.png": 1, "b.png": 2}
    assert listed["sample"].to_list() == ["control", "treated"]
    # What the row says goes before what the command says.
    assert listed["pixel_size_um"].to_list() == [0.5, 0.1]
    widths = (droplets["radius_um"] / droplets["radius_px"]).groupby(droplets["image"]).first()
    assert widths.to_numpy() == pytest.approx([0.5, 0.1], rel=1e-3)

    again = batch(sheet, out, capsys, *FIT, "--pixel-size", "0.1")
    assert again["done_before"] == 2
    sheet_of(images, "path,sample,pixel_size_um,dose\na.png,other,0.5,1\nb.png,treated,0.2,2\n")
    changed = batch(sheet, out, capsys, *FIT, "--pixel-size", "0.1")
    assert changed["done_before"] == 1  # of b.png the pixel size is another; the sample is no part of a result
    listed = pd.read_csv(out / "summary.csv")
    assert listed["sample"].to_list() == ["other", "treated"]
    assert listed["pixel_size_um"].to_list() == [0.5, 0.2]


def test_the_row_is_part_of_the_record(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    batch(sheet_of(images, "path,pixel_size_um\na.png,0.5\n"), out, capsys, *FIT)
    (record,) = (json.loads(path.read_text()) for path in out.glob(f"*/{RECORD}"))
    assert record["settings"]["pixel_size_um"] == 0.5


@pytest.mark.slow
def test_a_measured_batch_pools_its_samples(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    mask = np.zeros((32, 40), bool)
    mask[:, :30] = True
    Image.fromarray(mask).save(images / "left.png")
    sheet = sheet_of(images, "path,sample,pixel_size_um,mask\na.png,x,0.5,left.png\nb.png,x,0.5,\nc.png,y,0.5,\n")
    told = batch(sheet, out, capsys)
    assert told["samples"] == str(out / "samples")
    with (out / "samples" / "images.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["sample"], row["image"]) for row in rows] == [("x", "a.png"), ("x", "b.png"), ("y", "c.png")]
    assert float(rows[0]["area_mm2"]) == pytest.approx(30 * 32 * 0.25e-6)
    written = (out / "samples" / "summary.json").stat().st_mtime_ns
    batch(sheet, out, capsys)
    assert (out / "samples" / "summary.json").stat().st_mtime_ns == written
    assert main(["compare", str(out), "--out", str(tmp_path / "compared"), "--json"]) == 0
    compared = json.loads(capsys.readouterr().out)
    assert list(compared["samples"]) == ["x", "y"]
