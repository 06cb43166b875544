"""The weights that are named are those that propose: in an image, in its tiles and in a batch; others are refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from worker_here import worker_here

import pyrodrop
from pyrodrop.cli import main
from pyrodrop.detection.network.weights import SHIPPED, Calibration, TrainedNetwork, read_weights, to_data
from pyrodrop.detection.propose import propose
from pyrodrop.images import write_png
from pyrodrop.workflows.settings import SettingError
from pyrodrop.workflows.tiles.measure_tiles import measure_tiles


def write_weights(path: Path, said: float) -> Path:
    """The network that ships, whose proposals all have this presence."""
    trained = TrainedNetwork(read_weights(SHIPPED).network, Calibration((0.0, 0.02, 1.0), (0.0, said, said)))
    torch.save(to_data(trained), path)
    return path


@pytest.fixture(scope="module")
def mute(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a network that proposes nothing."""
    return write_weights(tmp_path_factory.mktemp("weights") / "mute.pt", 0.0)


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image, _ = pyrodrop.simulate(8, (90, 120), seed=1, kind="gray", radius_px=(4.0, 7.0), noise=0.02)
    path = tmp_path_factory.mktemp("pictures") / "picture.png"
    write_png(image, path)
    return path


def test_measure_asks_the_network_that_is_named(mute: Path) -> None:
    image, _ = pyrodrop.simulate(8, (90, 120), seed=1, kind="gray", radius_px=(4.0, 7.0), noise=0.02)
    assert pyrodrop.measure(image, profile="gaussian", weights=SHIPPED).n_droplets == 8
    assert pyrodrop.measure(image, profile="gaussian", weights=str(mute)).n_droplets == 0


def test_so_do_the_command_line_and_its_tiles(
    mute: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["measure", str(picture), "--profile", "gaussian", "--quiet", "--json", "--weights", str(mute)]
    for name, more in {"whole": [], "tiles": ["--tiles", "64", "--workers", "1"]}.items():
        image = picture
        if name == "tiles":
            image = tmp_path / "picture.tif"
            tifffile.imwrite(image, (pyrodrop.read_image(picture).pixels[..., 0] * 255).byte().numpy())
        assert main([argv[0], str(image), *argv[2:], *more, "--out", str(tmp_path / name)]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["n_droplets"] == 0
        assert said["weights"]["file"] == str(mute)
        assert len(said["weights"]["sha256"]) == 64


def test_tiles_of_other_weights_are_measured_anew(mute: Path, tmp_path: Path) -> None:
    image, _ = pyrodrop.simulate(8, (90, 120), seed=1, kind="gray", radius_px=(4.0, 7.0), noise=0.02)
    pixels, how = image.pixels[..., 0].numpy(), {"tile_px": 64, "profile": "gaussian", "progress": False}
    assert measure_tiles(pixels, tmp_path, weights=mute, **how)["n_droplets"] == 0
    said = measure_tiles(pixels, tmp_path, **how)
    assert (said["n_droplets"], said["tiles"]["done_before"]) == (8, 0)
    assert "weights" not in said


def test_a_batch_knows_its_results_by_what_the_weights_are(mute: Path, picture: Path, tmp_path: Path) -> None:
    from pyrodrop.workflows.batch.batch import batch

    how = {"profile": "gaussian", "progress": False}
    same = tmp_path / "copy.pt"
    same.write_bytes(mute.read_bytes())
    with worker_here():
        assert batch([picture], tmp_path / "out", weights=str(mute), **how)["done"] == 1
        assert len(pd.read_csv(tmp_path / "out" / "droplets.csv")) == 0
        assert batch([picture], tmp_path / "out", weights=str(same), **how)["done_before"] == 1
        assert batch([picture], tmp_path / "out", **how)["done_before"] == 0
    assert len(pd.read_csv(tmp_path / "out" / "droplets.csv")) == 8


def test_a_file_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    pixels = pyrodrop.simulate(8, (90, 120), seed=1, kind="gray", radius_px=(4.0, 7.0))[0].pixels[..., 0]
    path = write_weights(tmp_path / "weights.pt", 0.0)
    assert len(propose(pixels, weights=path)) == 0
    write_weights(path, 0.75)
    assert float(propose(pixels, weights=path).presence.max()) == pytest.approx(0.75)


def unfit(name: str, folder: Path) -> Path:
    """A file that is no network of this version."""
    path = folder / f"{name}.pt"
    data = torch.load(SHIPPED, weights_only=True)
    if name == "text":
        path.write_text("x_px,y_px\n1,2\n")
    elif name == "empty":
        path.touch()
    elif name == "cut":
        path.write_bytes(SHIPPED.read_bytes()[:3000])
    elif name == "a folder":
        path.mkdir()
    elif name == "older":
        torch.save({**data, "format": torch.tensor(1)}, path)
    elif name == "a fit":
        torch.save({"kind": "fit", "format": 3}, path)
    elif name == "part":
        torch.save({name: value for name, value in data.items() if name != "calibration"}, path)
    return path


@pytest.mark.parametrize("name", ["missing", "text", "empty", "cut", "a folder", "older", "a fit", "part"])
def test_what_is_no_network_is_refused_in_a_line(
    name: str, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = unfit(name, tmp_path)
    assert main(["measure", str(picture), "--weights", str(path), "--out", str(tmp_path / "out")]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(f"pyrodrop measure: --weights {path}")
    assert shown.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_they_are_refused_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="pyrodrop learn"):
        pyrodrop.measure(np.eye(40, dtype=np.float32), weights=tmp_path / "none.pt")
    with pytest.raises(SettingError, match="pyrodrop learn"):
        measure_tiles(np.eye(90, dtype=np.float32), tmp_path / "out", weights=tmp_path / "none.pt", progress=False)
    assert not (tmp_path / "out").exists()
