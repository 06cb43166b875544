"""Images in which most of what looks like droplets is none say so."""

import pytest
import torch
from skimage import data

import pyrodrop
from pyrodrop.images.simulation.simulate import simulate
from pyrodrop.workflows.commands.measured_folder import summarise


@pytest.mark.slow
def test_gravel_has_no_droplets() -> None:
    made = pyrodrop.measure(data.gravel() / 255)
    assert made.n_droplets <= 1
    assert made.trust.level in ("none", "not reliable")


@pytest.mark.slow
def test_craters_are_said_to_be_unlike_anything_known() -> None:
    made = pyrodrop.measure(data.moon() / 255)
    assert made.efficiency.whole is not None
    assert made.efficiency.whole < 0.5
    assert any("unlike anything" in warning for warning in made.warnings)
    assert made.count.quantile(0.95) - made.count.quantile(0.05) >= made.n_droplets


def test_clear_droplets_are_not() -> None:
    image, _ = simulate(40, (200, 240), seed=4, kind="gray", radius_px=(3.0, 7.0), noise=0.02)
    made = pyrodrop.measure(image)
    assert made.efficiency.whole == pytest.approx(made.presence.double().mean().item(), abs=1e-3)
    assert made.efficiency.whole is not None
    assert made.efficiency.whole > 0.85
    assert not any("unlike anything" in warning for warning in made.warnings)
    assert summarise(made, "simulated", "gray")["efficiency"] == made.efficiency.as_dict()


def test_where_nothing_looks_like_a_droplet_there_is_no_share() -> None:
    made = pyrodrop.measure(torch.full((64, 64), 0.3))
    assert made.efficiency.as_dict() == {"whole": None, "unlike_anything_known": []}
