"""Injection and recovery: a finder of known power has its curve drawn right."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import center_of_mass, gaussian_filter, label, maximum_filter
from scipy.stats import beta
from torch import Tensor

from pyrodrop.images.simulation.simulate import simulate
from pyrodrop.workflows.measuring.inject import Recovery, detection_curve, inject
from pyrodrop.workflows.settings import SettingError

COLUMNS = ["x_px", "y_px", "radius_px"]


def blobs(channel: Tensor) -> pd.DataFrame:
    """Patches of the smoothed image above a threshold; a Gaussian is above half its height on 2 pi ln 2 r^2 pixels."""
    smooth = gaussian_filter(channel.double().numpy() - float(channel.median()), 1.0)
    patches, number = label(smooth > 0.06)
    rows = []
    for k in range(1, number + 1):
        inside = patches == k
        y, x = center_of_mass(smooth, patches, k)
        area = (smooth[inside] > smooth[inside].max() / 2).sum()
        rows.append((x, y, np.sqrt(max(area / (2 * np.pi * np.log(2)) - 1, 0.5)), 1.0))
    return pd.DataFrame(rows, columns=[*COLUMNS, "presence"], dtype=float)


def put(*arguments: Any, **more: Any) -> Recovery:
    return inject(*arguments, kernel="separable", **more)


def picture(n: int = 8, noise: float = 0.02) -> tuple[Tensor, pd.DataFrame]:
    image, truth = simulate(n, (160, 200), seed=1, kind="gray", radius_px=(3, 7), separation=3, noise=noise)
    return image.channel("gray"), truth


def test_large_contrasts_are_found_and_small_ones_are_not() -> None:
    channel, _ = picture()
    recovery = put(channel, blobs, [2.0, 4.0], [0.01, 0.4], each=10, per_image=5)
    probability = recovery.curve.set_index(["radius_px", "contrast"])["probability"]
    assert probability[4.0, 0.4] >= 0.8  # the threshold merges the few that are placed close to another
    assert probability[2.0, 0.4] >= 0.8
    assert probability[2.0, 0.01] < 0.2
    assert (recovery.curve["injected"] == 10).all()
    large = recovery.curve.set_index(["radius_px", "contrast"]).loc[(4.0, 0.4)]
    assert abs(large["radius_bias"]) < 0.2


def test_a_finder_of_known_power_and_bias_is_measured_so() -> None:
    """It knows where the droplets are, overlooks half of the small ones and reports radii a tenth too large."""
    channel, truth = picture()
    lot = np.random.default_rng(0)

    def seer(seen: Tensor) -> pd.DataFrame:
        added = (seen - channel).numpy()
        peaks = np.argwhere((added > 0.29) & (added == _largest_around(added)))
        rows = [truth[COLUMNS]]
        for row, column in peaks:
            radius = 2.0 if added[row, column + (4 if column < 100 else -4)] < 0.4 * added[row, column] else 5.0
            if radius == 5.0 or lot.random() < 0.5:
                rows.append(pd.DataFrame([[column, row, 1.1 * radius]], columns=COLUMNS))
        return pd.concat(rows, ignore_index=True)

    curve = put(channel, seer, [2.0, 5.0], [0.32], each=60, per_image=4).curve.set_index("radius_px")
    assert curve.loc[5.0, "probability"] == 1
    assert curve.loc[2.0, "q05"] < 0.5 < curve.loc[2.0, "q95"]
    np.testing.assert_allclose(curve["radius_bias"], 0.1, atol=1e-9)


def _largest_around(image: np.ndarray) -> np.ndarray:
    largest: np.ndarray = maximum_filter(image, 5)
    return largest


def test_droplets_are_put_clear_of_those_there_and_of_each_other() -> None:
    channel, truth = picture()
    droplets = put(channel, lambda _: truth, [3.0, 6.0], [0.2], each=8, per_image=8, separation=1.5).droplets
    assert not droplets["found"].any()  # it sees but the droplets that were there
    for _, some in droplets.groupby("image"):
        everything = pd.concat([truth[COLUMNS], some[COLUMNS]], ignore_index=True)
        x, y, r = everything.to_numpy().T
        apart = np.hypot(x[:, None] - x, y[:, None] - y) >= 1.5 * (r[:, None] + r) - 1e-9
        assert apart[len(truth) :, : len(truth)].all()
        own = apart[len(truth) :, len(truth) :]
        assert (own | np.eye(len(own), dtype=bool)).all()
        assert (some["x_px"] >= some["radius_px"]).all()
        assert (some["x_px"] <= 199 - some["radius_px"]).all()


def test_of_gaussians_that_were_measured_the_sigma_is_held_against_what_was_put_in() -> None:
    """Their radius is that of half height, and a droplet put in has the profile's own."""
    channel, _ = picture(0)

    def measured(seen: torch.Tensor) -> pd.DataFrame:
        table = blobs(seen)
        return table.assign(sigma_px=table["radius_px"], radius_px=3 * table["radius_px"])

    recovery = put(channel, measured, [4.0], [0.4], each=4)
    assert recovery.droplets["found"].all()
    assert recovery.curve["radius_bias"].abs().max() < 0.2


@pytest.mark.parametrize(("factor", "found"), [(0.4, False), (0.8, True), (1.3, True), (2.5, False)])
def test_a_speck_at_the_place_is_not_the_droplet(factor: float, found: bool) -> None:
    channel, _ = picture(0)

    def resized(seen: Tensor) -> pd.DataFrame:
        row, column = np.argwhere((seen - channel).numpy() == float((seen - channel).max()))[0]
        return pd.DataFrame([[column, row, 4.0 * factor]], columns=COLUMNS)

    assert put(channel, resized, [4.0], [0.4], each=3, per_image=1).droplets["found"].eq(found).all()


def test_dark_droplets_are_dark() -> None:
    channel, _ = picture(0)
    lowest: list[float] = []

    def watch(seen: Tensor) -> pd.DataFrame:
        lowest.append(float(seen.min()))
        return pd.DataFrame(columns=COLUMNS, dtype=float)

    put(channel, watch, [5.0], [-0.5], each=1)
    assert lowest[0] - lowest[1] > 0.3


def test_the_interval_is_that_of_jeffreys() -> None:
    droplets = pd.DataFrame({"radius_px": 2.0, "contrast": 0.1, "found": [True] * 3 + [False] * 7})
    droplets["found_radius_px"] = droplets["found"].map({True: 2.2, False: np.nan})
    (row,) = detection_curve(droplets).to_dict("records")
    assert (row["injected"], row["found"], row["probability"]) == (10, 3, 0.3)
    assert [row["q05"], row["q95"]] == pytest.approx(beta.ppf([0.05, 0.95], 3.5, 7.5))
    assert row["radius_bias"] == pytest.approx(0.1)
    none = detection_curve(droplets.assign(found=False, found_radius_px=np.nan)).iloc[0]
    assert none["q05"] == 0
    assert np.isnan(none["radius_bias"])


def test_the_same_seed_puts_them_in_the_same_places() -> None:
    channel, _ = picture(0)
    first, second = (put(channel, blobs, [3.0], [0.3], each=3, seed=4).droplets for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize(
    ("radii", "contrasts", "more", "message"),
    [
        ([], [0.1], {}, "radii_px"),
        ([0.0], [0.1], {}, "radii_px"),
        ([2.0], [0.0], {}, "contrasts"),
        ([2.0], [0.1], {"each": 0}, "each"),
        ([2.0], [0.1], {"separation": -1}, "separation"),
        ([90.0], [0.1], {}, "does not fit"),
        ([30.0], [0.1], {"per_image": 20}, "no room"),
    ],
)
def test_what_cannot_be_done_is_refused(
    radii: list[float], contrasts: list[float], more: dict[str, float], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        put(torch.zeros(160, 200), lambda _: pd.DataFrame(columns=COLUMNS, dtype=float), radii, contrasts, **more)
