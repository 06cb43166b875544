"""What counts by a person's word: radii, polarity, and what the border cuts; by probability."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage

import pyrodrop
from pyrodrop.rendering import render
from pyrodrop.workflows.measuring.measure import measure
from pyrodrop.workflows.measuring.measurement import Measurement
from pyrodrop.workflows.measuring.rules import Rules, checked_rules, keeping_to, those_keeping
from pyrodrop.workflows.settings import SettingError

SIZE = (150, 200)


@pytest.fixture(scope="module")
def mixed() -> tuple[np.ndarray, pd.DataFrame]:
    """Twelve droplets of 4 and 9 px, bright and dark, one of them cut by the border."""
    x, y = (grid.ravel() + 0.3 for grid in np.meshgrid(np.linspace(25, 175, 4), np.linspace(25, 125, 3)))
    r = np.where(np.arange(12) % 3 == 0, 9.0, 4.0)
    a = np.where(np.arange(12) % 2 == 0, 0.3, -0.25)
    x[0] = 5.0
    drawn = render(
        *(torch.tensor(values) for values in (x, y, r, a)),
        0.5,
        SIZE,
        profile="disc",
        shape=torch.tensor([0.8], dtype=torch.float64),
    )
    noise = 0.01 * np.random.default_rng(0).standard_normal(SIZE)
    return drawn.numpy() + noise, pd.DataFrame({"x_px": x, "y_px": y, "radius_px": r, "amplitude": a})


def expected(truth: pd.DataFrame, made: Measurement) -> None:
    assert made.n_droplets == len(truth) == len(made.table)
    if not len(truth):
        return
    places = made.table[["x_px", "y_px"]].to_numpy()
    apart = np.linalg.norm(truth[["x_px", "y_px"]].to_numpy()[:, None] - places, axis=2)
    assert (apart.min(1) < 1).all()


@pytest.mark.parametrize(
    ("rules", "which"),
    [
        ({}, "radius_px > 0"),
        ({"radius_px": (None, 6)}, "radius_px < 6"),
        ({"radius_px": (6.0, None)}, "radius_px > 6"),
        ({"radius_px": (6, math.inf), "polarity": "dark"}, "radius_px > 6 and amplitude < 0"),
        ({"polarity": "bright"}, "amplitude > 0"),
        ({"polarity": "dark"}, "amplitude < 0"),
        ({"border": "drop"}, "x_px > 10"),
        ({"radius_px": (5.0, 8.0)}, "radius_px > 100"),
    ],
)
def test_only_what_keeps_to_the_rules_is_reported_and_counted(
    rules: dict[str, Any], which: str, mixed: tuple[np.ndarray, pd.DataFrame], tmp_path: Path
) -> None:
    image, truth = mixed
    made = measure(image, profile="disc", **rules)
    expected(truth.query(which), made)
    assert made.count.quantile(0.95) - made.count.quantile(0.05) <= 2
    assert made.rules == checked_rules(
        *({"radius_px": (None, None), "polarity": "both", "border": "keep"} | rules).values()
    )
    made.save(tmp_path / "fit.pt")
    again = pyrodrop.load(tmp_path / "fit.pt")
    assert isinstance(again, Measurement)
    assert again.rules == made.rules
    pd.testing.assert_frame_equal(again.table, made.table)
    low, high = made.rules.radius_px
    assert ((made.draws["radius_px"] >= low) & (made.draws["radius_px"] <= high)).all()
    if "border" in rules:
        assert not made.table["flags"].str.contains("border").any()
        assert "Lantuejoul" in made.sizes.edge


def test_a_radius_as_likely_within_as_beyond_counts_as_half(mixed: tuple[np.ndarray, pd.DataFrame]) -> None:
    whole = measure(mixed[0], profile="disc")
    limit = float(whole.draws["radius_px"][:, :].median(0).values.double().sort().values[6])
    below, above = (measure(mixed[0], profile="disc", radius_px=limits) for limits in ((None, limit), (limit, None)))
    # No probability is lost between two limits that meet, but for what is too improbable to be listed.
    assert below.count.mean + above.count.mean == pytest.approx(whole.count.mean, abs=0.05)
    halves = [made.presence[(made.presence > 0.3) & (made.presence < 0.7)] for made in (below, above)]
    assert len(halves[0]) == len(halves[1]) >= 1


def test_of_what_was_not_fitted_the_same_share_keeps_to_the_rules(mixed: tuple[np.ndarray, pd.DataFrame]) -> None:
    rng = np.random.default_rng(1)
    image = mixed[0] + 0.2 * ndimage.gaussian_filter(rng.standard_normal(mixed[0].shape), 1.5)
    rules: tuple[dict[str, Any], ...] = ({}, {"polarity": "dark"}, {"radius_px": (200, None)})
    whole, dark, none = (measure(image, profile="disc", **each) for each in rules)
    number, expected = whole.droplets.unfitted.tolist()
    assert number > 0
    share = float(dark.presence.sum() / whole.presence.sum())
    assert dark.droplets.unfitted.tolist() == pytest.approx([share * number, share * expected], abs=0.5)
    assert none.droplets.unfitted.tolist() == [0, 0]


def test_draws_are_those_that_keep_to_the_rules() -> None:
    generator = np.random.default_rng(0)
    drawn = {
        "x_px": generator.normal(50, 1, (400, 3)),
        "y_px": generator.normal(50, 1, (400, 3)),
        "radius_px": generator.normal([5.0, 6.0, 9.0], 0.5, (400, 3)),
        "amplitude": np.stack([generator.normal([1.0, -1.0, 0.0], 0.1, (400, 3)), np.full((400, 3), -1e-6)], 1),
    }
    size, noise = (100, 100), np.array([0.1, 0.1])
    keeps = keeping_to(Rules((5.5, 7.0)), drawn, noise, size, None)
    assert keeps.mean(0) == pytest.approx([0.16, 0.82, 0.0], abs=0.06)
    kept = those_keeping(drawn, keeps, generator)
    assert ((kept["radius_px"][:, :2] >= 5.5) & (kept["radius_px"][:, :2] <= 7)).all()
    assert (kept["radius_px"][:, 2] == drawn["radius_px"][:, 2]).all()
    # The numbers of a draw stay together, and draws that keep to the rules stay in their places.
    pairs = set(zip(drawn["x_px"][:, 0], drawn["radius_px"][:, 0], drawn["amplitude"][:, 0, 0], strict=True))
    assert set(zip(kept["x_px"][:, 0], kept["radius_px"][:, 0], kept["amplitude"][:, 0, 0], strict=True)) <= pairs
    assert (kept["x_px"][keeps[:, 1], 1] == drawn["x_px"][keeps[:, 1], 1]).all()
    bright = keeping_to(Rules(polarity="bright"), drawn, noise, size, None).mean(0)
    assert bright == pytest.approx([1.0, 0.0, 0.5], abs=0.1)
    assert keeping_to(Rules(polarity="dark"), drawn, noise, size, None).mean(0) == pytest.approx(1 - bright)


def test_several_channels_go_by_the_strongest() -> None:
    heights = np.array([[0.3, -0.05], [-0.05, 0.3]])  # of two droplets in two channels, dark in one of them each
    x, y, r = (torch.tensor(v, dtype=torch.float64) for v in ([30.0, 70.0], [30.0, 30.0], [6.0, 7.0]))
    shape = torch.ones(2, 1, dtype=torch.float64)
    grounds = torch.full((2,), 0.4, dtype=torch.float64)
    places = x.expand(2, -1), y.expand(2, -1), r.expand(2, -1)
    drawn = render(*places, torch.tensor(heights), grounds, (60, 100), profile="disc", shape=shape)
    image = drawn.numpy() + 0.01 * np.random.default_rng(0).standard_normal((2, 60, 100))
    assert measure(image, profile="disc", polarity="bright").n_droplets == 2
    assert measure(image, profile="disc", polarity="dark").n_droplets == 0


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"radius_px": (5, 3)}, r"radius_px is \(5, 3\), expected two numbers"),
        ({"radius_px": (-1, 3)}, "radius_px is"),
        ({"radius_px": 3}, "radius_px is 3, expected two numbers"),
        ({"radius_px": (1, 2, 3)}, "radius_px is"),
        ({"radius_px": ("a", 3)}, "radius_px is"),
        ({"radius_px": "ab"}, "radius_px is 'ab'"),
        ({"radius_px": (math.nan, 3)}, "radius_px is"),
        ({"polarity": "light"}, "polarity is 'light', expected one of bright, dark, both"),
        ({"border": "cut"}, "border is 'cut', expected one of keep, drop"),
    ],
)
def test_rules_that_are_none_are_refused_in_one_line(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError, match=told) as refused:
        measure(np.zeros((20, 20)), **wrong)
    assert "\n" not in str(refused.value)
