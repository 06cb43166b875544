"""Any sequence of measuring in tiles, kills, full disks, altered files, and other images and settings.

It ends in the results of an undisturbed run, or in one clear line.
"""

import hashlib
import io
import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import tifffile
from faults.disturbed import Fault, altered, command, faults, files_in, picture, run_sequences, was_done
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from PIL import Image

from pyrodrop.workflows.commands import measure as measuring
from pyrodrop.workflows.tiles import plan, tile_results

SETTINGS = (("--tiles", "64"), ("--tiles", "64", "--seed", "1"), ("--tiles", "80"))
SIZE = (72, 120)
disturbances = faults("full", "interrupted", "killed", most=50)


@cache
def tiff(seed: int) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, np.asarray(Image.open(io.BytesIO(picture(seed, SIZE, 8)))))
    return file.getvalue()


# What the file may hold: two pictures, a picture that is cut off, and nothing at all.
CONTENTS: tuple[Callable[[], bytes | None], ...] = (
    lambda: tiff(3),
    lambda: tiff(5),
    lambda: tiff(3)[:60],
    lambda: None,
)


def once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, called once with the same arguments: what becomes of what it returns is what is tried."""
    known: dict[str, Any] = {}

    def remembered(*given: Any) -> Any:
        key = hashlib.sha256(pickle.dumps(given)).hexdigest()
        if key not in known:
            known[key] = function(*given)
        return known[key]

    return remembered


look_at, measure_part = once(plan.look_at), once(tile_results.measure_part)


def write_image(home: Path, content: int) -> None:
    data = CONTENTS[content]()
    (home / "image.tif").unlink(missing_ok=True)
    if data is not None:
        (home / "image.tif").write_bytes(data)


def run(home: Path, setting: int, fault: Fault = None) -> tuple[int | None, dict[str, Any], str]:
    words = ("measure", str(home / "image.tif"), "--profile", "disc", *SETTINGS[setting], "--out", str(home / "out"))
    quick = patch.object(plan, "look_at", look_at), patch.object(tile_results, "measure_part", measure_part)
    with patch.object(measuring, "_cores", lambda: 1), quick[0], quick[1]:
        return command(*words, fault=fault)


def results_in(home: Path) -> tuple[bytes, dict[str, Any]]:
    """What a folder says of the droplets, without how long it took and how much of it was done before."""
    summary = json.loads((home / "out" / "summary.json").read_text().replace(str(home), "HOME"))
    said = {name: value for name, value in summary.items() if "second" not in name}
    said["tiles"] = {name: value for name, value in said["tiles"].items() if name not in ("seconds", "done_before")}
    return (home / "out" / "droplets.csv").read_bytes(), said


@cache
def undisturbed(setting: int, content: int) -> tuple[bytes, dict[str, Any]] | None:
    """The results of one run to which nothing has happened; None where the image cannot be read."""
    home = Path(tempfile.mkdtemp(prefix="pyrodrop-tiles-"))
    write_image(home, content)
    status, _, said = run(home, setting)
    results = results_in(home) if was_done(status, said, None) else None
    assert (results is None) == (CONTENTS[content]() not in (tiff(3), tiff(5)))
    shutil.rmtree(home)
    return results


class Tiles(RuleBasedStateMachine):
    """An image, a folder of results, and all that may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="pyrodrop-tiled-"))
        self.content = 0

    def teardown(self) -> None:
        """Whatever has happened, the next run has the results."""
        try:
            self.run(0, None)
        finally:
            shutil.rmtree(self.home)

    @initialize(fault=disturbances)
    def begin(self, fault: Fault) -> None:
        write_image(self.home, self.content)
        self.run(0, fault)

    @rule(setting=st.sampled_from((0, 0, 0, 1, 2)), fault=disturbances)
    def run(self, setting: int, fault: Fault) -> None:
        expected = undisturbed(setting, self.content)
        status, _, said = run(self.home, setting, fault)
        if was_done(status, said, fault):
            assert results_in(self.home) == expected
        else:
            assert expected is None or fault is not None

    @rule(content=st.sampled_from((0, 0, 0, 1, 2, 3)))
    def change_image(self, content: int) -> None:
        self.content = content
        write_image(self.home, content)

    @rule(
        within=st.sampled_from(["out", "out/tiles"]),
        number=st.integers(0, 20),
        how=st.sampled_from(["longer", "empty", "gone", "other"]),
    )
    def alter(self, within: str, number: int, how: str) -> None:
        folder = self.home / within
        files = files_in(folder) if folder.exists() else []
        if files:
            altered(files[number % len(files)], how)


def test_some_tiled_runs_end_in_the_same_results_or_in_one_line() -> None:
    run_sequences(Tiles, 2)


@pytest.mark.slow
def test_many_tiled_runs_end_in_the_same_results_or_in_one_line() -> None:
    """PYRODROP_SEQUENCES=1000 runs a thousand, which takes a core ten minutes."""
    run_sequences(Tiles, int(os.environ.get("PYRODROP_SEQUENCES", "25")))
