"""What comes of tracks: rates and sizes with intervals that hold, events that happened, and clear refusals."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from workflows.tracking.walks import SDS, Walks, walks

import pyrodrop
from pyrodrop.workflows.tracking.tracks import Tracks


@pytest.fixture(scope="module")
def tracks() -> Tracks:
    table, _ = walks(Walks(misses=0.05, seed=1))
    return pyrodrop.track(table, size=(120, 120), interval_s=2.0, pixel_size_um=0.5)


def test_a_table_has_a_row_a_droplet_and_frame_also_where_it_was_missed(tracks: Tracks) -> None:
    table = tracks.table
    assert not table.duplicated(["track", "frame"]).any()
    spans = table.groupby("track")["frame"].agg(["min", "max", "count"])
    assert (spans["max"] - spans["min"] + 1 == spans["count"]).all()
    missed = table["detected"] == 0
    assert missed.any()
    assert table.loc[missed, "x_px_sd"].mean() > 2 * table.loc[~missed, "x_px_sd"].mean()
    assert (table["radius_px_q05"] < table["radius_px"]).all()
    assert table["link_probability"].dropna().between(0, 1).all()
    np.testing.assert_allclose(table["time_s"], 2.0 * table["frame"])
    np.testing.assert_allclose(table["radius_um"], 0.5 * table["radius_px"])


def test_rates_and_their_units(tracks: Tracks) -> None:
    rates = tracks.rates.dropna()
    np.testing.assert_allclose(rates["dr_dt_um_per_s"], rates["dr_dt_px_per_frame"] * 0.5 / 2.0)
    np.testing.assert_allclose(rates["mobility_um2_per_s"], rates["mobility_px2_per_frame"] * 0.25 / 2.0)
    assert rates["mobility_px2_per_frame"].median() == pytest.approx(0.5, rel=0.25)


@pytest.mark.slow
def test_intervals_of_rates_hold_the_truth() -> None:
    how = Walks(droplets=60, side=240.0, seed=6)
    table, droplet = walks(how)
    rng = np.random.default_rng(how.seed)
    rng.uniform(size=(how.droplets, 2))
    rng.uniform(3, 6, how.droplets)
    truth = how.growth * rng.standard_normal(how.droplets)
    found = pyrodrop.track(table, size=(240, 240))
    first = found.table.groupby("track")["detection"].first()
    true = truth[droplet[first.to_numpy()]]
    whole = found.rates["detections"] > how.frames / 2
    low, high = found.rates["dr_dt_px_per_frame_q05"][whole], found.rates["dr_dt_px_per_frame_q95"][whole]
    held = ((low <= true[whole]) & (true[whole] <= high)).mean()
    assert 0.78 <= held <= 0.99  # of 60, with 90 % intervals


@pytest.mark.slow
def test_a_merger_is_told_by_its_volume() -> None:
    """Two droplets that walk into one another become one of both volumes; two that pass each other do not."""
    table, _ = walks(Walks(droplets=20, side=200.0, frames=16, diffusion=0.2, growth=0.0, seed=9))
    table = table[(table["x_px"] > 60) | (table["y_px"] > 60)]
    rows = []
    for t in range(16):
        if t < 8:
            rows += [(t, 20 + t, 30.0, 5.0), (t, 44 - t, 30.0, 4.0)]
        else:
            rows.append((t, 29.7, 30.0, (5.0**3 + 4.0**3) ** (1 / 3)))
    three = pd.DataFrame(rows, columns=["frame", "x_px", "y_px", "radius_px"])
    three = three.assign(amplitude=0.5, presence=0.99, **SDS)
    found = pyrodrop.track(pd.concat([table, three], ignore_index=True), size=(200, 200))
    merged = found.events[found.events["event"] == "merged from"]
    assert len(merged) == 1
    event = merged.iloc[0]
    assert (event["frame"], round(event["x_px"])) == (8, 30)
    assert event["probability"] > 0.5
    parents = found.table[found.table["track"].isin([int(name) for name in event["others"].split()])]
    assert sorted(parents.groupby("track")["radius_px"].mean().round().tolist()) == [4, 5]
    assert parents["frame"].max() == 7
    # backwards in time it is a split
    turned = pd.concat([table, three], ignore_index=True).assign(frame=lambda each: 15 - each["frame"])
    split = pyrodrop.track(turned, size=(200, 200)).events
    split = split[split["event"] == "split into"]
    assert split["frame"].tolist() == [7]


def test_droplets_that_go_over_the_edge_leave_and_those_within_dissolve() -> None:
    table, _ = walks(Walks(droplets=25, side=200.0, frames=14, diffusion=0.1, seed=3))
    out = pd.DataFrame({"frame": range(6), "x_px": 197.7 + 0.3 * np.arange(6), "y_px": 3.0, "radius_px": 4.5})
    gone = pd.DataFrame({"frame": range(6), "x_px": 100.0, "y_px": 3.0, "radius_px": 3.0})
    more = [each.assign(amplitude=0.6, presence=0.999, **SDS) for each in (out, gone)]
    found = pyrodrop.track(pd.concat([table, *more], ignore_index=True), size=(200, 200))
    ends = found.events[found.events["y_px"].between(2, 4) & (found.events["frame"] == 5)]
    told = dict(zip(ends["x_px"].round(-1), ends["event"], strict=True))
    assert told == {200.0: "left", 100.0: "dissolved"}


def test_a_droplet_that_comes_back_over_the_edge_is_the_same_and_not_in_the_image_meanwhile() -> None:
    table, _ = walks(Walks(droplets=20, side=160.0, frames=12, diffusion=0.5, seed=3))
    way = np.array([3.0, 1.6, 0.4, -1.5, -2.6, -2.4, -1.2, 0.2, 1.4, 2.2, 3.1, 3.4])
    guest = pd.DataFrame({"frame": range(12), "x_px": way, "y_px": 4.0, "radius_px": 4.2})
    guest = guest[guest["x_px"] > -0.5].assign(amplitude=0.61, presence=0.99, **SDS)
    found = pyrodrop.track(pd.concat([table, guest], ignore_index=True), size=(160, 160))
    assert found.n_tracks == 21
    rows = found.table[(found.table["y_px"] < 6) & (found.table["x_px"] < 6)]
    assert rows["track"].nunique() == 1
    assert rows["frame"].tolist() == list(range(12))
    number = found.population["n_droplets"]
    assert number[:3].mean() > 20.5
    assert number.min() < 21.0


def test_frames_are_measured_and_a_missing_one_is_named_and_ends_no_track(tmp_path: Path) -> None:
    frames = [drawn(t) for t in range(5)]
    found = pyrodrop.track([*frames[:2], None, *frames[3:]], profile="gaussian", keep=tmp_path / "kept")
    assert found.unreadable == {2: "frame 2 is missing"}
    assert found.frames == 5
    whole = found.rates[found.rates["detections"] == 4]
    assert len(whole) == 3
    assert set(found.table.loc[found.table["frame"] == 2, "detected"]) == {0}
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "kept").glob("frame-*.csv")}
    again = pyrodrop.track([*frames[:2], None, *frames[3:]], profile="gaussian", keep=tmp_path / "kept")
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "kept").glob("frame-*.csv")} == before
    pd.testing.assert_frame_equal(again.table, found.table)


def drawn(t: int) -> np.ndarray:
    """A frame of three droplets that move and grow."""
    y, x = np.mgrid[:64, :64]
    noise = 0.01 * np.random.default_rng(t).standard_normal((64, 64))
    for k, (at, down) in enumerate([(14, 14), (44, 20), (26, 46)]):
        r = 3 + k / 2 + 0.05 * t
        noise += (0.5 + 0.1 * k) * np.exp(-((x - at - t) ** 2 + (y - down) ** 2) / (2 * r**2))
    return noise.astype(np.float32)


@pytest.mark.parametrize(
    ("stack", "words", "message"),
    [
        (pd.DataFrame({"frame": [0], "x_px": [1.0]}), {}, "lacks the column y_px, radius_px"),
        (pd.DataFrame(columns=["frame", "x_px", "y_px", "radius_px"]), {}, "no rows"),
        (pd.DataFrame({"frame": [0.5], "x_px": [1.0], "y_px": [1.0], "radius_px": [1.0]}), {}, "whole numbers"),
        (pd.DataFrame({"frame": [0], "x_px": [1.0], "y_px": [1.0], "radius_px": [0.0]}), {}, "not positive"),
        (pd.DataFrame({"frame": [0], "x_px": ["a"], "y_px": [1.0], "radius_px": [1.0]}), {}, "finite numbers"),
        ([], {}, "at least two"),
        (3, {}, "expected a file"),
        ([np.zeros((9, 9))] * 2, {"interval_s": 0.0}, "interval_s is 0.0"),
        ([np.zeros((9, 9))] * 2, {"size": (9, 9)}, "of a table"),
    ],
)
def test_what_cannot_be_followed_is_refused_in_one_line(stack: object, words: dict, message: str) -> None:
    with pytest.raises((pyrodrop.SettingError, pyrodrop.ImageError), match=message) as caught:
        pyrodrop.track(stack, **words)
    assert "\n" not in str(caught.value)


def test_what_is_doubtful_in_every_frame_is_no_droplet_though_it_is_followed() -> None:
    """One droplet's presence is set to what a look-alike has: that it stays in its place makes it none the likelier."""
    table, droplet = walks(Walks(droplets=12, frames=10, seed=4))
    table.loc[droplet == 3, "presence"] = 0.1
    tracks = pyrodrop.track(table.drop(columns="droplet", errors="ignore"), size=(120, 120))
    assert tracks.n_tracks == 11
    assert not set(tracks.table["detection"]) & set(np.flatnonzero(droplet == 3))
    assert len(tracks.rates) == 11
