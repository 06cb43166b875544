"""Edits of a measurement: a person's word holds, the image says the rest, and the opposite edit takes an edit back."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import pyrodrop
from pyrodrop.recognition.candidates import Candidates, OfWhole
from pyrodrop.recognition.recognise import recognise
from pyrodrop.rendering import render
from pyrodrop.workflows.measuring.assembly import measurement_of
from pyrodrop.workflows.measuring.measure import measured_image
from pyrodrop.workflows.measuring.measurement import Measurement
from pyrodrop.workflows.settings import SettingError

SIZE = (110, 150)
NUMBERS = ("x_px", "y_px", "radius_px", "amplitude")


def picture(crowded: bool = False) -> tuple[np.ndarray, pd.DataFrame]:
    """Twelve bright discs, every second of which meets the next where it is crowded."""
    x, y = (grid.ravel() + 0.3 for grid in np.meshgrid(np.linspace(20, 130, 4), np.linspace(20, 90, 3)))
    r = 5.0 + np.arange(12) % 3
    if crowded:
        x[::2] += 12.0
    drawn = render(
        *(torch.tensor(values) for values in (x, y, r, np.full(12, 0.3))),
        0.4,
        SIZE,
        profile="disc",
        shape=torch.tensor([1.0], dtype=torch.float64),
    )
    noise = 0.02 * np.random.default_rng(1).standard_normal(SIZE)
    return drawn.numpy() + noise, pd.DataFrame({"x_px": x, "y_px": y, "radius_px": r})


def measured_with(pixels: np.ndarray, circles: np.ndarray) -> Measurement:
    """The measurement of an image in which a network has proposed these circles, (n, 3), and is sure of them."""
    image = measured_image(torch.from_numpy(pixels[None]).float(), ("0",), None)
    values = image.channels.double().numpy()
    n = len(circles)
    proposed = Candidates(*circles.T, np.full(n, 0.99), np.tile([0.3, 0.3, 0.05], (n, 1)))
    return measurement_of(
        image, recognise(values, values[0], ("disc",), OfWhole(proposed), least_of_residual=1.1), 0, 0.0
    )


def nearest(measurement: Measurement, x: float, y: float) -> int:
    """The id of the droplet at a place."""
    table = measurement.candidates
    return int(table["id"].iloc[np.hypot(table["x_px"] - x, table["y_px"] - y).argmin()])


def apart(one: Measurement, other: Measurement, names: tuple[str, ...] = NUMBERS) -> np.ndarray:
    """How far two measurements of the same droplets differ, in standard deviations of the first, (n, names)."""
    table, matched = one.table, matching(one, other)
    return np.stack(
        [np.abs((table[n].to_numpy() - matched[n].to_numpy()) / table[f"{n}_sd"].to_numpy()) for n in names], 1
    )


def matching(one: Measurement, other: Measurement) -> pd.DataFrame:
    """The rows of another measurement's table that are the droplets of the first one's, in its order."""
    table = other.table
    assert len(table) == len(one.table)
    return table.set_index("id").loc[[nearest(other, *place) for place in one.table[["x_px", "y_px"]].to_numpy()]]


@pytest.fixture(scope="module", params=[False, True], ids=["apart", "meeting"])
def scene(request: pytest.FixtureRequest) -> tuple[np.ndarray, pd.DataFrame, Measurement]:
    pixels, truth = picture(request.param)
    return pixels, truth, measured_with(pixels, truth.to_numpy())


def test_what_is_removed_is_not_there_and_what_is_added_is(scene: tuple[np.ndarray, pd.DataFrame, Measurement]) -> None:
    _, truth, measurement = scene
    x, y, radius = truth.iloc[5]
    without = measurement.edit(remove=[nearest(measurement, x, y)])
    assert (measurement.n_droplets, without.n_droplets) == (12, 11)
    assert np.hypot(without.candidates["x_px"] - x, without.candidates["y_px"] - y).min() > radius
    again = without.edit(add=[(x + 1, y - 1, 0.8 * radius)])
    added = again.table.set_index("id").loc[12]
    assert again.n_droplets == 12
    assert added["presence"] == 1
    assert abs(added["radius_px"] - radius) < 5 * added["radius_px_sd"]


def test_corrected_candidates_give_the_table_of_right_ones(
    scene: tuple[np.ndarray, pd.DataFrame, Measurement],
) -> None:
    """One that is no droplet is removed and one that was missed is added."""
    pixels, truth, right = scene
    circles = truth.drop(5).to_numpy()
    wrong = measured_with(pixels, circles).edit(add=[(75.0, 38.0, 4.0)])
    x, y, radius = truth.iloc[5]
    mended = wrong.edit(remove=[nearest(wrong, 75.0, 38.0)], add=[(x, y, radius)])
    assert (apart(right, mended) < 0.5).all()
    for name in NUMBERS:
        ratio = matching(right, mended)[f"{name}_sd"].to_numpy() / right.table[f"{name}_sd"].to_numpy()
        assert (np.abs(np.log(ratio)) < 0.25).all()
    assert mended.count.as_dict() == pytest.approx(right.count.as_dict(), abs=0.1)
    assert mended.sizes["dn50"].mean == pytest.approx(right.sizes["dn50"].mean, rel=0.01)
    assert torch.allclose(mended.noise, right.noise, rtol=0.02)


def test_the_opposite_edit_takes_an_edit_back(scene: tuple[np.ndarray, pd.DataFrame, Measurement]) -> None:
    _, _, measurement = scene
    added = measurement.edit(add=[(75.0, 38.0, 5.0)])
    back = added.edit(remove=[12])
    assert back.table["id"].tolist() == measurement.table["id"].tolist()
    assert (apart(measurement, back) < 0.02).all()
    for name in NUMBERS:
        assert np.allclose(back.table[f"{name}_sd"], measurement.table[f"{name}_sd"], rtol=0.03)
    assert torch.allclose(back.presence, measurement.presence, atol=1e-3)
    assert [edit.kind for edit in back.edits] == ["add", "remove"]


def test_droplets_far_from_an_edit_keep_their_numbers() -> None:
    pixels, _ = pyrodrop.simulate(120, (400, 400), seed=2, kind="gray", profile="disc", radius_px=(4, 6))
    measurement = pyrodrop.measure(pixels, profile="disc")
    table = measurement.candidates.set_index("id")
    edited = measurement.edit(add=[(200.0, 200.0, 4.0)]).candidates.set_index("id")
    far = np.hypot(table["x_px"] - 200, table["y_px"] - 200) > 120
    names = [*NUMBERS, *(f"{name}_sd" for name in NUMBERS), "presence"]
    assert far.sum() > 50
    assert (edited.loc[table.index[far], names] == table.loc[far, names]).all(axis=None)


def test_a_doubtful_droplet_that_is_kept_counts() -> None:
    """And its numbers are what they were."""
    pixels, truth = picture()
    measurement = measured_with(pixels, truth.to_numpy())
    doubtful = measurement.droplets._replace(presence=torch.tensor([0.3, *[1.0] * 11], dtype=torch.float64))
    measurement = Measurement(measurement.image, doubtful, measurement.fitted, 0, 0.0)
    kept = measurement.edit(keep=[0])
    assert (measurement.n_droplets, kept.n_droplets) == (11, 12)
    assert kept.presence.tolist() == [1.0] * 12
    assert kept.count.quantile(0.05) == 12
    pd.testing.assert_frame_equal(
        kept.candidates.set_index("id")[list(NUMBERS)].sort_index(),
        measurement.candidates.set_index("id")[list(NUMBERS)].sort_index(),
    )


def test_what_was_taken_for_two_is_merged_and_what_for_one_is_split(
    scene: tuple[np.ndarray, pd.DataFrame, Measurement],
) -> None:
    _, truth, measurement = scene
    x, y, radius = truth.iloc[5]
    half = ((x - radius / 2, y, 0.7 * radius), (x + radius / 2, y, 0.7 * radius))
    split = measurement.edit(split={nearest(measurement, x, y): half})
    assert split.n_droplets == 13
    merged = split.edit(merge=[(12, 13)])
    assert merged.n_droplets == 12
    assert (apart(measurement, merged) < 0.3).all()


def test_a_droplet_that_is_moved_keeps_its_id(scene: tuple[np.ndarray, pd.DataFrame, Measurement]) -> None:
    """Put beside its place, but not too far from it, it is fitted where it is."""
    _, truth, measurement = scene
    x, y, radius = truth.iloc[5]
    number = nearest(measurement, x, y)
    moved = measurement.edit(move={number: (x + 1.5, y + 1, 1.2 * radius)})
    assert moved.n_droplets == 12
    assert nearest(moved, x, y) == number
    assert (apart(measurement, moved) < 0.3).all()


def test_what_a_mask_takes_away_is_not_looked_at(scene: tuple[np.ndarray, pd.DataFrame, Measurement]) -> None:
    _, _, measurement = scene
    mask = np.ones(SIZE, bool)
    mask[:, 75:] = False
    masked = measurement.edit(mask=mask)
    assert masked.area_px == mask.sum()
    assert (masked.table["x_px"] < 75).all()
    left = measurement.table["x_px"] < 74
    assert masked.n_droplets >= left.sum()
    assert not masked.residual_in_noise[:, ~torch.from_numpy(mask)].any()
    assert masked.edits[-1].pixels == (~mask).sum()


def test_an_edited_measurement_is_saved_and_edited_again(
    tmp_path: Path, scene: tuple[np.ndarray, pd.DataFrame, Measurement]
) -> None:
    _, _, measurement = scene
    first = measurement.edit(add=[(75.0, 38.0, 5.0)])
    first.save(tmp_path / "fit.pt")
    loaded = pyrodrop.load(tmp_path / "fit.pt")
    assert isinstance(loaded, Measurement)
    assert loaded.edits == first.edits
    second, other = (each.edit(remove=[0]) for each in (first, loaded))
    pd.testing.assert_frame_equal(second.candidates, other.candidates)


def test_the_sites_are_those_of_the_model_that_leaves_the_residual(
    scene: tuple[np.ndarray, pd.DataFrame, Measurement],
) -> None:
    _, truth, measurement = scene
    x, y, radius = truth.iloc[5]
    edited = measurement.edit(move={nearest(measurement, x, y): (x + 1, y, radius)}, add=[(75.0, 38.0, 4.0)])
    sites = edited.sites
    drawn = render(
        *(sites[name] for name in ("x", "y", "r")),
        sites["amplitude"][0],
        0.0,
        SIZE,
        profile="disc",
        shape=edited.shape,
    )
    left = edited.channels[0].double() - drawn - edited.background[0].double()
    assert (left - edited.residual[0]).abs().max() < 0.1 * float(edited.noise)


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ({"remove": [99]}, "remove names 99, and no droplet has that id"),
        ({"remove": [1], "keep": [1]}, "keep names 1 which remove names, too"),
        ({"remove": [1, 1]}, "remove names 1 twice"),
        ({"remove": ["a"]}, "remove has 'a', expected an id"),
        ({"remove": 3}, "remove is 3, expected a list of ids"),
        ({"add": [(1, 2)]}, "add has (1, 2), expected a circle"),
        ({"add": [(1, 2, -1)]}, "add has a circle of radius -1"),
        ({"add": [(400, 2, 3)]}, "centre is outside of the image of 150 x 110 px"),
        ({"add": [(40, 2, 3000)]}, "which is larger than the image"),
        ({"move": [3]}, "move is [3], expected a dict"),
        ({"merge": [(1,)]}, "merge has [1], expected at least 2 ids"),
        ({"split": {1: [(1, 2, 3)]}}, "split has 1 circles"),
        ({"mask": np.ones((3, 3), bool)}, "mask has shape (3, 3)"),
    ],
)
def test_what_cannot_be_edited_is_refused_in_one_line(
    scene: tuple[np.ndarray, pd.DataFrame, Measurement], edits: dict[str, object], said: str
) -> None:
    with pytest.raises(SettingError) as error:
        scene[2].edit(**edits)  # type: ignore[arg-type]
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_measurement_of_an_earlier_version_is_to_be_measured_again(
    scene: tuple[np.ndarray, pd.DataFrame, Measurement],
) -> None:
    measurement = scene[2]
    earlier = Measurement(measurement.image, measurement.droplets, measurement.fitted._replace(found=None), 0, 0.0)
    with pytest.raises(SettingError, match="measure the image again"):
        earlier.edit(remove=[1])
