"""The commands: results on standard output, all else on standard error."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from cli.asked import FIT, files
from PIL import Image

import pyrodrop
from pyrodrop.cli import main

FIT_FILES = {
    "droplets.csv",
    "summary.json",
    "manifest.json",
    "fit.pt",
    "losses.csv",
    "prediction.png",
    "amplitudes.png",
    "loss.png",
    "overlay.png",
    "residual.tif",
}


def test_fit_writes_its_files_and_says_its_summary(
    image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", image, *FIT, "--out", str(tmp_path / "new" / "folder"), "--seed", "5"]) == 0
    folder = tmp_path / "new" / "folder"
    shown = capsys.readouterr()
    assert files(folder) == FIT_FILES
    lines = dict(line.split(": ", 1) for line in shown.out.splitlines())
    summary = json.loads((folder / "summary.json").read_text())
    assert lines["results"] == str(folder)
    assert lines.keys() == {*summary, "results"}
    assert (lines["steps"], lines["n_droplets"], lines["seed"]) == ("4", "3", "5")
    assert shown.err.startswith(f"fitting {image}, 40 x 30 px, ")  # before anything is compiled
    assert "4/4" in shown.err  # the bar
    assert "it/s" in shown.err
    assert "4/4" not in shown.out


def test_json_is_the_summary(image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", image, *FIT, "--out", str(tmp_path), "--json", "--quiet"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert json.loads(shown.out) == json.loads((tmp_path / "summary.json").read_text()) | {"results": str(tmp_path)}


def test_quiet_has_no_progress(image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", image, *FIT, "--out", str(tmp_path), "--quiet"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert f"results: {tmp_path}" in shown.out


def test_fit_resumes_a_checkpoint(
    image: str, fit_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["fit", image, "--channel", "saturation", "--resume", str(fit_folder / "fit.pt"), "--steps", "3"]
    assert main([*argv, "--device", "cpu", "--out", str(tmp_path), "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 7
    resumed, begun = (pyrodrop.load(folder / "fit.pt", device="cpu") for folder in (tmp_path, fit_folder))
    assert torch.equal(resumed.losses[:4], begun.losses)
    assert len(pd.read_csv(tmp_path / "losses.csv")) == 7


@pytest.mark.slow
def test_fit_takes_the_settings_it_is_given(image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["fit", image, "--channel", "red", "--scale", "0.5", "--droplets", "2", "--steps", "3", "--start", "uniform"]
    argv += ["--error-scale", "0.2", "--learning-rate", "0.03", "--seed", "9", "--device", "cpu"]
    assert main([*argv, "--out", str(tmp_path), "--json", "--quiet"]) == 0
    said = json.loads(capsys.readouterr().out)
    expected = {"channel": "red", "width": 20, "height": 15, "n_droplets": 2, "steps": 3, "start": "uniform", "seed": 9}
    assert {name: said[name] for name in expected} == expected
    assert (said["noise"], said["learning_rate"], said["device"]) == (0.2, 0.03, "cpu")
    settings = pyrodrop.load(tmp_path / "fit.pt", device="cpu").settings
    assert (settings.error_scale, settings.learning_rate, settings.seed) == (0.2, 0.03, 9)


@pytest.mark.parametrize("name", ["centres", "colours", "rendered"])
def test_prior_draws_and_paints(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["prior", name, "--size", "20", "16", "--droplets", "3", "--warmup", "3", "--samples", "4"]
    assert main([*argv, "--device", "cpu", "--out", str(tmp_path), "--json", "--quiet"]) == 0
    shown = capsys.readouterr()
    said = json.loads(shown.out)
    assert shown.err == ""
    assert files(tmp_path) == {f"prior-{name}.png", f"prior-{name}.pt"}
    assert (said["prior"], said["n_droplets"], said["draws"], said["seed"]) == (name, 3, 4, 0)
    draws = torch.load(said["tensors"], weights_only=True)
    sites = {"centres": "xyr", "colours": "xyrhsv", "rendered": "xyr"}[name]
    assert {site: tuple(draws[site].shape) for site in sites} == dict.fromkeys(sites, (4, 3))
    assert set(draws) == set(sites) | ({"val"} if name == "rendered" else set())
    with Image.open(said["picture"]) as picture:
        picture.load()


def test_channels_paints_both_spaces(image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["channels", image, "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.splitlines() == [
        f"image: {image}",
        "width: 40",
        "height: 30",
        "names:",
        *(f"  {name}" for name in pyrodrop.images.CHANNELS),
        f"lab: {tmp_path / 'lab.png'}",
        f"hsv: {tmp_path / 'hsv.png'}",
    ]
    assert files(tmp_path) == {"lab.png", "hsv.png"}


def test_simulate_writes_an_image_and_its_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["simulate", "--droplets", "2", "--size", "40", "30", "--seed", "3", "--json"]
    for folder in ("one", "again"):
        assert main([*argv, "--out", str(tmp_path / folder)]) == 0
        said = json.loads(capsys.readouterr().out)
        assert files(tmp_path / folder) == {"micrograph.png", "truth.csv"}
    assert (said["n_droplets"], said["width"], said["height"], said["seed"]) == (2, 40, 30, 3)
    read = pyrodrop.read_image(said["picture"])
    made, truth = pyrodrop.simulate(2, (30, 40), 3)
    torch.testing.assert_close(read.pixels, made.pixels, atol=1e-6, rtol=0)
    found = pd.read_csv(said["truth"])
    np.testing.assert_allclose(found[["x_px", "y_px", "radius_px"]], truth[["x_px", "y_px", "radius_px"]], rtol=1e-5)
    for name in ("micrograph.png", "truth.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
