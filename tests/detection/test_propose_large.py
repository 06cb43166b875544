"""An image that does not fit into memory has the proposals that it has as a whole."""

from typing import Any

import numpy as np
import pytest
import torch

from pyrodrop.detection import propose_large
from pyrodrop.detection.network import parts
from pyrodrop.detection.network.channels import image_statistics
from pyrodrop.detection.network.scales import Reduced, reduced
from pyrodrop.detection.network.streamed_statistics import streamed_statistics
from pyrodrop.detection.propose import propose

SIDE = 96


class OnDisk:
    """An image that gives parts of itself, none of them larger than a window with its margins."""

    def __init__(self, pixels: np.ndarray) -> None:
        self._pixels = pixels
        self.shape = pixels.shape

    def __getitem__(self, box: tuple[slice, slice], /) -> Any:
        return self._pixels[box]


def droplets(height: int, width: int) -> np.ndarray:
    """Small and large ones on a slope, in noise."""
    generator = np.random.default_rng(3)
    y, x = np.mgrid[:height, :width]
    image = 0.3 + 0.1 * x / width + 0.01 * generator.standard_normal((height, width))
    for a, b, r in zip(
        generator.uniform(0, width, 30),
        generator.uniform(0, height, 30),
        generator.geometric(0.15, 30) + 3,
        strict=True,
    ):
        image += 0.3 * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * r**2))
    return image.astype(np.float32)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "BLOCK", 64)


@pytest.mark.parametrize("sign", [1, -1])
def test_proposals_are_those_of_the_whole(sign: int) -> None:
    pixels = sign * droplets(620, 410)
    image = OnDisk(pixels)
    overview = propose_large.overview_of(image)
    windows = propose_large.windows_to_look_at(image, overview, SIDE)
    assert len(windows) > 20
    cells = [propose_large.look_at_window(image, overview, window) for window in reversed(windows)]
    cells += propose_large.look_at_reduced(image, overview, SIDE)
    made = propose_large.proposals_of_all(image, overview, cells, 0.1)
    whole = propose(pixels, least_presence=0.1)
    assert len(made) == len(whole) > 20
    torch.testing.assert_close(made.circles, whole.circles, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(made.presence, whole.presence, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(made.sd, whole.sd, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(made.brighter, whole.brighter, atol=1e-3, rtol=1e-3)


def test_an_image_of_one_brightness_is_not_looked_at() -> None:
    image = OnDisk(np.full((300, 300), 0.2, np.float32))
    overview = propose_large.overview_of(image)
    assert propose_large.windows_to_look_at(image, overview, SIDE) == []
    assert len(propose_large.proposals_of_all(image, overview, [], 0.1)) == 0


@pytest.mark.parametrize("kind", ["smooth", "levels", "hot", "unknown"])
def test_statistics_from_parts_are_those_of_the_whole(kind: str) -> None:
    pixels = droplets(200, 330)
    if kind == "levels":
        pixels = np.round(pixels * 40).astype(np.float32)
    elif kind == "hot":
        pixels[17, 170] = 1e4
    elif kind == "unknown":
        pixels[40:150, 100:180] = np.nan
    np.testing.assert_allclose(streamed_statistics(OnDisk(pixels)), image_statistics(pixels), rtol=2e-4)


def test_reduced_in_blocks_is_reduced_as_a_whole() -> None:
    pixels = droplets(130, 203)
    pixels[50:80, 20:50] = np.nan
    padded = np.pad(pixels, ((0, 0), (0, 1)), constant_values=np.nan)
    squares = padded.reshape(65, 2, 102, 2)
    with np.errstate(invalid="ignore"):
        expected = np.where(np.isfinite(squares), squares, 0).sum((1, 3)) / np.isfinite(squares).sum((1, 3))
    expected[np.isfinite(squares).sum((1, 3)) < 2] = np.nan
    np.testing.assert_allclose(reduced(OnDisk(pixels)), expected, rtol=1e-5)
    part = Reduced(OnDisk(pixels))[slice(10, 70), slice(90, 200)]
    np.testing.assert_allclose(part, expected[10:70, 90:], rtol=1e-5)
