"""``pyrodrop learn``: weights are written where the droplets held out are seen better, and only there."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from detection.learning.toy_patches import discs
from workflows.learning.laboratory_images import beaded, write_laboratory

import pyrodrop
from pyrodrop.cli import main
from pyrodrop.detection.learning import fine_tuning
from pyrodrop.detection.learning.laboratory import marked_image
from pyrodrop.detection.learning.scoring import match
from pyrodrop.detection.network.weights import SHIPPED, Calibration, TrainedNetwork, read_weights, to_data
from pyrodrop.workflows.commands.learn import learn
from pyrodrop.workflows.learning import lesson
from pyrodrop.workflows.learning.laboratory_folder import read_laboratory

pytestmark = pytest.mark.usefixtures("figures_left_blank")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few patches, for tests of what is done with what was learnt."""
    monkeypatch.setattr(lesson, "HELD_OUT", 48)
    monkeypatch.setattr(lesson, "OWN_HELD_OUT", 48)
    monkeypatch.setattr(fine_tuning, "SCHEDULE", fine_tuning.SCHEDULE._replace(batch=4, block=8))


@pytest.fixture
def laboratory(tmp_path: Path) -> Path:
    """Plain discs, each with its table."""
    patches = discs(4, 128, seed=3)
    places = [circles[:, :3].astype(float) for circles in patches.circles]
    images = [marked_image("discs", *pair) for pair in zip(patches.images, places, strict=True)]
    write_laboratory(tmp_path / "laboratory", images)
    return tmp_path / "laboratory"


@pytest.fixture
def mute(tmp_path: Path) -> Path:
    """The network that ships, which has forgotten that its proposals may be right."""
    trained = TrainedNetwork(read_weights(SHIPPED).network, Calibration((0.0, 1.0), (0.0, 0.0)))
    torch.save(to_data(trained), tmp_path / "mute.pt")
    return tmp_path / "mute.pt"


@pytest.mark.usefixtures("short")
def test_what_is_better_is_written_and_measures(
    laboratory: Path, mute: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new" / "ours.pt"
    argv = ["learn", str(laboratory), "--weights", str(mute), "--steps", "1", "--seed", "3", "--device", "cpu"]
    assert main([*argv, "--out", str(file), "--json", "--quiet"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    said = json.loads(shown.out)
    assert {path.name for path in file.parent.iterdir()} == {"ours.pt", "ours.json"}
    assert json.loads(file.with_suffix(".json").read_text()) | {"weights": str(file)} == said
    assert (said["images"], said["images_without_table"], said["steps"], said["seed"]) == (4, 0, 1, 3)
    assert said["held_out"]["before"]["f1"] == 0 < 0.8 < said["held_out"]["after"]["f1"]
    assert said["simulations"]["after"]["f1"] > 0.4
    counts = [len(table.read_text().splitlines()) - 1 for table in sorted(laboratory.glob("*.csv"))]
    assert said["droplets_held_out"] in counts
    assert said["droplets_taught"] + said["droplets_held_out"] == sum(counts)
    image = str(laboratory / "0.tif")
    out = str(tmp_path / "out")
    assert main(["measure", image, "--weights", str(file), "--out", out, "--json", "--quiet"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["n_droplets"] == pytest.approx(counts[0], abs=2)
    assert measured["weights"]["file"] == str(file)
    # What measure has written can be learnt from, and it is known whether anybody has corrected it.
    seen = read_laboratory(out)
    assert ([len(image.circles) for image in seen.marked], seen.unmarked) == ([measured["n_droplets"]], [])
    assert seen.as_measured == (out,)
    table = tmp_path / "out" / "droplets.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    seen = read_laboratory(out)
    assert ([len(image.circles) for image in seen.marked], seen.as_measured) == ([measured["n_droplets"] - 1], ())


@pytest.mark.usefixtures("short")
def test_what_is_no_better_is_written_only_if_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(0).normal(size=(128, 128)).astype(np.float32)
    nowhere = np.array([[30.0, 30, 6], [90, 30, 6], [30, 90, 6], [90, 90, 6]])
    write_laboratory(tmp_path / "laboratory", [marked_image("noise", noise, nowhere)])
    file = tmp_path / "new" / "ours.pt"
    argv = ["learn", str(tmp_path / "laboratory"), "--steps", "1", "--device", "cpu", "--out", str(file)]
    assert main([*argv, "--json"]) == 1
    shown = capsys.readouterr()
    assert "no better than before (F1 0.000 before and 0.000 after" in json.loads(shown.out)["failed"][str(file)]
    assert "1/1" in shown.err
    assert not file.exists()
    assert not file.with_suffix(".json").exists()
    assert main([*argv, "--force", "--quiet", "--json"]) == 0
    assert "no better than before" in json.loads(capsys.readouterr().out)["warnings"][0]
    read_weights(file)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["--minutes", "0"], "--minutes is 0"),
        (["--minutes", "long"], "--minutes"),
        (["--steps", "0"], "--steps is 0"),
        (["--seed", "-1"], "--seed is -1"),
        (["--device", "tpu"], "--device is 'tpu'"),
        (["--weights", "none.pt"], "none.pt is no file"),
        (["--channel", "infrared"], "infrared"),
    ],
    ids=" ".join,
)
def test_wrong_settings_are_refused_before_anything_is_learnt(
    given: list[str], named: str, laboratory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(["learn", str(laboratory), "--out", str(tmp_path / "new" / "ours.pt"), *given])
    except SystemExit as left:
        status = left.code
    shown = capsys.readouterr()
    assert (status, shown.out) == (2, "")
    assert shown.err.startswith("pyrodrop learn: ")
    assert named in shown.err
    assert shown.err.count("\n") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("folder", "out"), [("missing", "ours.pt"), ("laboratory", "ours"), ("empty", "ours.pt")])
def test_wrong_folders_and_files_are_refused(
    folder: str, out: str, laboratory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["learn", str(tmp_path / folder), "--out", str(tmp_path / "new" / out)]) == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert (str(tmp_path / folder) if out == "ours.pt" else "--out") in shown.err
    assert not (tmp_path / "new").exists()


def found(image: np.ndarray, places: np.ndarray, weights: Path | None) -> tuple[int, int]:
    """How many droplets of an image are measured where they are, and how many rows there are."""
    table = pyrodrop.measure(image, profile="gaussian", weights=weights).table
    pairs, _ = match(table[["x_px", "y_px", "radius_px"]].to_numpy(), places)
    return len(pairs), len(table)


@pytest.mark.slow
def test_a_look_that_the_network_does_not_know_is_learnt(tmp_path: Path) -> None:
    """In 90 steps, a minute's: none of the droplets held out was seen before, and most are after."""
    write_laboratory(tmp_path / "laboratory", [beaded(100 + k) for k in range(6)])
    file = tmp_path / "ours.pt"
    said = learn(str(tmp_path / "laboratory"), str(file), steps=90, progress=False, device="cpu")
    assert said["held_out"]["before"]["f1"] < 0.2
    assert said["held_out"]["after"]["f1"] > 0.7
    assert said["held_out"]["after"]["radius_error"] < 0.15
    assert said["simulations"]["after"]["f1"] > said["simulations"]["before"]["f1"] - 0.08
    new = beaded(7)
    places = new.circles[:, :3].astype(float)
    before, after = found(new.pixels, places, None), found(new.pixels, places, file)
    assert before[0] < 4
    assert after[0] > 9
    assert after[1] < 1.3 * len(places)
