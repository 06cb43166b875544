"""Any sequence of batches, kills, deaths of workers, full disks, altered files, other images and settings, and edits.

It ends in the tables of an undisturbed batch of the same images, or in one clear line.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from faults.disturbed import (
    Fault,
    altered,
    command,
    faults,
    files_in,
    picture,
    run_sequences,
    was_done,
)
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from pyrodrop.workflows.commands import measure as measuring
from pyrodrop.workflows.commands import measured_folder
from pyrodrop.workflows.measuring.measurement import Measurement
from pyrodrop.workflows.measuring.progress.kept_on_disk import KeptOnDisk

# One figure stands for all.
FIGURE = {"count": measured_folder._FIGURES["count"]}
SETTINGS = ((), ("--seed", "1"), ("--radius", "3", "9"))
NAMES = ("a.png", "b.png")
# What a file may hold: two pictures, a picture that is cut off, and nothing at all.
CONTENTS = (picture(3), picture(5), picture(3)[:200], None)
TABLED = ("droplets.csv", "summary.json")
disturbances = faults("full", "interrupted", "killed", "worker died", most=60)
_measure = measuring.measure
_measurements: dict[str, Measurement] = {}


def measured_once(pixels: Any, mask: Any, *, keep: Any, progress: bool, **how: Any) -> Measurement:
    """The measurement, made once of the same pixels with the same settings: what is done with it is what is tried.

    Something is kept on the way, as of a long one.
    """
    key = hashlib.sha256(
        pixels.numpy().tobytes() + repr((tuple(pixels.shape), sorted(how.items()))).encode()
    ).hexdigest()
    KeptOnDisk(keep).keep(key, {"x": np.zeros(3)})
    if key not in _measurements:
        _measurements[key] = _measure(pixels, mask, **how)
    return _measurements[key]


@contextmanager
def quick() -> Iterator[None]:
    """No more than is needed to try what becomes of files."""
    with patch.object(measured_folder, "_FIGURES", FIGURE), patch.object(measuring, "measure", measured_once):
        yield


def write_images(folder: Path, contents: tuple[int, ...]) -> None:
    folder.mkdir(exist_ok=True)
    for name, number in zip(NAMES, contents, strict=True):
        content = CONTENTS[number]
        if content is None:
            (folder / name).unlink(missing_ok=True)
        else:
            (folder / name).write_bytes(content)


def run(home: Path, setting: int, fault: Fault = None) -> tuple[int | None, dict[str, Any], str]:
    words = ("batch", str(home / "images"), "--profile", "disc", *SETTINGS[setting], "--out", str(home / "out"))
    with quick():
        return command(*words, fault=fault)


def results_in(home: Path) -> dict[str, str]:
    """All tables of a batch and of its images that are in them, wherever it lies."""
    out = home / "out"
    summary = json.loads((out / "summary.json").read_text())
    kept = {name: value for name, value in summary.items() if name not in ("digest", "state", "tables")}
    said = {"droplets": (out / "droplets.csv").read_text(), "images": (out / "summary.csv").read_text()}
    said["summary"] = json.dumps(kept)
    for line in said["images"].splitlines()[1:]:
        folders = [path for path in out.glob("*-*") if f",{path.name}," in line]
        for folder in folders:
            said |= {f"{folder.name}/{name}": (folder / name).read_text() for name in TABLED}
    return {name: text.replace(str(home), "HOME") for name, text in said.items()}


@cache
def undisturbed(setting: int, contents: tuple[int, ...]) -> tuple[int | None, dict[str, str]]:
    """Status and results of one batch to which nothing has happened."""
    home = Path(tempfile.mkdtemp(prefix="pyrodrop-batch-"))
    write_images(home / "images", contents)
    status, _, said = run(home, setting)
    if status == 2:
        assert said.count("\n") == 1
        return 2, {}
    results = results_in(home)
    shutil.rmtree(home)
    return status, results


@cache
def undisturbed_edit(setting: int, content: int) -> bytes:
    home = Path(tempfile.mkdtemp(prefix="pyrodrop-batch-edit-"))
    write_images(home / "images", (content, 3))
    run(home, setting)
    assert edit(home)[0] == 0
    table = (home / "edited" / "droplets.csv").read_bytes()
    shutil.rmtree(home)
    return table


def edit(home: Path, fault: Fault = None) -> tuple[int | None, dict[str, Any], str]:
    """A droplet is removed from the first image whose results there are."""
    (home / "edits.json").write_text(json.dumps({"remove": [0]}))
    first = min(home.glob("out/a-*"), default=home / "out" / "a-none")
    with quick():
        return command("edit", str(first), str(home / "edits.json"), "--out", str(home / "edited"), fault=fault)


class Batches(RuleBasedStateMachine):
    """A folder of images, one of results, and all that may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="pyrodrop-batches-"))
        self.contents = (0, 1)

    def teardown(self) -> None:
        """Whatever has happened, the next run has the results."""
        try:
            self.run(0, None)
        finally:
            shutil.rmtree(self.home)

    @initialize(setting=st.sampled_from(range(len(SETTINGS))), fault=disturbances)
    def begin(self, setting: int, fault: Fault) -> None:
        write_images(self.home / "images", self.contents)
        self.run(setting, fault)

    @rule(setting=st.sampled_from(range(len(SETTINGS))), fault=disturbances)
    def run(self, setting: int, fault: Fault) -> None:
        expected, results = undisturbed(setting, self.contents)
        status, told, said = run(self.home, setting, fault)
        if status == expected and told:
            # Deaths of workers are got over; what a fault has hit is done all the same or was of no account.
            assert said == ""
            assert results_in(self.home) == results
            assert not {".under-way", ".measuring"} & set(os.listdir(self.home / "out"))
            assert told["done"] + told["failed"] == told["images"]
        elif status == expected == 2:
            assert said.count("\n") == 1
        else:
            assert not was_done(status, said, fault)
            assert fault is not None

    @precondition(lambda self: any(self.home.glob("out/a-*")))
    @rule(fault=disturbances)
    def edit(self, fault: Fault) -> None:
        folders = sorted(self.home.glob("out/a-*"))
        status, _, said = edit(self.home, fault)
        if was_done(status, said, fault):
            assert folders
            known = [(s, c) for s in range(len(SETTINGS)) for c in (0, 1)]
            table = (self.home / "edited" / "droplets.csv").read_bytes()
            assert table in [undisturbed_edit(*each) for each in known]

    @rule(image=st.sampled_from((0, 1)), content=st.sampled_from((0, 0, 1, 1, 2, 3)))
    def change_image(self, image: int, content: int) -> None:
        contents = list(self.contents)
        contents[image] = content
        self.contents = (contents[0], contents[1])
        write_images(self.home / "images", self.contents)

    @rule(number=st.integers(0, 60), how=st.sampled_from(["longer", "empty", "gone", "other"]))
    def alter(self, number: int, how: str) -> None:
        files = files_in(self.home / "out") if (self.home / "out").exists() else []
        if not files:
            return
        path = files[number % len(files)]
        # Of files that no table is made of a batch notes no more than how long they are.
        if how != "other" or path.name in TABLED or path.parent == self.home / "out" or path.name == "batch.json":
            altered(path, how)


def test_some_batches_end_in_the_same_results_or_in_one_line() -> None:
    run_sequences(Batches, 2)


@pytest.mark.slow
def test_many_batches_end_in_the_same_results_or_in_one_line() -> None:
    """PYRODROP_SEQUENCES=1000 runs a thousand, which takes a core eight minutes."""
    run_sequences(Batches, int(os.environ.get("PYRODROP_SEQUENCES", "25")))
