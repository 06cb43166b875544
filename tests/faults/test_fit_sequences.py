"""Any sequence of fits, of kills and full disks, of going on from a checkpoint, and of altered files and other images.

It ends in the results of a fit that was never stopped, or in one clear line.
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
from faults.disturbed import Fault, altered, command, faults, files_in, picture, run_sequences, was_done
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

import pyrodrop
from pyrodrop.results.storage.checkpoint import CheckpointError
from pyrodrop.workflows.commands import fit as fitting
from pyrodrop.workflows.fitting import loop

# One figure stands for all.
FIGURE = {"amplitudes": fitting._FIGURES["amplitudes"]}
STEPS = 120
disturbances = faults("full", "interrupted", "killed", most=30)


def run(home: Path, *words: str, fault: Fault = None) -> tuple[int | None, dict[str, Any], str]:
    """With a checkpoint after every stretch of steps."""
    image = ("fit", str(home / "drops.png"), "--channel", "gray", "--device", "cpu")
    with patch.object(fitting, "_FIGURES", FIGURE), patch.object(loop, "_REPORT_SECONDS", 0.0):
        return command(*image, *words, "--out", str(home / "out"), fault=fault)


def start(home: Path, seed: int, fault: Fault = None) -> tuple[int | None, dict[str, Any], str]:
    return run(home, "--droplets", "4", "--steps", str(STEPS), "--seed", str(seed), fault=fault)


def results_in(home: Path) -> tuple[bytes, bytes, dict[str, Any], list[float], list[list[float]]]:
    """What a folder says of the droplets, without how long it took, and the state to go on from."""
    summary = json.loads((home / "out" / "summary.json").read_text().replace(str(home), "HOME"))
    said = {name: value for name, value in summary.items() if "second" not in name}
    state = pyrodrop.load(home / "out" / "fit.pt", device="cpu")
    tables = [(home / "out" / name).read_bytes() for name in ("droplets.csv", "losses.csv")]
    return tables[0], tables[1], said, state.losses.flatten().tolist(), state.state.params.flatten().tolist()


@cache
def undisturbed(seed: int, content: int) -> Any:
    """The results of one fit to which nothing has happened."""
    home = Path(tempfile.mkdtemp(prefix="pyrodrop-fit-"))
    (home / "drops.png").write_bytes(picture(content))
    assert start(home, seed)[0] == 0
    results = results_in(home)
    shutil.rmtree(home)
    return results


class Fits(RuleBasedStateMachine):
    """An image, a folder of results, and all that may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="pyrodrop-fits-"))
        self.content = 3

    def teardown(self) -> None:
        """Whatever has happened, the checkpoint has the results, or a new fit has."""
        try:
            self.go_on(None)
            self.start(0, None)
        finally:
            shutil.rmtree(self.home)

    @initialize(seed=st.sampled_from((0, 1)), fault=disturbances)
    def begin(self, seed: int, fault: Fault) -> None:
        self.change_image(self.content)
        self.start(seed, fault)

    @rule(seed=st.sampled_from((0, 1)), fault=disturbances)
    def start(self, seed: int, fault: Fault) -> None:
        status, _, said = start(self.home, seed, fault)
        if was_done(status, said, fault):
            assert results_in(self.home) == undisturbed(seed, self.content)
        else:
            assert fault is not None

    @rule(fault=disturbances)
    def go_on(self, fault: Fault) -> None:
        """From the checkpoint, if there is one, with the steps that are left."""
        checkpoint, seed, left, its_own = self.home / "out" / "fit.pt", 0, STEPS, False
        try:
            begun = pyrodrop.load(checkpoint, device="cpu")
            seed, left = begun.settings.seed, STEPS - len(begun.losses)
            its_own = undisturbed(seed, self.content)[3][: len(begun.losses)] == begun.losses.flatten().tolist()
        except CheckpointError:
            pass
        status, _, said = run(self.home, "--resume", str(checkpoint), "--steps", str(left), fault=fault)
        if was_done(status, said, fault):
            assert results_in(self.home) == undisturbed(seed, self.content)
        else:
            assert fault is not None or not its_own

    @rule(content=st.sampled_from((3, 5)))
    def change_image(self, content: int) -> None:
        self.content = content
        (self.home / "drops.png").write_bytes(picture(content))

    @rule(number=st.integers(0, 20), how=st.sampled_from(["longer", "empty", "gone", "other"]))
    def alter(self, number: int, how: str) -> None:
        files = files_in(self.home / "out") if (self.home / "out").exists() else []
        if files:
            altered(files[number % len(files)], how)


def test_some_fits_end_in_the_same_results_or_in_one_line() -> None:
    run_sequences(Fits, 2)


@pytest.mark.slow
def test_many_fits_end_in_the_same_results_or_in_one_line() -> None:
    """PYRODROP_SEQUENCES=1000 runs a thousand, each of which takes a core some seconds."""
    run_sequences(Fits, int(os.environ.get("PYRODROP_SEQUENCES", "10")))
