"""Kinds of droplets in a measurement: columns of its table, counts and sizes of each, what a folder says of them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

import pyrodrop
from pyrodrop.recognition.droplet_kinds import features_of, kinds_of_droplets
from pyrodrop.workflows.commands.measure import measure_image


def candidates(
    kind: NDArray[np.int64], presence: NDArray[np.float64], seed: int = 0
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Droplets of radius 5 that are bright, those of kind 1 faint and of radius 3, with posterior draws."""
    rng = np.random.default_rng(seed)
    n = len(kind)
    radius = np.where(kind == 0, 5.0, 3.0) * np.exp(0.05 * rng.standard_normal(n))
    amplitude = np.where(kind == 0, 0.5, 0.1) * np.exp(0.1 * rng.standard_normal(n))
    drawn = {
        "radius_px": radius * np.exp(0.03 * rng.standard_normal((200, n))),
        "amplitude": (amplitude + 0.01 * rng.standard_normal((200, n)))[:, None],
    }
    return {name: torch.tensor(v, dtype=torch.float32) for name, v in drawn.items()}, torch.tensor(presence)


def test_each_kind_is_counted_and_sized() -> None:
    kind = np.repeat([0, 1], [60, 40])
    kinds = kinds_of_droplets(*candidates(kind, np.full(100, 1.0)), None, 0)
    assert [k.count.quantile(0.5) for k in kinds] == [60, 40]
    assert [k.radius_px for k in kinds] == pytest.approx([5, 3], rel=0.02)
    assert [float(k.amplitude[0]) for k in kinds] == pytest.approx([0.5, 0.1], rel=0.05)
    assert (kinds.of_droplets == kind + 1).mean() >= 0.95
    for k, diameter in zip(kinds, (10, 6), strict=True):
        assert k.sizes["dn50"].q05 < diameter < k.sizes["dn50"].q95


def test_what_may_be_no_droplet_counts_by_its_presence() -> None:
    kind = np.repeat([0, 1], [60, 40])
    presence = np.where(kind == 0, 1.0, 0.6)
    kinds = kinds_of_droplets(*candidates(kind, presence), None, 0)
    assert kinds[0].count.mean == pytest.approx(60, abs=1)
    assert kinds[1].count.mean == pytest.approx(24, abs=1)
    assert kinds[1].count.quantile(0.95) > kinds[1].count.quantile(0.05)


def test_sizes_of_a_kind_have_the_unit_of_the_measurement() -> None:
    droplets = candidates(np.zeros(30, int), np.ones(30))
    in_px, in_um = kinds_of_droplets(*droplets, None, 0), kinds_of_droplets(*droplets, 0.5, 0)
    assert (in_px[0].sizes.unit, in_um[0].sizes.unit) == ("px", "um")
    assert in_um[0].sizes["dn50"].mean == pytest.approx(0.5 * in_px[0].sizes["dn50"].mean)


def test_without_a_likely_droplet_there_is_no_kind() -> None:
    kinds = kinds_of_droplets(*candidates(np.zeros(5, int), np.full(5, 0.2)), None, 0)
    assert len(kinds) == 0
    assert kinds.of_droplets.shape == (0,) or set(kinds.of_droplets) == {0}


def test_features_do_not_depend_on_the_unit_of_the_image() -> None:
    drawn, _ = candidates(np.zeros(10, int), np.ones(10))
    radius, amplitude = (drawn[name].double().numpy() for name in ("radius_px", "amplitude"))
    for one, other in zip(features_of(radius, amplitude)[:2], features_of(radius, 255 * amplitude)[:2], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_a_measurement_of_beads_has_bright_and_faint_ones() -> None:
    bright, _ = pyrodrop.simulate(
        14, (120, 120), seed=2, kind="gray", profile="disc", radius_px=(3, 4), amplitude=(0.55, 0.6), margin=1, noise=0
    )
    faint, _ = pyrodrop.simulate(
        16, (120, 120), seed=5, kind="gray", profile="disc", radius_px=(3, 4), amplitude=(0.12, 0.14), margin=1
    )
    image = bright.pixels[..., 0] + faint.pixels[..., 0]
    m = pyrodrop.measure(image - image.median(), profile="disc")
    assert len(m.kinds) == 2
    assert sorted(k.count.quantile(0.5) for k in m.kinds) == pytest.approx([14, 16], abs=1)
    table = m.table
    assert set(table["kind"]) == {1, 2}
    assert bool(table["kind_probability"].between(0.5, 1).all())


def test_a_folder_of_results_says_the_kinds(tmp_path: Path) -> None:
    measure_image(None, str(tmp_path / "out"), profile="gaussian", progress=False)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    table = pd.read_csv(tmp_path / "out" / "droplets.csv")
    assert [kind["kind"] for kind in summary["kinds"]] == list(range(1, len(summary["kinds"]) + 1))
    assert set(table["kind"]) <= set(range(1, len(summary["kinds"]) + 1))
    for kind in summary["kinds"]:
        assert kind["count"]["q05"] <= kind["count"]["mean"] <= kind["count"]["q95"]
        assert {"dn50", "unit"} <= kind["sizes"].keys()
    page = pyrodrop.write_report(tmp_path / "out").read_text(encoding="utf-8")
    assert "Kinds of droplets" in page
