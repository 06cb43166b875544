"""A fit that was saved is the same fit, and a checkpoint of anything else is refused."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from workflows.fitting.quick_fits import quick, same_fit

from pyrodrop.results.storage.checkpoint import CheckpointError
from pyrodrop.workflows.fitting.fit import load_fit
from pyrodrop.workflows.fitting.fit_result import Fit


@pytest.fixture(scope="module")
def fitted() -> Fit:
    return quick(300, "peaks", seed=1)


def test_saved_and_loaded_it_is_the_same_fit(fitted: Fit, tmp_path: Path) -> None:
    fitted.save(tmp_path / "fit.pt")
    loaded = load_fit(tmp_path / "fit.pt", device="cpu")
    same_fit(loaded, fitted)
    assert loaded.seconds == fitted.seconds
    assert loaded.table().equals(fitted.table())
    assert torch.load(tmp_path / "fit.pt", weights_only=True)["iteration"] == 300


def test_a_checkpoint_is_written_as_the_fit_ends(tmp_path: Path) -> None:
    ended = quick(7, checkpoint=tmp_path / "fit.pt")
    same_fit(load_fit(tmp_path / "fit.pt", device="cpu"), ended)
    longer = ended.resume(5, progress=False, checkpoint=tmp_path / "fit.pt")
    same_fit(load_fit(tmp_path / "fit.pt", device="cpu"), longer)
    assert os.listdir(tmp_path) == ["fit.pt"]


@pytest.mark.parametrize(
    "damage",
    [
        {"kind": "pyrodrop fit of another model"},
        {"params": None},
        {"losses": [1.0]},
        {"losses": torch.tensor(1.0)},
        {"iteration": 1.5},
        {"settings": {}},
        {"settings": {"n_droplets": 4, "colour": "red"}},
    ],
    ids=str,
)
def test_a_checkpoint_that_is_not_of_this_model_is_refused(fitted: Fit, tmp_path: Path, damage: dict[str, Any]) -> None:
    fitted.save(tmp_path / "fit.pt")
    torch.save(torch.load(tmp_path / "fit.pt", weights_only=True) | damage, tmp_path / "fit.pt")
    with pytest.raises(CheckpointError, match=r"fit\.pt is") as caught:
        load_fit(tmp_path / "fit.pt", device="cpu")
    assert "\n" not in str(caught.value)


def test_what_a_checkpoint_holds_is_not_told_in_full(fitted: Fit, tmp_path: Path) -> None:
    fitted.save(tmp_path / "fit.pt")
    state = torch.load(tmp_path / "fit.pt", weights_only=True)
    torch.save(state | {"settings": state["settings"] | {"error_scale": "a" * 10_000}}, tmp_path / "fit.pt")
    with pytest.raises(CheckpointError, match="error_scale is 'aaa") as caught:
        load_fit(tmp_path / "fit.pt", device="cpu")
    assert len(str(caught.value)) < 400 + len(str(tmp_path))


def test_a_droplet_that_is_not_needed_may_lie_far_out(fitted: Fit, tmp_path: Path) -> None:
    """The logit of its place goes as far as Adam takes it."""
    fitted.save(tmp_path / "fit.pt")
    state = torch.load(tmp_path / "fit.pt", weights_only=True)
    state["params"][0, :, 1] = -500.0
    torch.save(state, tmp_path / "fit.pt")
    found = load_fit(tmp_path / "fit.pt", device="cpu")
    assert np.isfinite(found.table().select_dtypes("number").to_numpy()).all()
    assert float(found.table()["x_px"][0]) == pytest.approx(0.0, abs=1e-6)
