"""Simulated images: the channel is the model's, the truth is what was drawn, and only the seed decides."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares
from scipy.stats import kstest, lognorm

from pyrodrop.images import Micrograph
from pyrodrop.images.simulation.simulate import (
    COLOUR_CHANNEL,
    EMBEDDED_DROPLETS,
    EMBEDDED_SIZE,
    embedded,
    simulate,
)
from pyrodrop.rendering import render

COLUMNS = ["id", "x_px", "y_px", "radius_px", "amplitude"]


def drawn(truth: pd.DataFrame, size: tuple[int, int], background: float) -> np.ndarray:
    """The channel of a truth, every pixel and every droplet, written out."""
    row, column = np.mgrid[: size[0], : size[1]]
    channel = np.full(size, float(background))
    for droplet in truth.itertuples():
        squared = (column - droplet.x_px) ** 2 + (row - droplet.y_px) ** 2
        channel += droplet.amplitude * np.exp(-squared / (2 * droplet.radius_px**2))
    return channel


@pytest.fixture(scope="module")
def brought_along() -> tuple[Micrograph, pd.DataFrame]:
    return embedded()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 12), st.integers(30, 60), st.integers(30, 60), st.integers(0, 2**32), st.floats(0, 1))
def test_a_gray_image_without_noise_is_the_models_channel(
    n_droplets: int, height: int, width: int, seed: int, background: float
) -> None:
    image, truth = simulate(
        n_droplets, (height, width), seed, kind="gray", noise=0, separation=0, background=background
    )
    assert image.size == (height, width)
    assert image.channels == ("gray",)
    assert list(truth.columns) == COLUMNS
    assert truth["id"].tolist() == list(range(n_droplets))
    np.testing.assert_allclose(
        image.channel("gray"), drawn(truth, image.size, background), atol=1e-5 * max(1, n_droplets)
    )


def test_noise_has_the_scale_asked_for() -> None:
    image, truth = simulate(20, (200, 200), 3, kind="gray", noise=0.05)
    residual = image.channel("gray").numpy() - drawn(truth, image.size, 0.14)
    # 40,000 draws: the standard errors are 0.05 / 200 and 0.05 / 283.
    assert abs(residual.mean()) < 5 * 0.05 / 200
    assert abs(residual.std() - 0.05) < 5 * 0.05 / 283


@pytest.mark.global_rng
@pytest.mark.parametrize("kind", ["gray", "colour"])
def test_the_seed_decides_everything(kind: Any) -> None:
    torch.manual_seed(1)
    first, truth = simulate(8, (60, 70), 5, kind=kind)
    torch.manual_seed(2)
    again, same = simulate(8, (60, 70), 5, kind=kind)
    other, different = simulate(8, (60, 70), 6, kind=kind)
    assert torch.equal(first.pixels, again.pixels)
    pd.testing.assert_frame_equal(truth, same)
    assert not torch.equal(first.pixels, other.pixels)
    assert not np.allclose(truth["x_px"], different["x_px"])


def test_both_kinds_hold_the_same_droplets() -> None:
    _, gray = simulate(8, (60, 70), 5, kind="gray")
    _, colour = simulate(8, (60, 70), 5, kind="colour")
    pd.testing.assert_frame_equal(gray[COLUMNS], colour[COLUMNS])


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99), st.floats(0, 2), st.floats(0, 2))
def test_bounds_are_kept(seed: int, separation: float, margin: float) -> None:
    _, truth = simulate(
        10,
        (150, 160),
        seed,
        kind="gray",
        separation=separation,
        margin=margin,
        radius_px=(3, 6),
        amplitude=(0.3, 0.4),
    )
    x, y, r = (truth[name].to_numpy() for name in ("x_px", "y_px", "radius_px"))
    assert ((r >= 3) & (r <= 6)).all()
    assert truth["amplitude"].between(0.3 - 1e-6, 0.4 + 1e-6).all()
    apart = np.hypot(x[:, None] - x, y[:, None] - y) - separation * (r[:, None] + r)
    assert (apart[~np.eye(10, dtype=bool)] >= -1e-4).all()
    if margin > 0:
        inset = np.minimum.reduce([x, 159 - x, y, 149 - y])
        assert (inset >= margin * r - 1e-4).all()
    assert ((x >= 0) & (x <= 160) & (y >= 0) & (y <= 150)).all()


def test_unbounded_droplets_follow_the_posts_prior() -> None:
    _, truth = simulate(
        2000, (20, 30), 1, kind="gray", radius_px=(0, math.inf), amplitude=(0, 1), separation=0, noise=0
    )
    expected = {
        "x_px": lambda v: v / 30,
        "y_px": lambda v: v / 20,
        "amplitude": lambda v: v,
        "radius_px": lognorm(0.75, scale=math.exp(1.5)).cdf,
    }
    for name, cdf in expected.items():
        assert kstest(cdf(truth[name]), "uniform").pvalue > 1e-3, name


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"n_droplets": -1}, "n_droplets is -1"),
        ({"size": (1, 9)}, "size is"),
        ({"size": (9,)}, "size is"),
        ({"kind": "grey"}, "choose colour or gray"),
        ({"profile": "square"}, "profile 'square' is unknown"),
        ({"amplitude": (0.5, 0.2)}, "amplitude is"),
        ({"amplitude": (0.5, 1.2)}, "amplitude is"),
        ({"radius_px": (5, 5)}, "radius_px is"),
        ({"radius_px": (-1, 5)}, "radius_px is"),
        ({"background": 1.5}, "background is"),
        ({"noise": -0.1}, "noise is"),
        ({"noise": math.nan}, "noise is"),
        ({"separation": math.inf}, "separation is"),
        ({"margin": -1}, "margin is"),
        ({"n_droplets": 500}, "only .* of 500 droplets found room"),
        ({"pixel_size_um": 0.0}, "pixel size is"),
    ],
    ids=str,
)
def test_what_cannot_be_simulated(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        simulate(**{"n_droplets": 3, "size": (40, 40), **arguments})
    assert "\n" not in str(caught.value)


def test_a_colour_image_is_of_eight_bits_and_shows_discs() -> None:
    image, truth = simulate(8, (60, 70), 5)
    assert image.pixels.shape == (60, 70, 3)
    levels = image.pixels * 255
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    assert list(truth.columns) == [*COLUMNS, "disc_radius_px", "palette"]
    assert (truth["disc_radius_px"] > truth["radius_px"]).all()


def test_the_saturation_of_the_embedded_micrograph_is_the_models(
    brought_along: tuple[Micrograph, pd.DataFrame],
) -> None:
    image, truth = brought_along
    assert image.size == EMBEDDED_SIZE
    assert len(truth) == EMBEDDED_DROPLETS
    residual = image.channel(COLOUR_CHANNEL).numpy() - drawn(truth, image.size, 0.14)
    assert residual.std() < 0.02
    assert abs(residual.mean()) < 0.005


def test_every_droplet_of_the_embedded_micrograph_can_be_fitted(
    brought_along: tuple[Micrograph, pd.DataFrame],
) -> None:
    """A least-squares fit of all droplets, begun beside the truth, ends at the truth."""
    image, truth = brought_along
    channel = image.channel(COLOUR_CHANNEL).numpy().astype(np.float64)
    difference = channel - drawn(truth, image.size, 0.14)
    found = []
    for droplet in truth.itertuples():
        reach = int(3 * droplet.radius_px) + 1
        rows = slice(max(0, int(droplet.y_px) - reach), int(droplet.y_px) + reach + 1)
        columns = slice(max(0, int(droplet.x_px) - reach), int(droplet.x_px) + reach + 1)
        row, column = np.mgrid[rows.start : min(rows.stop, 300), columns.start : min(columns.stop, 400)]
        alone = np.exp(-((column - droplet.x_px) ** 2 + (row - droplet.y_px) ** 2) / (2 * droplet.radius_px**2))
        target = difference[rows, columns] + droplet.amplitude * alone

        def residual(
            p: np.ndarray, row: np.ndarray = row, column: np.ndarray = column, target: np.ndarray = target
        ) -> np.ndarray:
            squared = (column - p[0]) ** 2 + (row - p[1]) ** 2
            return (p[3] * np.exp(-squared / (2 * p[2] ** 2)) - target).ravel()

        start = [droplet.x_px + 0.8, droplet.y_px - 0.8, 1.3 * droplet.radius_px, 0.3]
        found.append(least_squares(residual, start).x)
    x, y, r, amplitude = np.array(found).T
    assert np.hypot(x - truth["x_px"], y - truth["y_px"]).max() < 0.4
    assert np.abs(np.abs(r) / truth["radius_px"] - 1).max() < 0.1
    assert np.abs(amplitude - truth["amplitude"]).max() < 0.05


def test_the_embedded_micrograph_is_coloured_shaded_and_uneven(
    brought_along: tuple[Micrograph, pd.DataFrame],
) -> None:
    image, truth = brought_along
    hue, value = image.channel("hue").numpy(), image.channel("value").numpy()
    assert truth["palette"].nunique() >= 4
    top, bottom, inside = [], [], []
    for droplet in truth[truth["radius_px"] > 4].itertuples():
        x, y, half = round(droplet.x_px), round(droplet.y_px), round(0.6 * droplet.disc_radius_px)
        if half < y < 300 - half:
            top.append(value[y - half, min(x, 399)])
            bottom.append(value[y + half, min(x, 399)])
            inside.append(hue[y, min(x, 399)])
    assert np.mean(bottom) > np.mean(top) + 0.08
    assert np.std(inside) > 0.1
    ground = drawn(truth, image.size, 0) < 0.01
    corners = [value[rows, columns][ground[rows, columns]].mean() for rows, columns in _corners()]
    assert max(corners) - min(corners) > 0.02


def _corners() -> list[tuple[slice, slice]]:
    ends = [(slice(0, 75), slice(225, 300)), (slice(0, 100), slice(300, 400))]
    return [(rows, columns) for rows in ends[0] for columns in ends[1]]


@pytest.mark.parametrize(("profile", "shape"), [("disc", (0.8,)), ("radial", (1.5, 0.4, 0.1, 0.0, -0.1, -0.2))])
def test_other_profiles_are_drawn_with_their_shape(profile: str, shape: tuple[float, ...]) -> None:
    image, truth = simulate(5, (60, 70), 3, kind="gray", profile=profile, shape=shape, noise=0.0, background=0.1)
    at = [torch.tensor(truth[name].to_numpy()) for name in ("x_px", "y_px", "radius_px", "amplitude")]
    level, given_shape = torch.tensor(0.1).double(), torch.tensor(shape).double()
    expected = render(*at, level, (60, 70), profile, "reference", given_shape)
    assert torch.allclose(image.pixels[..., 0].double(), expected, atol=1e-5)
    other, _ = simulate(5, (60, 70), 3, kind="gray", profile=profile, noise=0.0, background=0.1)
    assert not torch.allclose(image.pixels, other.pixels, atol=1e-3)


@pytest.mark.parametrize("shape", [(), (-1.0,), (0.0,)])
def test_an_edge_that_is_none_is_refused(shape: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"takes 1 numbers \(edge_px\), widths positive"):
        simulate(1, (40, 40), profile="disc", shape=shape)
