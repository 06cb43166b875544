"""Measuring files: the folder of results, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from pyrodrop.cli import main
from pyrodrop.images import ImageError
from pyrodrop.images.micrograph import write_png
from pyrodrop.images.simulation.simulate import simulate
from pyrodrop.workflows.commands.measure import measure_image, measure_images

FIGURES = ("overlay", "residual", "sizes", "count", "prediction", "amplitudes", "loss")
FILES = (
    "droplets.csv",
    "candidates.csv",
    "summary.json",
    "manifest.json",
    "fit.pt",
    "losses.csv",
    "image.tif",
    "residual.tif",
)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    image, _ = simulate(8, (90, 120), seed=1, kind="gray", radius_px=(4.0, 7.0), noise=0.02)
    write_png(image, tmp_path / "picture.png")
    return tmp_path / "picture.png"


def test_the_folder_holds_everything(picture: Path, tmp_path: Path) -> None:
    said = measure_image(str(picture), str(tmp_path / "out"), profile="gaussian", pixel_size_um=2.0, progress=False)
    losses = pd.read_csv(tmp_path / "out" / "losses.csv")["loss"]
    figures = {f"{name}.png" for name in FIGURES} - (
        {"loss.png"} if len(losses) < 5 else set()
    )  # no curve of few points
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*FILES, *figures}
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert {**summary, "results": str(tmp_path / "out")} == said
    table = pd.read_csv(tmp_path / "out" / "droplets.csv", keep_default_na=False)
    assert summary["n_droplets"] == 8 == len(table)
    assert len(pd.read_csv(tmp_path / "out" / "candidates.csv")) >= 8
    assert summary["sizes"]["d_1_0"]["mean"] == pytest.approx(table["diameter_um"].mean(), rel=1e-4)
    assert summary["count"]["q05"] <= 8 <= summary["count"]["q95"]
    assert summary["sizes"]["unit"] == "um"
    assert set(summary["sizes"]["dn50"]) == {"mean", "q05", "q95"}
    assert np.allclose(table["radius_um"], 2 * table["radius_px"], rtol=1e-4)
    assert losses.iloc[-1] <= losses.iloc[0]
    residual = tifffile.imread(tmp_path / "out" / "residual.tif")
    assert residual.shape == (90, 120)
    assert residual.std() == pytest.approx(1, abs=0.05)


@pytest.mark.slow
def test_numbers_without_a_white_level_are_measured_in_proportion(picture: Path, tmp_path: Path) -> None:
    pixels = 3000 * simulate(8, (90, 120), seed=1, kind="gray", radius_px=(4.0, 7.0), noise=0.02)[0].pixels[..., 0]
    tifffile.imwrite(tmp_path / "counts.tif", pixels.numpy().astype(np.float32))
    measure_image(str(tmp_path / "counts.tif"), str(tmp_path / "out"), profile="gaussian", progress=False)
    measure_image(str(picture), str(tmp_path / "png"), profile="gaussian", progress=False)
    counts, levels = (pd.read_csv(tmp_path / name / "droplets.csv") for name in ("out", "png"))
    assert counts["radius_px"].to_numpy() == pytest.approx(levels["radius_px"].to_numpy(), rel=0.02)


@pytest.mark.slow
def test_of_several_images_what_cannot_be_read_is_named_and_the_rest_is_done(picture: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(picture.read_bytes()[:200])
    same = tmp_path / "inner" / "picture.png"
    same.parent.mkdir()
    same.write_bytes(picture.read_bytes())
    said = measure_images(
        [str(picture), str(broken), str(same)], str(tmp_path / "out"), profile="gaussian", progress=False
    )
    assert set(said["images"]) == {"picture", "picture-2"}
    assert list(said["failed"]) == [str(broken)]
    assert (tmp_path / "out" / "picture-2" / "droplets.csv").exists()
    assert not (tmp_path / "out" / "broken").exists()


def test_the_command_line_says_what_failed(picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--profile", "gaussian", "--quiet", "--out", str(tmp_path / "out")]
    assert main(["measure", str(picture), str(tmp_path / "missing.png"), *arguments]) == 1
    assert "missing.png does not exist" in capsys.readouterr().out
    assert main(["measure", str(tmp_path / "missing.png"), *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["measure", str(picture), "--json", *arguments]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["n_droplets"] == 8
    assert shown.err == ""


def test_what_is_being_measured_is_said_before_it_takes_its_time(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measure_images([str(picture)], str(tmp_path / "out"), profile="gaussian")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"measuring {picture}, ")


def test_a_channel_that_is_not_there_is_refused_before_anything_is_written(picture: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="gray"):
        measure_image(str(picture), str(tmp_path / "out"), channel="DAPI", progress=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "says"),
    [(["--profile", "cone"], "--profile is 'cone', expected one of"), (["--tiles", "5"], "--tiles is 5, expected at")],
)
def test_a_wrong_setting_is_one_line_that_names_its_flag_and_writes_nothing(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], says: str
) -> None:
    assert main(["measure", str(picture), "--out", str(tmp_path / "out"), *flags]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert says in said.err
    assert not (tmp_path / "out").exists()
