"""Any sequence of measuring, editing and reporting, of kills, full disks, interruptions and altered files.

It ends in the results of an undisturbed run, or in one clear line.
"""

import json
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from faults import disturbed
from faults.disturbed import Fault, altered, faults, run_sequences, was_done
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from pyrodrop.workflows.commands import measured_folder

# One figure stands for all.
FIGURE = {"count": measured_folder._FIGURES["count"]}
SETTINGS = ((), ("--seed", "1"), ("--border", "drop"), ("--radius", "3", "9"))
EDITS: tuple[dict[str, Any], ...] = (
    {"remove": [0]},
    {"add": [[40.0, 30.0, 5.0]], "keep": [1]},
    {"move": {"1": [20, 20, 5]}},
)
NEEDED = ("fit.pt", "image.tif", "droplets.csv", "candidates.csv", "summary.json")
FILES = (*NEEDED, "manifest.json", "residual.tif", "count.png", "losses.csv")
disturbances = faults("full", "interrupted", "killed", most=40)


def command(*words: str, fault: Fault = None) -> tuple[int | None, dict[str, Any], str]:
    """As ``disturbed.command``, with few figures."""
    with patch.object(measured_folder, "_FIGURES", FIGURE):
        return disturbed.command(*words, fault=fault)


def results_in(folder: Path) -> tuple[bytes, bytes, dict[str, Any]]:
    """What a folder says of the droplets, without how long it took."""
    summary = json.loads((folder / "summary.json").read_text())
    said = {name: value for name, value in summary.items() if "second" not in name}
    return (folder / "droplets.csv").read_bytes(), (folder / "candidates.csv").read_bytes(), said


@cache
def picture() -> str:
    path = Path(tempfile.mkdtemp(prefix="pyrodrop-sequences-")) / "drops.png"
    path.write_bytes(disturbed.picture(3))
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

    @initialize(number=st.sampled_from(range(len(SETTINGS))))
    def begin(self, number: int) -> None:
        self.measure(number, None)

    @rule(number=st.sampled_from(range(len(SETTINGS))), fault=disturbances)
    def measure(self, number: int, fault: Fault) -> None:
        words = ("measure", picture(), "--profile", "disc", *SETTINGS[number], "--out", str(self.out))
        earlier = self.summary()
        status, _, said = command(*words, fault=fault)
        done = was_done(status, said, fault)
        assert done or fault is not None
        if done:
            assert results_in(self.out) == undisturbed(number)
        # The summary is the first to go and the last to come: with that of before, nothing has begun to be written.
        if done or self.summary() != earlier:
            self.measured, self.touched = (None if self.summary() is None else number), set()

    def summary(self) -> bytes | None:
        path = self.out / "summary.json"
        return path.read_bytes() if path.exists() else None

    @rule(edit=st.sampled_from(range(len(EDITS))), fault=disturbances)
    def edit(self, edit: int, fault: Fault) -> None:
        (self.home / "edits.json").write_text(json.dumps(EDITS[edit]))
        words = ("edit", str(self.out), str(self.home / "edits.json"), "--out", str(self.edited))
        status, _, said = command(*words, fault=fault)
        done = was_done(status, said, fault)
        if self.measured is None:
            assert not done
        elif done:
            assert results_in(self.edited) == undisturbed(self.measured, edit)
        else:
            assert fault is not None or self.touched & {*NEEDED, "manifest.json"}

    @rule(fault=disturbances)
    def report(self, fault: Fault) -> None:
        status, told, said = command("report", str(self.out), fault=fault)
        if not was_done(status, said, fault):
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
        altered(path, how)


def test_some_sequences_end_in_the_same_results_or_in_one_line() -> None:
    run_sequences(Sequences, 4)


@pytest.mark.slow
def test_a_hundred_sequences_end_in_the_same_results_or_in_one_line() -> None:
    """PYRODROP_SEQUENCES=1000 runs a thousand, which takes a core a quarter of an hour."""
    run_sequences(Sequences, int(os.environ.get("PYRODROP_SEQUENCES", "100")))
