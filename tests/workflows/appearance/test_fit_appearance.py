"""Pictures of droplets learnt from an image: found, saved, and given to another image of the same kind."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import pyrodrop
from pyrodrop.results.storage.checkpoint import save_state
from pyrodrop.workflows.appearance.appearance import KIND, vars_of


def scene(seed: int = 3) -> tuple[Any, pd.DataFrame]:
    """Six discs."""
    image, truth = pyrodrop.simulate(
        6, (64, 70), seed=seed, kind="gray", profile="disc", radius_px=(5, 7), margin=1, noise=0.01
    )
    return image, truth


@pytest.fixture(scope="module")
def look() -> pyrodrop.Appearance:
    image, truth = scene()
    circles = truth.assign(radius_px=0.9 * truth["radius_px"], x_px=truth["x_px"] + 0.4)
    return pyrodrop.fit_appearance(image, circles, n_pictures=1)


def test_discs_are_found_on_their_rims(look: pyrodrop.Appearance) -> None:
    _, truth = scene()
    table = look.table
    assert look.explained > 0.98
    for name, bias in (("x_px", 0.1), ("y_px", 0.1), ("radius_px", 0.1)):
        assert float((table[name] - truth[name]).abs().max()) < 0.25
        assert abs(float((table[name] - truth[name]).median())) < bias
    assert bool((table["radius_px_q05"] < table["radius_px"]).all())
    assert {"weight1", "weight1_sd"} <= set(table)


def test_a_saved_appearance_is_the_same(look: pyrodrop.Appearance, tmp_path: Path) -> None:
    look.save(tmp_path / "appearance.pt")
    again = pyrodrop.load(tmp_path / "appearance.pt")
    assert isinstance(again, pyrodrop.Appearance)
    pd.testing.assert_frame_equal(again.table, look.table)
    assert torch.equal(again.prediction, look.prediction)
    assert again.evidence == look.evidence
    assert set(torch.load(tmp_path / "appearance.pt", weights_only=True)) == {"kind", *vars_of(look)}


@pytest.mark.parametrize("frozen", [True, False])
def test_pictures_are_given_to_another_image(look: pyrodrop.Appearance, frozen: bool) -> None:
    image, truth = scene(seed=9)
    other = pyrodrop.fit_appearance(image, truth, pictures=look, frozen=frozen)
    assert other.explained > 0.98
    assert torch.equal(other.pictures, look.pictures) == frozen
    if frozen:
        assert float(other.pictures_sd.max()) == 0
    assert float((other.table["radius_px"] - truth["radius_px"]).abs().max()) < 0.3


def test_the_drawn_pictures_are_discs(look: pyrodrop.Appearance) -> None:
    drawn = look.drawn_pictures(32)
    assert drawn.shape == (1, 1, 32, 32)
    inside = drawn[0, 0][drawn[0, 0].isfinite()]
    assert len(inside) / 32**2 == pytest.approx(np.pi / 4, abs=0.02)
    assert float(inside.mean()) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("circles", "words"),
    [
        (np.zeros((0, 3)), "at least one"),
        (np.zeros((2, 2)), "x, y and radius"),
        ([[5, 5, -1.0]], "circle 0"),
        ([[5, 5, 3.0], [500, 5, 3.0]], "circle 1"),
        (pd.DataFrame({"x_px": [1.0], "y_px": [2.0]}), "radius_px"),
    ],
)
def test_circles_that_cannot_be_are_refused(circles: object, words: str) -> None:
    with pytest.raises(pyrodrop.SettingError, match=words):
        pyrodrop.fit_appearance(np.zeros((20, 20)), circles)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pictures", torch.zeros(1, 1, 5)),
        ("weights", torch.zeros(6, 2, 1)),
        ("places", torch.full((6, 3), torch.nan)),
        ("places", torch.zeros(6, 3)),
        ("bg", torch.zeros(1, 2, 2)),
        ("noise", torch.zeros(3)),
        ("edge", None),
    ],
)
def test_a_damaged_file_is_refused(look: pyrodrop.Appearance, tmp_path: Path, name: str, value: object) -> None:
    save_state({"kind": KIND, **vars_of(look), name: value}, tmp_path / "appearance.pt")
    with pytest.raises(pyrodrop.CheckpointError, match="damaged"):
        pyrodrop.load(tmp_path / "appearance.pt")
