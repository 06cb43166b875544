"""Where to look: what is masked says nothing, for or against droplets, and what is cut is known less well."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import pyrodrop
from pyrodrop.images.simulation.simulate import simulate
from pyrodrop.workflows.measuring.measure import measure
from pyrodrop.workflows.measuring.measurement import Measurement
from pyrodrop.workflows.settings import SettingError

SIZE = (120, 160)
HALF = np.broadcast_to(np.arange(160) < 80, SIZE).copy()


@pytest.fixture(scope="module")
def picture() -> tuple[np.ndarray, pd.DataFrame]:
    """Twenty droplets; the cut at x = 80 goes through two, of which one has its centre to the left."""
    image, truth = simulate(
        20, SIZE, seed=3, kind="gray", profile="disc", radius_px=(5, 9), separation=1.3, noise=0.02, shape=[1.0]
    )
    return image.channel("gray").double().numpy(), truth


@pytest.fixture(scope="module")
def whole(picture: tuple[np.ndarray, pd.DataFrame]) -> Measurement:
    return measure(picture[0], profile="disc")


@pytest.fixture(scope="module")
def half(picture: tuple[np.ndarray, pd.DataFrame]) -> Measurement:
    return measure(picture[0], HALF, profile="disc")


def nearest(table: pd.DataFrame, to: pd.DataFrame) -> np.ndarray:
    return np.asarray([int(np.argmin(np.hypot(to["x_px"] - a.x_px, to["y_px"] - a.y_px))) for a in table.itertuples()])


def test_a_mask_of_everything_changes_nothing(picture: tuple[np.ndarray, pd.DataFrame], whole: Measurement) -> None:
    for mask in (np.ones(SIZE, bool), torch.ones(SIZE, dtype=torch.bool), np.full(SIZE, 255, np.uint8)):
        made = measure(picture[0], mask, profile="disc")
        pd.testing.assert_frame_equal(made.candidates, whole.candidates)
        assert made.looked_at is None
        assert made.area_px == 120 * 160
    plain = measure(np.ma.masked_array(picture[0], np.zeros(SIZE, bool)), profile="disc")
    pd.testing.assert_frame_equal(plain.candidates, whole.candidates)


def test_half_of_the_image_has_the_droplets_of_that_half(
    picture: tuple[np.ndarray, pd.DataFrame], whole: Measurement, half: Measurement
) -> None:
    truth = picture[1]
    inside = truth[(truth["x_px"] < 79.5) & (truth["x_px"] > -0.5) & truth["y_px"].between(-0.5, 119.5)]
    assert half.n_droplets == len(inside) == half.count.quantile(0.5)
    assert sorted(nearest(half.table, inside)) == list(range(len(inside)))
    assert half.area_px == 80 * 120
    assert (half.table["x_px"] < 79.5).all()
    assert half.image_fit.fits
    # Those far from the cut are what they are in the whole image.
    far = half.table[half.table["x_px"] + 2 * half.table["radius_px"] < 80]
    same = whole.table.iloc[nearest(far, whole.table)].reset_index(drop=True)
    for name in ("x_px", "y_px", "radius_px"):
        assert (np.abs(far[name].to_numpy() - same[name]) < 0.5 * same[f"{name}_sd"]).all()
        assert far[f"{name}_sd"].to_numpy() == pytest.approx(same[f"{name}_sd"], rel=0.25)


def test_a_droplet_that_the_mask_cuts_is_flagged_and_known_less_well(
    picture: tuple[np.ndarray, pd.DataFrame], whole: Measurement, half: Measurement
) -> None:
    table = half.table
    cut = table[table["x_px"] + table["radius_px"] > 79]
    assert len(cut) == 1
    assert "border" in cut["flags"].iloc[0]
    before = whole.table.iloc[nearest(cut, whole.table)].iloc[0]
    assert "border" not in before["flags"]
    assert cut["x_px_sd"].iloc[0] > 1.3 * before["x_px_sd"]
    # A part of it is whether optics blur the edge, which a whole droplet does not tell either.
    assert cut["radius_px_sd"].iloc[0] > 1.1 * before["radius_px_sd"]
    assert cut["presence"].iloc[0] > 0.9


def test_what_lies_under_the_mask_makes_no_difference(
    picture: tuple[np.ndarray, pd.DataFrame], half: Measurement
) -> None:
    garbage = np.where(HALF, picture[0], np.random.default_rng(0).choice([0.0, 1.0], SIZE))
    other = measure(garbage, HALF, profile="disc")
    pd.testing.assert_frame_equal(other.candidates, half.candidates)
    assert (other.channels[0].numpy()[:, 80:] == garbage[:, 80:].astype(np.float32)).all()  # kept as it was
    assert other.sizes.as_dict() == half.sizes.as_dict()
    assert torch.allclose(other.prediction, half.prediction, atol=1e-6)
    assert not other.residual_map[:, 80:].any()


@pytest.mark.parametrize("how", ["nan", "nan tensor", "masked", "masked and a mask", "one channel of two"])
def test_pixels_without_a_number_are_missing(
    how: str, picture: tuple[np.ndarray, pd.DataFrame], half: Measurement
) -> None:
    pixels = picture[0]
    with_nan = np.where(HALF, pixels, np.nan)
    image: Any = {
        "nan": with_nan,
        "nan tensor": torch.from_numpy(with_nan),
        "masked": np.ma.masked_array(pixels, ~HALF),
        "masked and a mask": np.ma.masked_array(pixels, np.broadcast_to(np.arange(160) >= 120, SIZE)),
        "one channel of two": np.stack([pixels, with_nan + 0.05]),
    }[how]
    made = measure(image, HALF if how == "masked and a mask" else None, profile="disc")
    assert made.n_droplets == half.n_droplets
    assert made.looked_at is not None
    assert (made.looked_at == HALF).all()
    assert bool(made.channels.isfinite().all())
    if how != "one channel of two":
        pd.testing.assert_frame_equal(made.candidates, half.candidates)


def test_masking_what_holds_no_droplet_changes_the_others_by_less_than_they_are_known(
    picture: tuple[np.ndarray, pd.DataFrame], whole: Measurement
) -> None:
    rows, columns = np.mgrid[:120, :160]
    clear = np.min([np.hypot(columns - d.x_px, rows - d.y_px) - d.radius_px for d in picture[1].itertuples()], axis=0)
    mask = clear < 6
    assert 0.05 < (~mask).mean() < 0.9
    made = measure(picture[0], mask, profile="disc")
    assert made.n_droplets == whole.n_droplets
    same = whole.table.iloc[nearest(made.table, whole.table)].reset_index(drop=True)
    for name in ("x_px", "y_px", "radius_px"):
        assert (np.abs(made.table[name] - same[name]) < same[f"{name}_sd"]).all()


def test_it_is_saved_and_read_again_and_the_pyro_model_leaves_it_out(half: Measurement, tmp_path: Path) -> None:
    half.save(tmp_path / "fit.pt")
    again = pyrodrop.load(tmp_path / "fit.pt")
    assert isinstance(again, Measurement)
    pd.testing.assert_frame_equal(again.table, half.table)
    assert again.looked_at is not None
    assert (again.looked_at == HALF).all()
    state = torch.load(tmp_path / "fit.pt", weights_only=True)
    torch.save(state | {"looked_at": torch.ones(3, 4, dtype=torch.bool)}, tmp_path / "bad.pt")
    with pytest.raises(pyrodrop.CheckpointError, match="looked_at"):
        pyrodrop.load(tmp_path / "bad.pt")


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        (np.ones((5, 5), bool), r"mask has shape \(5, 5\), expected that of the image, \(120, 160\)"),
        (np.ones(SIZE), "mask holds float64, expected truth values"),
        (np.zeros(SIZE, bool), "mask leaves 0 of 19200 pixels"),
        ("mask.png", "mask has shape"),
    ],
)
def test_a_mask_that_is_none_is_refused_in_one_line(
    mask: Any, told: str, picture: tuple[np.ndarray, pd.DataFrame]
) -> None:
    with pytest.raises(SettingError, match=told) as refused:
        measure(picture[0], mask)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_intervals_of_what_a_mask_cuts_hold_the_truth_as_often_as_they_say() -> None:
    """Of twelve images a box is cut out of the middle, which goes through some ten droplets each."""
    mask = np.ones((200, 260), bool)
    mask[70:130, 80:180] = False
    held: dict[bool, list[bool]] = {True: [], False: []}
    counts = []
    for seed in range(12):
        image, truth = simulate(
            45, (200, 260), seed=seed, kind="gray", profile="disc", radius_px=(4, 12), separation=1.1, noise=0.03
        )
        made = measure(image.channel("gray"), mask, profile="disc")
        x, y = (truth[name].round().astype(int).to_numpy() for name in ("x_px", "y_px"))
        within = (x >= 0) & (x < 260) & (y >= 0) & (y < 200)
        within[within] &= mask[y[within], x[within]]
        counts.append(made.count.quantile(0.05) <= within.sum() <= made.count.quantile(0.95))
        to_box = np.hypot(
            np.maximum.reduce([80 - truth["x_px"], truth["x_px"] - 179, 0 * truth["x_px"]]),
            np.maximum.reduce([70 - truth["y_px"], truth["y_px"] - 129, 0 * truth["y_px"]]),
        )
        partners = nearest(made.table, truth)
        for row, partner in zip(made.table.itertuples(), partners, strict=True):
            true = truth.iloc[partner]
            if np.hypot(true["x_px"] - row.x_px, true["y_px"] - row.y_px) > 3:
                continue
            cut = bool(to_box[partner] < true["radius_px"])
            held[cut] += [
                bool(getattr(row, f"{name}_q05") <= true[name] <= getattr(row, f"{name}_q95"))
                for name in ("x_px", "y_px", "radius_px")
            ]
    assert sum(counts) >= 11
    # Of 78 intervals of 90 %, 62 to 77 hold with a probability of 99.9 %.
    assert len(held[True]) >= 60
    assert 0.79 <= np.mean(held[True]) <= 0.995
    assert 0.87 <= np.mean(held[False]) <= 0.97
