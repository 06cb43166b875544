"""Any sequence of measuring, editing and reporting, of full disks, interruptions and altered files.

It ends in the results of an undisturbed run, or in one clear line. A disk that is full, and Ctrl-C, come when a file is
given to the disk, which every file is before it gets its name.
"""

import contextlib
import errno
import io
import json
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from PIL import Image

import pyrodrop
from pyrodrop.cli import main
from pyrodrop.workflows.commands import measured_folder

# Figures take most of the time of so small an image; one of them stands for all.
FIGURE = {"count": measured_folder._FIGURES["count"]}
SETTINGS = ((), ("--seed", "1"), ("--border", "drop"), ("--radius", "3", "9"))
EDITS: tuple[dict[str, Any], ...] = (
    {"remove": [0]},
    {"add": [[40.0, 30.0, 5.0]], "keep": [1]},
    {"move": {"1": [20, 20, 5]}},
)
NEEDED = ("fit.pt", "image.tif", "droplets.csv", "candidates.csv", "summary.json")
FILES = (*NEEDED, "manifest.json", "residual.tif", "count.png", "losses.csv")
faults = st.none() | st.tuples(st.integers(1, 12), st.sampled_from(["full", "interrupted"]))


def command(*words: str, fault: tuple[int, str] | None = None) -> tuple[int, dict[str, Any], str]:
    """Run the command line, which fails at a number of files or not at all: status, what it printed, and its line."""
    told, said, written = io.StringIO(), io.StringIO(), 0
    real = os.fsync

    def to_disk(handle: int) -> None:
        nonlocal written
        written += 1
        if fault is not None and written == fault[0]:
            if fault[1] == "interrupted":
                raise KeyboardInterrupt
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    heard = contextlib.redirect_stdout(told), contextlib.redirect_stderr(said)
    with patch("os.fsync", to_disk), patch.object(measured_folder, "_FIGURES", FIGURE), heard[0], heard[1]:
        status = main([*words, "--json", "--quiet"])
    return status, json.loads(told.getvalue() or "{}"), said.getvalue()


def results_in(folder: Path) -> tuple[bytes, bytes, dict[str, Any]]:
    """What a folder says of the droplets, without how long it took."""
    summary = json.loads((folder / "summary.json").read_text())
    said = {name: value for name, value in summary.items() if "second" not in name}
    return (folder / "droplets.csv").read_bytes(), (folder / "candidates.csv").read_bytes(), said


@cache
def picture() -> str:
    image, _ = pyrodrop.simulate(4, (50, 60), seed=3, kind="gray", profile="disc", radius_px=(4, 6), noise=0.02)
    path = Path(tempfile.mkdtemp(prefix="pyrodrop-sequences-")) / "drops.png"
    Image.fromarray((255 * image.pixels[..., 0].clamp(0, 1)).numpy().astype(np.uint8)).save(path)
    return str(path)


@cache
def undisturbed(number: int, edit: int | None = None) -> tuple[bytes, bytes, dict[str, Any]]:
    """The results of one run, edited or not, to which nothing has happened."""
    out = Path(picture()).parent / f"{number}"
    if edit is None:
        assert command("measure", picture(), "--profile", "disc", *SETTINGS[number], "--out", str(out))[0] == 0
        return results_in(out)
    undisturbed(number)
    edits, edited = out.with_suffix(".json"), out.with_name(f"{number}-{edit}")
    edits.write_text(json.dumps(EDITS[edit]))
    assert command("edit", str(out), str(edits), "--out", str(edited))[0] == 0
    return results_in(edited)


class Sequences(RuleBasedStateMachine):
    """One folder of results, its edited copy, and all that may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="pyrodrop-sequence-"))
        self.out, self.edited = self.home / "out", self.home / "edited"
        self.measured: int | None = None
        self.touched: set[str] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.home)

    def done(self, status: int, said: str, fault: tuple[int, str] | None) -> bool:
        """Whether it was done; if not, it says so in one line, and the status fits."""
        if status == 0:
            assert said == ""
            return True
        assert said.count("\n") == 1, said
        assert said.startswith("pyrodrop ")
        assert status in ({2} if fault is None else {2, {"full": 1, "interrupted": 130}[fault[1]]}), said
        return False

    @initialize(number=st.sampled_from(range(len(SETTINGS))))
    def begin(self, number: int) -> None:
        self.measure(number, None)

    @rule(number=st.sampled_from(range(len(SETTINGS))), fault=faults)
    def measure(self, number: int, fault: tuple[int, str] | None) -> None:
        words = ("measure", picture(), "--profile", "disc", *SETTINGS[number], "--out", str(self.out))
        status, _, said = command(*words, fault=fault)
        done = self.done(status, said, fault)
        assert done or fault is not None
        self.measured, self.touched = (number if done else None), set()
        if done:
            assert results_in(self.out) == undisturbed(number)

    @rule(edit=st.sampled_from(range(len(EDITS))), fault=faults)
    def edit(self, edit: int, fault: tuple[int, str] | None) -> None:
        (self.home / "edits.json").write_text(json.dumps(EDITS[edit]))
        words = ("edit", str(self.out), str(self.home / "edits.json"), "--out", str(self.edited))
        status, _, said = command(*words, fault=fault)
        done = self.done(status, said, fault)
        if self.measured is None:
            assert not done
        elif done:
            assert results_in(self.edited) == undisturbed(self.measured, edit)
        else:
            assert fault is not None or self.touched & {*NEEDED, "manifest.json"}

    @rule(fault=faults)
    def report(self, fault: tuple[int, str] | None) -> None:
        status, told, said = command("report", str(self.out), fault=fault)
        if not self.done(status, said, fault):
            assert self.measured is None or fault is not None or self.touched
        elif "manifest.json" not in self.touched:  # without which nothing can be told
            assert self.measured is not None
            assert ("warnings" in told) == bool(self.touched), told

    @rule(name=st.sampled_from(FILES), how=st.sampled_from(["longer", "empty", "gone"]))
    def alter(self, name: str, how: str) -> None:
        path = self.out / name
        if not path.exists():
            return
        self.touched.add(name)
        if how == "gone":
            path.unlink()
        elif how == "empty":
            path.write_bytes(b"")
        else:
            path.write_bytes(path.read_bytes() + b"\n ")


def run(sequences: int) -> None:
    run_state_machine_as_test(
        Sequences,
        settings=settings(
            max_examples=sequences,
            stateful_step_count=6,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            database=None,
        ),
    )


def test_some_sequences_end_in_the_same_results_or_in_one_line() -> None:
    run(4)


@pytest.mark.slow
def test_a_hundred_sequences_end_in_the_same_results_or_in_one_line() -> None:
    """PYRODROP_SEQUENCES=1000 runs a thousand, which takes a core half an hour."""
    run(int(os.environ.get("PYRODROP_SEQUENCES", "100")))
