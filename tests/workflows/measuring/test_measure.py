"""Measuring: the table, the count and the sizes say what is true, and how sure they are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import pyrodrop
from pyrodrop.images.simulation.simulate import simulate
from pyrodrop.workflows.measuring.measure import channels_of, in_one, measure
from pyrodrop.workflows.measuring.measurement import Measurement

QUANTITIES = ("x_px", "y_px", "radius_px", "amplitude")


@pytest.fixture(scope="module")
def known() -> tuple[Measurement, pd.DataFrame]:
    image, truth = simulate(40, (200, 240), seed=4, kind="gray", radius_px=(3.0, 7.0), noise=0.02, pixel_size_um=0.5)
    return measure(image, profile="gaussian"), truth


def test_the_table_has_the_columns_that_scripts_rely_on(known: tuple[Measurement, pd.DataFrame]) -> None:
    table = known[0].table
    expected = ["id", *(f"{name}{end}" for name in QUANTITIES for end in ("", "_sd", "_q05", "_q95"))]
    assert list(table.columns) == [*expected, "presence", "flags", "x_um", "y_um", "radius_um"]
    assert table["radius_um"].to_numpy() == pytest.approx(0.5 * table["radius_px"].to_numpy())
    assert table["y_px"].is_monotonic_increasing


def test_intervals_hold_the_truth_about_as_often_as_they_say(known: tuple[Measurement, pd.DataFrame]) -> None:
    table, truth = known[0].table, known[1]
    assert len(table) == len(truth)
    nearest = [int(np.argmin(np.hypot(truth["x_px"] - a.x_px, truth["y_px"] - a.y_px))) for a in table.itertuples()]
    aligned = truth.iloc[nearest].reset_index(drop=True)
    held = [(table[f"{name}_q05"] <= aligned[name]) & (aligned[name] <= table[f"{name}_q95"]) for name in QUANTITIES]
    # Of 160 intervals of 90 %, 131 to 155 hold with a probability of 99.9 %.
    assert 131 <= int(np.sum(held)) <= 155


def test_count_and_sizes_agree_with_the_truth(known: tuple[Measurement, pd.DataFrame]) -> None:
    made, truth = known
    assert made.count.quantile(0.05) <= len(truth) <= made.count.quantile(0.95)
    assert made.sizes.unit == "um"
    assert made.sizes["d_1_0"].q05 < 2 * 0.5 * truth["radius_px"].mean() < made.sizes["d_1_0"].q95
    assert made.image_fit.fits
    assert float(made.reduced_chi_square) == pytest.approx(1, abs=0.05)
    assert made.prediction.shape == (1, *made.size)
    assert made.shape_by_name == {}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_droplet_that_the_border_cuts_is_one_of_the_image_by_its_centre(seed: int) -> None:
    """Of a larger image only the middle is measured: its border cuts ten droplets or so, half of them from outside."""
    image, truth = simulate(60, (240, 240), seed=seed, kind="gray", radius_px=(3.0, 7.0), noise=0.02)
    made = measure(image.channel("gray")[30:210, 30:210], profile="gaussian")
    places = truth[["x_px", "y_px"]].to_numpy() - 30
    inside = places[((places >= -0.5) & (places <= 180)).all(1)]
    likely = made.table[made.table["presence"] >= 0.5][["x_px", "y_px"]].to_numpy()
    apart = np.linalg.norm(inside[:, None] - likely, axis=2)
    assert (apart.min(1) < 1).all()
    # Told as droplets of the image are at most two caps of those whose centres lie further out than the fit looks.
    assert len(inside) <= len(likely) <= len(inside) + 2
    assert ((likely >= -0.5) & (likely <= 180)).all()


def test_a_saved_measurement_is_read_again(known: tuple[Measurement, pd.DataFrame], tmp_path: Path) -> None:
    known[0].save(tmp_path / "fit.pt")
    again = pyrodrop.load(tmp_path / "fit.pt")
    assert isinstance(again, Measurement)
    pd.testing.assert_frame_equal(again.table, known[0].table)
    assert again.sizes.as_dict() == known[0].sizes.as_dict()
    assert again.names == known[0].names


def test_the_same_seed_gives_the_same_numbers() -> None:
    image, _ = simulate(6, (60, 80), seed=2, kind="gray", radius_px=(3.0, 5.0))
    one, same, other = (measure(image, profile="gaussian", seed=seed).table for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, same)
    assert not np.array_equal(one["x_px_sd"], other["x_px_sd"])


def test_channels_share_centres_and_each_has_its_amplitude() -> None:
    image, _ = simulate(8, (90, 100), seed=7, kind="gray", radius_px=(4.0, 6.0), separation=2.0, noise=0.0)
    clean = image.channel("gray") - 0.14
    noise = 0.01 * torch.randn(2, *clean.shape, generator=torch.Generator().manual_seed(1))
    both = measure(torch.stack([clean, -0.5 * clean]) + noise, profile="gaussian")
    assert both.names == ("0", "1")
    assert len(both.table) == 8
    ratio = both.table["amplitude_1"] / both.table["amplitude_0"]
    assert ratio.to_numpy() == pytest.approx(np.full(8, -0.5), abs=0.05)
    assert both.table["amplitude"].to_numpy() == pytest.approx(
        (both.table["amplitude_0"] + both.table["amplitude_1"]).to_numpy() / 2, rel=1e-4
    )


def test_a_gray_photograph_in_three_equal_channels_is_one_channel() -> None:
    gray = torch.rand(20, 30, generator=torch.Generator().manual_seed(0))
    names, channels = channels_of(pyrodrop.Micrograph(gray[..., None].expand(20, 30, 3).contiguous()))
    assert names == ("red",)
    assert torch.equal(channels, gray[None])


def test_the_channel_to_look_in_is_what_the_channels_share() -> None:
    shared, *noise = torch.randn(4, 40, 40, generator=torch.Generator().manual_seed(0)).double().numpy()
    one = in_one(np.stack([shared + 0.3 * n for n in noise]))
    assert np.corrcoef(one.ravel(), shared.ravel())[0, 1] > 0.97


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"profile": "square"}, pyrodrop.SettingError, "expected one of auto, gaussian, disc, radial"),
        ({"pixel_size_um": 0}, pyrodrop.SettingError, "pixel_size_um is 0"),
        ({"seed": -1}, pyrodrop.SettingError, "seed is -1"),
        ({"image": torch.zeros(40, 30, 20)}, pyrodrop.ImageError, "channels to the front"),
        ({"image": torch.full((20, 20), torch.nan)}, pyrodrop.ImageError, "NaN"),
        ({"image": torch.zeros(5, 5)}, pyrodrop.ImageError, "needs at least 8"),
    ],
)
def test_what_cannot_be_measured_is_refused(given: dict[str, object], error: type[Exception], says: str) -> None:
    image = given.pop("image", torch.zeros(20, 20))
    with pytest.raises(error, match=says):
        measure(image, **given)  # type: ignore[arg-type]
