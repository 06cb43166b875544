"""Images that a worker fits side by side: the same results as one by one, whatever is wrong with some of them."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import pyrodrop
from pyrodrop.images import write_png
from pyrodrop.workflows.batch.grouped_tasks import do_together
from pyrodrop.workflows.batch.jobs import MOST_TOGETHER, together_most
from pyrodrop.workflows.batch.ledger import Ledger
from pyrodrop.workflows.batch.result_folders import read_record
from pyrodrop.workflows.batch.sources import Source
from pyrodrop.workflows.batch.tasks import Outcome, Task, attempts
from pyrodrop.workflows.commands import fit_many as module
from pyrodrop.workflows.commands.fit import fit_image
from pyrodrop.workflows.commands.fit_many import fit_images
from pyrodrop.workflows.settings import SettingError

SETTINGS: dict[str, Any] = {"channel": "saturation", "n_droplets": 2, "steps": 4, "start": "uniform", "device": "cpu"}
GOOD = ("a", "b", "wide", "c")
NAMES = ("a", "b", "bad", "wide", "c")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three micrographs of one size, one of another, and one that is cut short."""
    folder = tmp_path_factory.mktemp("images")
    for seed, name in enumerate(GOOD):
        write_png(pyrodrop.simulate(2, (30, 52 if name == "wide" else 40), seed)[0], folder / f"{name}.png")
    (folder / "bad.png").write_bytes((folder / "a.png").read_bytes()[:500])
    return folder


@pytest.fixture(scope="module")
def alone(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of each image fitted by itself."""
    out = tmp_path_factory.mktemp("alone")
    for name in GOOD:
        fit_image(str(images / f"{name}.png"), str(out / name), progress=False, **SETTINGS)
    return out


def same_results(found: Path, expected: Path) -> None:
    """The same files, tables and losses, but for rounding and the time it took."""
    assert {path.name for path in found.iterdir()} - {"batch.json"} == {path.name for path in expected.iterdir()}
    for name in ("droplets.csv", "losses.csv"):
        pd.testing.assert_frame_equal(pd.read_csv(found / name), pd.read_csv(expected / name), rtol=1e-3)
    ours, theirs = (json.loads((folder / "summary.json").read_text()) for folder in (found, expected))
    assert ours.keys() == theirs.keys()
    assert (ours["image"], ours["steps"]) == (theirs["image"], theirs["steps"])
    assert torch.equal(pyrodrop.load(found / "fit.pt").channel, pyrodrop.load(expected / "fit.pt").channel)


def tasks_of(images: Path, out: Path) -> list[Task]:
    """The tasks of a batch over all images, in a run of its own."""
    run = out / ".under-way" / "run"
    run.mkdir(parents=True, exist_ok=True)
    sources = [Source(str(images / f"{name}.png"), name) for name in NAMES]
    ledger = Ledger(sources, out, "fit", SETTINGS, progress=False)
    try:
        return [Task(**vars(task) | {"run": str(run)}) for task in ledger.missing()]
    finally:
        ledger.close()


@pytest.mark.slow
@pytest.mark.parametrize("most_pixels", [1 << 26, 2 * 30 * 40, 1])
def test_images_of_any_size_are_fitted_but_for_those_that_cannot_be_read(
    most_pixels: int, images: Path, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the memory is enough for all of them at once or not."""
    monkeypatch.setattr(module, "MOST_PIXELS", most_pixels)
    wanted = [(str(images / f"{name}.png"), None, str(tmp_path / name)) for name in NAMES]
    done = list(fit_images(wanted, **SETTINGS))
    assert sorted(NAMES[number] for number, _ in done) == sorted(GOOD)
    assert all(seconds > 0 for _, seconds in done)
    for name in GOOD:
        same_results(tmp_path / name, alone / name)


def test_each_image_of_a_group_has_its_own_outcome_and_results(images: Path, alone: Path, tmp_path: Path) -> None:
    tasks = tasks_of(images, tmp_path)
    outcomes = dict(zip(NAMES, do_together(tasks), strict=True))
    assert {name for name, outcome in outcomes.items() if outcome == Outcome()} == set(GOOD)
    assert "cut short or damaged" in str(outcomes["bad"].reason)
    for name, task in zip(NAMES, tasks, strict=True):
        if name == "bad":
            assert not Path(task.folder).exists()
            continue
        same_results(Path(task.folder), alone / name)
        record = read_record(task.folder, task.key)
        assert record is not None
        assert record["image"] == task.path
        assert record["seconds"] > 0
    assert not list(Path(tasks[0].run).iterdir())


@pytest.mark.slow
def test_what_is_published_is_not_done_again_and_the_rest_is(images: Path, tmp_path: Path) -> None:
    tasks = tasks_of(images, tmp_path)
    do_together(tasks[:2])
    shutil.rmtree(tasks[1].folder)
    before = (Path(tasks[0].folder) / "batch.json").stat().st_mtime_ns
    assert do_together(tasks[:2]) == [Outcome(), Outcome()]
    assert (Path(tasks[0].folder) / "batch.json").stat().st_mtime_ns == before
    assert read_record(tasks[1].folder, tasks[1].key) is not None


@pytest.mark.slow
def test_where_a_group_has_died_each_is_done_alone_and_none_is_blamed(
    images: Path, alone: Path, tmp_path: Path
) -> None:
    """What a worker leaves that is killed at a group is a folder for each image of it."""
    tasks = tasks_of(images, tmp_path)[:2]
    for task in tasks:
        (Path(task.run) / f"{Path(task.folder).name}.together").mkdir()
        assert attempts(task) == 0
    assert do_together(tasks) == [Outcome(), Outcome()]
    for name, task in zip(NAMES, tasks, strict=False):
        one, other = (pd.read_csv(folder / "losses.csv") for folder in (Path(task.folder), alone / name))
        np.testing.assert_array_equal(one, other)  # to the last bit, as only a fit of its own is


@pytest.mark.slow
def test_an_image_that_changed_is_told_of_and_the_others_are_done(images: Path, tmp_path: Path) -> None:
    shutil.copytree(images, tmp_path / "images")
    tasks = tasks_of(tmp_path / "images", tmp_path / "out")[:2]
    shutil.copy(images / "c.png", tasks[1].path)
    done, changed = do_together(tasks)
    assert done == Outcome()
    assert "changed while it was read" in str(changed.reason)
    assert not Path(tasks[1].folder).exists()


def test_how_many_at_once() -> None:
    assert together_most("fit", {}, None) == (1, MOST_TOGETHER)
    assert together_most("fit", {"device": "cpu"}, None) == (1, 1)
    assert together_most("fit", {"device": "cpu"}, 5) == (5, 5)
    assert together_most("fit", {"n_droplets": "auto"}, 5) == (1, 1)
    assert together_most("measure", {}, None) == (1, 1)
    with pytest.raises(SettingError, match="measure takes one image at a time"):
        together_most("measure", {}, 2)
