"""``pyrodrop edit``: a folder of results and a file of edits make a new folder, and what is wrong is one clear line."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import pyrodrop
from pyrodrop.cli import main
from pyrodrop.results.storage.run_files import digest_of, is_altered
from pyrodrop.workflows.commands.report import report

pytestmark = pytest.mark.usefixtures("figures_left_blank")

SIZE = (70, 90)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of results of seven droplets."""
    folder = tmp_path_factory.mktemp("measured")
    image, _ = pyrodrop.simulate(7, SIZE, seed=5, kind="gray", profile="disc", radius_px=(4, 7), margin=1.0)
    pixels = np.clip(image.pixels[..., 0].numpy() * 200, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "drops.png")
    made = folder / "results"
    assert main(["measure", str(folder / "drops.png"), "--profile", "disc", "--out", str(made), "--quiet"]) == 0
    return made


def run(results: Path, tmp_path: Path, edits: Any, *more: str) -> tuple[int, Path]:
    """The exit status of an edit, and where it writes to."""
    file, out = tmp_path / "edits.json", tmp_path / "out"
    file.write_text(edits if isinstance(edits, str) else json.dumps(edits), encoding="utf-8")
    return main(["edit", str(results), str(file), "--out", str(out), *more]), out


def test_edits_make_a_new_folder_and_leave_the_old_one(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.read_bytes() for path in results.iterdir()}
    table = pd.read_csv(results / "droplets.csv")
    x, y, radius = table.loc[2, ["x_px", "y_px", "radius_px"]]
    said = {
        "droplets_sha256": digest_of(results, "droplets.csv"),
        "note": "dirt",
        "remove": [0],
        "move": {"2": [x + 1, y, radius]},
    }
    status, out = run(results, tmp_path, said, "--json")
    assert status == 0
    summary = json.loads((out / "summary.json").read_text())
    assert json.loads(capsys.readouterr().out)["edits"] == {"remove": 1, "move": 1}
    assert [edit["edit"] for edit in summary["edits"]["list"]] == ["remove", "move"]
    edited = pd.read_csv(out / "droplets.csv")
    assert sorted(edited["id"]) == sorted(set(table["id"]) - {0})
    assert summary["n_droplets"] == len(edited) == len(table) - 1
    assert summary["image"] == json.loads((results / "summary.json").read_text())["image"]
    places = pd.read_csv(out / "edits.csv")
    assert places[["edit", "x_px"]].iloc[0].tolist() == ["remove", pytest.approx(table["x_px"][0], abs=0.01)]
    assert {path.name: path.read_bytes() for path in results.iterdir()} == before
    assert not is_altered(out, "edits.csv")
    told = report(out)
    assert "By hand, a person removed what was no droplet once and moved a droplet once" in Path(
        told["report"]
    ).read_text(encoding="utf-8")


def test_what_was_edited_is_edited_again(results: Path, tmp_path: Path) -> None:
    _, first = run(results, tmp_path, {"remove": [0]})
    (tmp_path / "second").mkdir()
    status, second = run(first, tmp_path / "second", {"remove": [1]})
    assert status == 0
    assert [edit["before"] for edit in json.loads((second / "summary.json").read_text())["edits"]["list"]] == [[0], [1]]


def test_the_new_folder_has_the_name_of_the_old_one(results: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(results, tmp_path / "here")
    (tmp_path / "edits.json").write_text('{"keep": [0]}')
    assert main(["edit", str(folder), str(tmp_path / "edits.json"), "--quiet"]) == 0
    assert (tmp_path / "here-edited" / "summary.json").is_file()


def test_a_mask_lies_beside_the_file_of_edits(results: Path, tmp_path: Path) -> None:
    mask = np.full(SIZE, 255, np.uint8)
    mask[:, 45:] = 0
    Image.fromarray(mask).save(tmp_path / "mask.png")
    status, out = run(results, tmp_path, {"mask": "mask.png"})
    assert status == 0
    assert (pd.read_csv(out / "droplets.csv")["x_px"] < 45).all()
    assert json.loads((out / "summary.json").read_text())["looked_at"]["share"] == 0.5


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ("{", "is no JSON"),
        ("[1]", "holds no JSON object"),
        ("{}", "holds no edits"),
        ({"note": "nothing"}, "holds no edits"),
        ({"delete": [1]}, "has 'delete', which is no edit"),
        ({"remove": [77]}, "remove names 77, and no droplet has that id"),
        ({"remove": "all"}, "remove is 'all', expected a list of ids"),
        ({"add": [[400, 3, 4]]}, "whose centre is outside of the image of 90 x 70 px"),
        ({"add": [[None, 3, 4]]}, "expected a circle"),
        ({"move": [[1, 2, 3]]}, "expected an object whose keys are ids"),
        ({"move": {"x": [1, 2, 3]}}, "expected an object whose keys are ids"),
        ({"mask": "none.png"}, "is no file"),
        ({"mask": 3}, "expected the name of a file"),
        ({"remove": [1], "droplets_sha256": "0"}, "holds edits of other results"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_wrong_edits_are_one_line(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], edits: Any, said: str
) -> None:
    status, out = run(results, tmp_path, edits)
    shown = capsys.readouterr()
    assert (status, shown.out) == (2, "")
    assert said in shown.err
    assert shown.err.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("name", ["droplets.csv", "candidates.csv", "fit.pt", "image.tif"])
def test_a_folder_that_was_altered_is_not_edited(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder = shutil.copytree(results, tmp_path / "altered")
    with (folder / name).open("ab") as file:
        file.write(b"\n")
    assert run(folder, tmp_path, {"remove": [0]})[0] == 2
    assert "was altered since it was written" in capsys.readouterr().err
    (folder / name).unlink()
    assert run(folder, tmp_path, {"remove": [0]})[0] == 2
    shown = capsys.readouterr().err
    assert name in shown
    assert shown.count("\n") == 1


def test_what_is_no_measurement_is_not_edited(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "nowhere", tmp_path, {"remove": [0]})[0] == 2
    assert "is not a folder" in capsys.readouterr().err
    fit = ["fit", str(results.parent / "drops.png"), "--channel", "gray", "--droplets", "2", "--steps", "2", "--quiet"]
    assert main([*fit, "--out", str(tmp_path / "fit")]) == 0
    assert run(tmp_path / "fit", tmp_path, {"remove": [0]})[0] == 2
    assert "a fit of a given number of droplets" in capsys.readouterr().err
    assert run(results, tmp_path, {"remove": [0]}, "--out", str(results))[0] == 2
    assert "--out" in capsys.readouterr().err
