"""Measuring pixels that are not what a model says: hot ones, few levels, none that differ."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch

import pyrodrop
from pyrodrop.images.simulation.simulate import simulate
from pyrodrop.rendering.pixel_noise import pixel_noise
from pyrodrop.workflows.commands.measure import measure_image
from pyrodrop.workflows.measuring.measure import measure
from pyrodrop.workflows.tiles.measure_tiles import measure_tiles

NOISE = 0.01


@pytest.fixture(scope="module")
def discs() -> tuple[np.ndarray, pd.DataFrame]:
    """20 discs, apart and whole."""
    x, y = (grid.ravel() + 0.3 for grid in np.meshgrid(np.linspace(25, 215, 5), np.linspace(25, 135, 4)))
    r = np.linspace(6, 12, 20)
    drawn = pyrodrop.render(
        *(torch.tensor(values) for values in (x, y, r, np.full(20, 0.2))),
        0.3,
        (160, 240),
        profile="disc",
        shape=torch.tensor([0.7], dtype=torch.float64),
    )
    noise = NOISE * np.random.default_rng(0).standard_normal((160, 240))
    return drawn.numpy() + noise, pd.DataFrame({"x_px": x, "y_px": y, "radius_px": r})


@pytest.fixture(scope="module")
def with_hot_pixels(discs: tuple[np.ndarray, pd.DataFrame]) -> tuple[np.ndarray, np.ndarray]:
    """The image with 30 hot pixels, and their rows and columns, on and off the droplets but for the rims."""
    image, truth = discs[0].copy(), discs[1]
    generator = np.random.default_rng(1)
    places: list[np.ndarray] = []
    while len(places) < 30:
        row, column = generator.integers(0, image.shape)
        to_rim = np.abs(np.hypot(truth["x_px"] - column, truth["y_px"] - row) - truth["radius_px"]).min()
        if to_rim > 4 and all(np.abs(place - (row, column)).max() > 2 for place in places):
            places.append(np.array([row, column]))
    at = np.array(places)
    image[at[:, 0], at[:, 1]] += 1.0
    return image, at


def test_hot_pixels_are_flagged_and_neither_counted_nor_taken_for_noise(
    with_hot_pixels: tuple[np.ndarray, np.ndarray], discs: tuple[np.ndarray, pd.DataFrame]
) -> None:
    m = measure(with_hot_pixels[0], profile="disc")
    assert len(m.table) == 20 == m.n_droplets
    assert sorted(map(tuple, m.hot_pixels[:, 1:].tolist())) == sorted(map(tuple, with_hot_pixels[1].tolist()))
    assert m.warnings[0].startswith("30 single pixels stand out")
    assert m.noise.item() == pytest.approx(NOISE, rel=0.05)
    assert m.image_fit.fits
    nearest = np.hypot(
        *(m.table[name].to_numpy()[:, None] - discs[1][name].to_numpy() for name in ("x_px", "y_px"))
    ).argmin(1)
    assert m.table["radius_px"].to_numpy() == pytest.approx(discs[1]["radius_px"].to_numpy()[nearest], rel=0.03)


def test_a_file_says_how_many_hot_pixels_it_has_and_a_saved_measurement_which(
    with_hot_pixels: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    tifffile.imwrite(tmp_path / "hot.tif", with_hot_pixels[0].astype(np.float32))
    measure_image(str(tmp_path / "hot.tif"), str(tmp_path / "out"), profile="disc", progress=False)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["hot_pixels"] == 30
    assert summary["n_droplets"] == 20
    assert any("30 single pixels" in warning for warning in summary["warnings"])
    assert len(pyrodrop.load(tmp_path / "out" / "fit.pt").hot_pixels) == 30
    tiled = measure_tiles(tmp_path / "hot.tif", tmp_path / "tiled", tile_px=128, profile="disc", progress=False)
    assert (tiled["hot_pixels"], tiled["n_droplets"]) == (30, 20)
    assert any("30 single pixels" in warning for warning in tiled["warnings"])


@pytest.mark.parametrize("levels", [8, 16])
def test_rounding_to_few_levels_is_in_the_noise(levels: int, discs: tuple[np.ndarray, pd.DataFrame]) -> None:
    step = 1 / (levels - 1)
    m = measure(np.round(2 * discs[0] / step) * step, profile="disc")
    assert m.noise.item() >= 0.99 * step / 12**0.5
    assert abs(m.n_droplets - 20) <= 1
    assert not any("too narrow" in warning for warning in m.image_fit.warnings)
    # The residual in units of the noise that the image shows, rounding and all, and not of that twice over.
    shown = m.residual.double().square().mean().item() / pixel_noise(m.channels.double().numpy())[0] ** 2
    assert m.image_fit.reduced_chi_square == pytest.approx(shown, rel=0.05)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_constant_image_is_told_so_and_nothing_else(value: float) -> None:
    m = measure(np.full((40, 50), value))
    assert m.n_droplets == 0
    assert len(m.warnings) == 1
    assert "the image is constant" in m.warnings[0]


def test_a_photograph_has_no_hot_pixels_of_its_droplets() -> None:
    """The narrowest droplets that can be measured are no hot pixels."""
    image, _ = simulate(12, (100, 120), seed=2, kind="gray", radius_px=(1.0, 1.5), noise=0.003)
    assert len(measure(image, profile="gaussian").hot_pixels) == 0
