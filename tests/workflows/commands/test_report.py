"""From a folder of results to what a person takes home, by function and by command."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from roifile import roiread
from worker_here import worker_here

import pyrodrop
from pyrodrop.cli import main
from pyrodrop.images import write_png
from pyrodrop.workflows.commands.report import report
from pyrodrop.workflows.settings import SettingError

pytestmark = pytest.mark.usefixtures("figures_left_blank")

QUICK = (
    "--droplets",
    "3",
    "--steps",
    "4",
    "--start",
    "uniform",
    "--channel",
    "saturation",
    "--device",
    "cpu",
    "--quiet",
)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fit")
    assert main(["simulate", "--droplets", "3", "--size", "40", "30", "--out", str(folder), "--seed", "1"]) == 0
    assert main(["fit", str(folder / "micrograph.png"), *QUICK, "--out", str(folder / "result")]) == 0
    return folder / "result"


def test_a_fit_becomes_a_page_rois_and_labels(fitted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "result"
    shutil.copytree(fitted, folder)
    said = report(folder)
    assert said == {
        "report": str(folder / "report.html"),
        "rois": str(folder / "rois.zip"),
        "labels": str(folder / "labels.tif"),
        "histogram": str(folder / "histogram.csv"),
    }
    table = pd.read_csv(folder / "droplets.csv")
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert text.count("<circle") == len(table)  # on the channel, which fit.pt holds
    assert len(roiread(folder / "rois.zip")) == len(table)
    labels = tifffile.imread(folder / "labels.tif")
    assert labels.shape == (30, 40)
    inside = table[table["x_px"].between(0, 39) & table["y_px"].between(0, 29)]
    assert labels.max() > 0
    assert set(np.unique(labels)) <= {0, *(inside["id"] + 1), *(table["id"] + 1)}


def test_a_table_that_was_altered_is_said(fitted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "result"
    shutil.copytree(fitted, folder)
    pd.read_csv(folder / "droplets.csv").iloc[:2].to_csv(folder / "droplets.csv", index=False)
    (warning,) = report(folder)["warnings"]
    assert "its 2 rows are shown, and nothing that the run found of 3 droplets" in warning
    assert len(roiread(folder / "rois.zip")) == 2
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert warning in text
    assert "Gaussian spots" not in text


@pytest.mark.parametrize("batch", [False, True])
def test_whatever_another_program_changed_is_said(fitted: Path, tmp_path: Path, batch: bool) -> None:
    folder = tmp_path / "all" / "result"
    shutil.copytree(fitted, folder)
    page = folder.parent if batch else folder
    assert "warnings" not in report(page)
    untouched = (page / "report.html").read_text(encoding="utf-8")
    assert "as the run wrote" not in untouched
    with (folder / "overlay.png").open("ab") as file:
        file.write(b"edited")
    (folder / "losses.csv").unlink()
    (folder / "report.html").write_text("mine", encoding="utf-8")  # which is made anew
    said = report(page)
    lines = (
        "the file overlay.png is not as the run wrote it: what is shown of it is not the run's",
        "the file losses.csv is missing, which the run wrote: what is made of it is left out",
    )
    text = (page / "report.html").read_text(encoding="utf-8").replace("&#39;", "'")
    assert all(line in text for line in lines)
    if not batch:
        assert said["warnings"][:2] == list(lines)
        manifest = folder / "manifest.json"
        manifest.write_text(manifest.read_text().replace("overlay", "underlay"))
        assert "manifest.json is not as the run wrote it" in report(folder)["warnings"][0]


def test_a_run_into_a_folder_of_results_leaves_nothing_of_the_earlier_one(fitted: Path, tmp_path: Path) -> None:
    """A page, regions and labels of the earlier image would lie beside the table of the new one."""
    folder = tmp_path / "result"
    shutil.copytree(fitted, folder)
    report(folder)
    (folder / "notes.txt").write_text("mine")
    whole = {path.name for path in fitted.iterdir()}
    written = {"report.html", "rois.zip", "labels.tif", "histogram.csv"}
    assert {path.name for path in folder.iterdir()} == whole | written | {"notes.txt"}
    assert main(["fit", str(fitted.parent / "micrograph.png"), *QUICK, "--out", str(folder)]) == 0
    assert {path.name for path in folder.iterdir()} == whole | {"notes.txt"}


def test_a_batch_gets_a_page_of_its_own_and_names_what_failed(
    fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        shutil.copytree(fitted, tmp_path / name)
    assert main(["report", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"report": str(tmp_path / "report.html"), "images": 2}
    assert (tmp_path / "a" / "labels.tif").is_file()
    (tmp_path / "b" / "droplets.csv").write_text("", encoding="utf-8")
    assert main(["report", str(tmp_path), "--json"]) == 1
    shown = capsys.readouterr()
    said = json.loads(shown.out)
    assert said["images"] == 1
    assert said["failed"].keys() == {"b"}
    assert "b/report.html" not in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_what_batch_has_written(fitted: Path, tmp_path: Path) -> None:
    """Its images by the names they were asked for by, its failures, and no results of other batches beside them."""
    for seed, name in enumerate(("one", "two")):
        shutil.copytree(fitted, tmp_path / "out" / f"old-{name}")
        write_png(pyrodrop.simulate(3, (30, 40), seed=seed)[0], tmp_path / f"{name}.png")
    (tmp_path / "three.png").write_bytes(b"no image")
    settings = ["--droplets", "3", "--steps", "4", "--start", "uniform", "--channel", "saturation"]
    out = tmp_path / "out"
    with worker_here():
        assert main(["batch", str(tmp_path), "--job", "fit", "--quiet", "--out", str(out), *settings]) == 1
    said = report(out)
    assert said["images"] == 2
    page = (out / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("one.png", "two.png", "three.png", "1 failed", "droplets.csv"))
    assert "old-" not in page
    listed = pd.read_csv(out / "summary.csv")
    reports = {out / name / "report.html" for name in listed.loc[listed["state"] == "done", "folder"]}
    assert set(out.glob("*/report.html")) == reports
    assert json.loads((out / "summary.json").read_text(encoding="utf-8"))["done"] == 2


@pytest.mark.parametrize(
    ("name", "said"), [("none", "is not a folder"), ("", "holds no summary.json, nor does a folder in it")]
)
def test_what_holds_no_results_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    assert main(["report", str(tmp_path / name)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert said in shown.err
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_image_is_one_line(fitted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "result"
    shutil.copytree(fitted, folder)
    (folder / "image.tif").write_bytes(b"II*\0nonsense")
    with pytest.raises(SettingError, match=r"image\.tif is not a readable TIFF"):
        report(folder)


def test_without_any_size_there_are_no_labels(fitted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "result"
    shutil.copytree(fitted, folder)
    (folder / "fit.pt").unlink()
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    summary.pop("width")
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    assert report(folder).keys() == {"report", "rois", "histogram", "warnings"}  # that files are gone


def test_what_is_asked_for_is_written_beside(fitted: Path, tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    folder = tmp_path / "result"
    shutil.copytree(fitted, folder)
    assert main(["report", str(folder), "--xlsx", "--decimal-comma", "--figures", "svg,pdf"]) == 0
    table = pd.read_csv(folder / "droplets.csv")
    again = pd.read_csv(folder / "droplets-comma.csv", sep=";", decimal=",")
    pd.testing.assert_frame_equal(again, table)
    book = openpyxl.load_workbook(folder / "results.xlsx")
    assert book.sheetnames == ["droplets", "histogram"]
    assert [cell.value for cell in book["droplets"]["B"]][1:] == pytest.approx(table["x_px"].to_list())
    histogram = pd.read_csv(folder / "histogram.csv")
    assert 0.5 < histogram["share"].sum() <= 1  # draws of so brief a fit lie beyond all bins, too
    for name in ("overlay-full", "distribution"):
        assert (folder / f"{name}.svg").read_text(encoding="utf-8").startswith("<?xml")
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("wish", "reason"), [({"figures": "svg,gif"}, "figures is 'gif'"), ({"xlsx": True}, "openpyxl")]
)
def test_what_cannot_be_written_is_refused(
    fitted: Path, wish: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyrodrop.workflows.taking_home.can_write_workbooks", lambda: False)
    with pytest.raises(SettingError, match=reason):
        report(fitted, **wish)
