"""From an image to a folder of results: which files, what is in them, and a fit that goes on from them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from PIL import Image

import pyrodrop
from pyrodrop.images import write_png
from pyrodrop.workflows.commands.fit import fit_image, read_fit_subject
from pyrodrop.workflows.fitting.fit import load_fit
from pyrodrop.workflows.settings import SettingError

FILES = ["amplitudes.png", "droplets.csv", "fit.pt", "loss.png", "losses.csv", "overlay.png", "prediction.png"]
FILES = sorted([*FILES, "manifest.json", "residual.tif", "summary.json"])
QUICK: dict[str, Any] = {"channel": "saturation", "device": "cpu", "progress": False}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    made, _ = pyrodrop.simulate(3, (30, 40), seed=1)
    path = tmp_path_factory.mktemp("micrograph") / "micrograph.png"
    write_png(made, path)
    return str(path)


@pytest.fixture(scope="module")
def results(image: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("results") / "deep"
    return folder, fit_image(image, str(folder), n_droplets=3, steps=30, start="uniform", seed=2, **QUICK)


def test_the_folder_holds_exactly_its_files(results: tuple[Path, dict[str, Any]]) -> None:
    folder, said = results
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert said["results"] == str(folder)
    for name in FILES:
        if name.endswith(".png"):
            with Image.open(folder / name) as picture:
                assert np.asarray(picture.convert("L")).std() > 0


def test_what_the_model_leaves_over_is_in_units_of_the_noise(results: tuple[Path, dict[str, Any]]) -> None:
    folder, said = results
    fit = load_fit(folder / "fit.pt", device="cpu")
    left = -fit.sample(1)["diff"][0] / said["noise"]
    np.testing.assert_allclose(tifffile.imread(folder / "residual.tif"), left, rtol=1e-5)


def test_the_table_on_disk_is_the_fits(results: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = results
    table, expected = pd.read_csv(folder / "droplets.csv"), load_fit(folder / "fit.pt", device="cpu").table()
    assert table.columns.tolist() == expected.columns.tolist()
    np.testing.assert_allclose(table.drop(columns="flags"), expected.drop(columns="flags"), rtol=1e-5)
    assert table["flags"].fillna("").tolist() == expected["flags"].tolist()


def test_the_losses_on_disk_are_the_fits(results: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = results
    losses = pd.read_csv(folder / "losses.csv")
    assert losses.columns.tolist() == ["iteration", "loss"]
    assert losses["iteration"].tolist() == list(range(1, 31))
    # Nine digits bring a float32 back to the last bit.
    found = torch.tensor(losses["loss"].to_numpy(), dtype=torch.float32)
    assert torch.equal(found, load_fit(folder / "fit.pt", device="cpu").losses)


def test_the_summary_says_what_was_fitted(results: tuple[Path, dict[str, Any]], image: str) -> None:
    folder, said = results
    summary, fitted = json.loads((folder / "summary.json").read_text()), load_fit(folder / "fit.pt", device="cpu")
    assert summary | {"results": str(folder)} == said
    expected = {"version": pyrodrop.__version__, "seed": 2, "device": "cpu", "image": image, "channel": "saturation"}
    expected |= {"width": 40, "height": 30, "n_droplets": 3, "steps": 30, "noise": 0.05}
    assert {name: summary[name] for name in expected} == expected
    assert summary["first_loss"] == float(fitted.losses[0])
    assert summary["mean_loss_last_tenth"] == pytest.approx(float(fitted.losses[-3:].double().mean()))
    assert summary["background"] == pytest.approx(float(fitted.guide.median()["bg"]), abs=0.02)
    assert summary["iterations_per_second"] == pytest.approx(30 / summary["seconds"], rel=0.01)
    assert "truth" not in summary


def test_a_fit_goes_on_from_its_folder(results: tuple[Path, dict[str, Any]], image: str, tmp_path: Path) -> None:
    folder, _ = results
    said = fit_image(image, str(tmp_path), resume=str(folder / "fit.pt"), steps=12, **QUICK)
    whole = fit_image(image, str(tmp_path / "whole"), n_droplets=3, steps=42, start="uniform", seed=2, **QUICK)
    assert said["steps"] == whole["steps"] == 42
    for name in ("droplets.csv", "losses.csv"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_the_results_of_a_checkpoint_can_be_written_as_it_is(
    results: tuple[Path, dict[str, Any]], image: str, tmp_path: Path
) -> None:
    """A run that is killed while it draws its figures has a whole checkpoint, and nothing else."""
    folder, _ = results
    said = fit_image(image, str(tmp_path), resume=str(folder / "fit.pt"), steps=0, **QUICK)
    assert said["steps"] == 30
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in folder.iterdir()}
    for name in ("droplets.csv", "losses.csv", "summary.json"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    with pytest.raises(SettingError, match="steps is 0"):
        fit_image(image, str(tmp_path), steps=0, **QUICK)


def test_a_fit_of_something_else_is_not_gone_on_from(
    results: tuple[Path, dict[str, Any]], image: str, tmp_path: Path
) -> None:
    again = {"resume": str(results[0] / "fit.pt"), "steps": 2}
    for other in ({"channel": "red"}, {"scale": 0.5}):
        with pytest.raises(SettingError, match="another image, channel or scale"):
            fit_image(image, str(tmp_path / "out"), **QUICK | again | other)
    for kept in ({"n_droplets": 3}, {"seed": 1}, {"error_scale": 0.1}):
        with pytest.raises(SettingError, match=f"leave out {next(iter(kept))}"):
            fit_image(image, str(tmp_path / "out"), **QUICK | again | kept)
    assert not (tmp_path / "out").exists()


def test_the_embedded_micrograph_is_compared_with_its_truth(tmp_path: Path) -> None:
    said = fit_image(None, str(tmp_path), steps=2, start="uniform", device="cpu", progress=False)
    assert (said["image"], said["channel"], said["width"], said["height"]) == (
        "embedded micrograph",
        "saturation",
        400,
        300,
    )
    assert said["n_droplets"] == said["truth"]["n_true"] == 60
    assert set(said["truth"]) >= {"recall", "precision", "f1", "centre_rmse_px", "radius_median_abs_rel"}
    table = pd.read_csv(tmp_path / "droplets.csv")
    assert {"x_um", "y_um", "radius_um"} <= set(table)
    np.testing.assert_allclose(table["x_um"], 0.5 * table["x_px"], rtol=1e-5)


def test_hue_is_the_channel_of_an_image_and_saturation_of_the_embedded_one(image: str) -> None:
    assert read_fit_subject(image, None, {}).channel == "hue"
    assert read_fit_subject(image, "L", {}).channel == "L"
    embedded = read_fit_subject(None, None, {})
    assert embedded.channel == "saturation"
    assert embedded.truth is not None
    assert read_fit_subject(None, "hue", {}).truth is None
    with pytest.raises(SettingError, match="scale: about a file"):
        read_fit_subject(None, None, {"scale": 0.5})


def test_the_posterior_is_sampled_where_it_is_asked_for(image: str, tmp_path: Path) -> None:
    settings = {"n_droplets": 3, "error_scale": 0.05, "steps": 100, "posterior": True} | QUICK
    said = fit_image(image, str(tmp_path / "sampled"), **settings)["posterior"]
    folder = tmp_path / "sampled"
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, "posterior.csv", "posterior.png"])
    assert said["verdict"].startswith("Converged" if said["converged"] else "Not converged")
    assert json.loads((folder / "summary.json").read_text(encoding="utf-8"))["posterior"] == said
    table, guide = (pd.read_csv(folder / f"{name}.csv") for name in ("posterior", "droplets"))
    assert table.columns.tolist() == [*guide.columns, "r_hat", "effective"]
    assert table["r_hat"].max() <= said["largest_r_hat"] * (1 + 1e-5)
    assert table["effective"].min() >= said["smallest_effective_size"] * (1 - 1e-5)
    # Where the image holds a droplet, both say where; neither is sure to less than a pixel of noise's making.
    np.testing.assert_allclose(table["x_px"], guide["x_px"], atol=1.0)
