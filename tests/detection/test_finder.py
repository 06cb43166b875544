"""Droplets found with nothing given but the image: recovery of a known truth, symmetries, and noise."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from pyrodrop.detection.finder import Found, find

Image = npt.NDArray[np.float64]
SIZE = (240, 300)


def truth(seed: int, smallest: float = 3.0, largest: float = 18.0, n: int = 25) -> Image:
    """Discs (n, 3) of x, y, r that do not touch, on 240 x 300 pixels."""
    generator = np.random.default_rng(seed)
    rows: list[tuple[float, float, float]] = []
    while len(rows) < n:
        r = float(np.exp(generator.uniform(np.log(smallest), np.log(largest))))
        x, y = generator.uniform(r + 2, SIZE[1] - r - 3), generator.uniform(r + 2, SIZE[0] - r - 3)
        if all(np.hypot(x - a, y - b) > 1.15 * (r + c) + 2 for a, b, c in rows):
            rows.append((x, y, r))
    return np.array(rows)


def discs(rows: Image, sign: float = 1.0, noise: float = 0.05, seed: int = 0) -> Image:
    """Discs of height 1 with rims 1 px wide on a sloping background."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    image = 0.3 * x / SIZE[1] - 0.2 * y / SIZE[0]
    for cx, cy, r in rows:
        image = image + sign / (1.0 + np.exp(np.clip((np.hypot(x - cx, y - cy) - r) / 0.4, -60, 60)))
    return image + noise * np.random.default_rng(seed).normal(size=SIZE)


def found_in(image: Image) -> Found:
    found = find(torch.from_numpy(image.copy()))
    there = found.presence >= 0.5
    return found._replace(**{name: getattr(found, name)[there] for name in ("x", "y", "r", "amplitude", "presence")})


def circles(found: Found) -> Image:
    return np.stack([found.x, found.y, found.r], 1)


def assert_same(a: Image, b: Image, place: float, radius: float) -> None:
    """Every circle (n, 3) of one is one of the other."""
    assert len(a) == len(b)
    apart = np.hypot(a[:, None, 0] - b[None, :, 0], a[:, None, 1] - b[None, :, 1])
    i, j = linear_sum_assignment(apart)
    assert apart[i, j].max() < place
    np.testing.assert_allclose(a[i, 2], b[j, 2], rtol=radius)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_discs_of_either_sign_are_all_found_and_nothing_else(seed: int, sign: float) -> None:
    rows = truth(seed)
    found = found_in(discs(rows, sign))
    assert_same(circles(found), rows, place=0.5, radius=0.08)
    assert np.median(np.abs(found.r[np.argsort(found.x)] / rows[np.argsort(rows[:, 0]), 2] - 1.0)) < 0.02
    assert bool((np.sign(found.amplitude) == sign).all())
    np.testing.assert_allclose(np.abs(found.amplitude), 1.0, atol=0.25)


def test_discs_of_both_signs_in_one_image_are_found() -> None:
    rows = truth(3)
    image = discs(rows[::2]) + discs(rows[1::2], -1.0, noise=0.0)
    assert_same(circles(found_in(image)), rows, place=0.5, radius=0.08)


def test_touching_discs_are_told_apart() -> None:
    rows = np.array(
        [[60.0, 60.0, 12.0], [83.5, 60.0, 12.0], [72.0, 80.5, 12.0], [180.0, 120.0, 9.0], [197.0, 124.0, 9.0]]
    )
    assert_same(circles(found_in(np.minimum(discs(rows, noise=0.0), 1.2))), rows, place=0.9, radius=0.06)


def test_a_gaussian_droplets_radius_is_where_it_falls_to_half() -> None:
    """Half height lies at sigma sqrt(2 log 2)."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    rows = truth(4, 4.0, 8.0, n=8)
    image = sum(np.exp(-np.log(2.0) * ((x - cx) ** 2 + (y - cy) ** 2) / r**2) for cx, cy, r in rows)
    image = image + 0.01 * np.random.default_rng(0).normal(size=SIZE)
    assert_same(circles(found_in(image)), rows, place=0.3, radius=0.08)


def test_noise_alone_holds_no_droplets() -> None:
    """White or smooth, in nearly all of 20 seeds."""
    held = 0
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(size=(200, 200))
        held += len(found_in(ndimage.gaussian_filter(noise, 1.5) if seed % 2 else noise).x) > 0
    assert held <= 1


def test_a_flat_image_holds_no_droplets() -> None:
    found = find(torch.full((64, 80), 3.0))
    assert len(found.x) == 0
    np.testing.assert_allclose(found.background, 3.0)


def test_inverting_the_image_turns_the_sign_and_nothing_else() -> None:
    image = discs(truth(5))
    one, other = found_in(image), found_in(-image)
    assert_same(circles(one), circles(other), place=1e-3, radius=1e-4)
    np.testing.assert_allclose(np.sort(one.amplitude), np.sort(-other.amplitude), rtol=1e-3)


@pytest.mark.parametrize(("scale", "shift"), [(1e-4, 0.0), (1000.0, 0.0), (40.0, -100.0)])
def test_the_scale_of_intensity_does_not_matter(scale: float, shift: float) -> None:
    image = discs(truth(6))
    one, other = found_in(image), found_in(scale * image + shift)
    assert_same(circles(one), circles(other), place=0.01, radius=1e-3)
    np.testing.assert_allclose(np.median(other.amplitude), scale * np.median(one.amplitude), rtol=1e-3)


@pytest.mark.parametrize("turn", ["transposed", "flipped"])
def test_a_turned_image_holds_the_turned_droplets(turn: str) -> None:
    """As near as the levels' samples, which are every 2nd, 4th, ... pixel from the top left corner, allow."""
    rows = truth(7)
    image = discs(rows)
    seen = circles(found_in(image.T if turn == "transposed" else image[:, ::-1]))
    back = seen[:, [1, 0, 2]] if turn == "transposed" else seen * [-1.0, 1.0, 1.0] + [SIZE[1] - 1.0, 0.0, 0.0]
    assert_same(back, circles(found_in(image)), place=0.2, radius=0.03)


@pytest.mark.parametrize(
    ("channel", "message"),
    [
        (torch.zeros(3, 20, 20), r"\(H, W\)"),
        (torch.zeros(4, 200), "8 x 8"),
        (torch.full((20, 20), torch.nan), "finite"),
    ],
)
def test_what_is_no_image_is_refused(channel: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find(channel)
