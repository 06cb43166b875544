"""A profile that is added in one file, that of docs/new_profile.md, works wherever a profile is named."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rendering.profiles.page_profile import cell_with, imported

import pyrodrop
from pyrodrop.cli import main
from pyrodrop.rendering.profiles import Profile, ShapeParameter, profile_named, register, registry, unregister


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Profile]:
    module = imported(tmp_path_factory.mktemp("ring") / "ring.py", cell_with('name="ring"'))
    yield module.RING
    unregister("ring")


@pytest.fixture(scope="module")
def micrograph(ring: Profile) -> tuple[pyrodrop.Micrograph, object]:
    return pyrodrop.simulate(
        4, (60, 80), kind="gray", profile=ring.name, shape=(1.5,), radius_px=(6, 9), separation=1.5, noise=0.03, seed=4
    )


@pytest.fixture(scope="module")
def measured(micrograph: tuple[pyrodrop.Micrograph, object]) -> pyrodrop.Measurement:
    return pyrodrop.measure(micrograph[0], profile="ring")


def test_it_is_measured_and_its_shared_number_is_found(
    micrograph: tuple[pyrodrop.Micrograph, object], measured: pyrodrop.Measurement, ring: Profile
) -> None:
    truth = micrograph[1]
    table = measured.table[measured.table["presence"] >= 0.5]
    assert measured.profile == "ring"
    assert measured.shape_by_name == {"width_px": pytest.approx(1.5, abs=0.15)}
    apart = np.hypot(*(truth[name].to_numpy()[:, None] - table[name].to_numpy() for name in ("x_px", "y_px")))
    assert (apart.min(1) < 0.3).all()
    assert len(table) == len(truth)


def test_it_is_saved_and_loaded(measured: pyrodrop.Measurement, tmp_path: Path) -> None:
    measured.save(tmp_path / "fit.pt")
    loaded = pyrodrop.load(tmp_path / "fit.pt")
    assert loaded.profile == "ring"
    assert loaded.shape_by_name == measured.shape_by_name
    ring = profile_named("ring")
    unregister("ring")
    try:
        with pytest.raises(pyrodrop.CheckpointError, match="register it first"):
            pyrodrop.load(tmp_path / "fit.pt")
    finally:
        register(ring)


def test_the_command_line_knows_it(
    micrograph: tuple[pyrodrop.Micrograph, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = (255 * micrograph[0].channel("gray").numpy()).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "rings.png")
    out = tmp_path / "out"
    assert main(["measure", str(tmp_path / "rings.png"), "--profile", "ring", "--out", str(out), "--quiet"]) == 0
    assert json.loads((out / "summary.json").read_text())["profile"] == "ring"
    assert main(["report", str(out)]) == 0
    assert main(["measure", str(tmp_path / "rings.png"), "--profile", "rung", "--out", str(out)]) == 2
    assert "expected one of auto, gaussian, disc, radial, rimmed, ring" in capsys.readouterr().err


def test_auto_does_not_try_it_unasked(ring: Profile) -> None:
    assert registry.automatic_profiles() == ("gaussian", "disc", "radial", "rimmed")


def flat(squared: torch.Tensor, r: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    return torch.ones(3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "a ring"}, "give a plain word"),
        ({"name": "disc"}, "already"),
        ({"name": "auto"}, "choose another name"),
        ({"height": flat}, "one for each squared distance"),
        ({"parameters": (ShapeParameter("w", 1.0), ShapeParameter("w", 1.0))}, "each once"),
        ({"parameters": (ShapeParameter("w", 0.0),)}, "needs an sd"),
    ],
)
def test_a_profile_that_cannot_be_is_refused(ring: Profile, arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        register(Profile(**{"name": "other", "height": ring.height, "parameters": ring.parameters} | arguments))


def test_the_packages_own_profiles_stay() -> None:
    with pytest.raises(ValueError, match="stays"):
        unregister("disc")


def test_installed_packages_bring_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    brought = Profile("dome", profile_named("gaussian").height)

    class Point:
        name = "dome"

        def load(self) -> Profile:
            return brought

    monkeypatch.setattr(registry, "entry_points", lambda group: [Point()] if group == "pyrodrop.profiles" else [])
    registry._register_installed.cache_clear()
    try:
        assert profile_named("dome") is brought
    finally:
        registry._register_installed.cache_clear()
        unregister("dome")
