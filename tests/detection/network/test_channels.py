"""What the network sees: it knows neither scale nor offset, and nothing outside."""

import numpy as np
import pytest
import torch

from pyrodrop.detection.network.channels import BOX, _in_box, image_statistics, input_channels


def channels(pixels: np.ndarray, inside: np.ndarray | None = None) -> torch.Tensor:
    """The channels of one image."""
    inside = np.ones(pixels.shape, bool) if inside is None else inside
    known = np.where(inside, pixels, np.nan).astype(np.float32)
    seen = [torch.tensor([value], dtype=torch.float32) for value in image_statistics(known)]
    shown = torch.from_numpy(np.where(inside, pixels, 0).astype(np.float32))[None]
    return input_channels(shown, *seen, torch.from_numpy(inside.astype(np.float32))[None])[0]


def test_scale_and_offset_of_brightness_are_not_seen() -> None:
    pixels = np.random.default_rng(0).gamma(2, size=(60, 80))
    torch.testing.assert_close(channels(pixels), channels(37 * pixels - 11), rtol=1e-3, atol=1e-4)


def test_an_inverted_image_gives_inverted_channels() -> None:
    pixels = np.random.default_rng(1).gamma(2, size=(60, 80))
    torch.testing.assert_close(channels(pixels)[:3], -channels(-pixels)[:3], rtol=1e-3, atol=1e-4)


def test_noise_is_measured_on_a_slope() -> None:
    rng = np.random.default_rng(2)
    slope = np.linspace(0, 50, 200) + np.linspace(0, 20, 200)[:, None]
    assert image_statistics((slope + 0.3 * rng.normal(size=(200, 200))).astype(np.float32)).noise == pytest.approx(
        0.3, rel=0.05
    )


def test_box_mean_is_the_mean_of_the_pixels_inside() -> None:
    rng = np.random.default_rng(3)
    values, inside = rng.normal(size=(40, 50)), rng.random((40, 50)) < 0.6
    sums, number = (_in_box(torch.from_numpy(v.astype(float))[None])[0].numpy() for v in (values * inside, inside))
    mean = sums / number
    for row, column in [(0, 0), (20, 25), (39, 3)]:
        near = np.s_[max(0, row - BOX // 2) : row + BOX // 2 + 1, max(0, column - BOX // 2) : column + BOX // 2 + 1]
        assert mean[row, column] == pytest.approx(values[near][inside[near]].mean())


def test_what_is_outside_is_not_seen() -> None:
    rng = np.random.default_rng(4)
    pixels, inside = rng.normal(size=(40, 50)), np.ones((40, 50), bool)
    inside[:, 30:] = False
    other = np.where(inside, pixels, 1e6)
    torch.testing.assert_close(channels(pixels, inside), channels(other, inside))
    assert channels(pixels, inside)[:, :, 30:].abs().max() == 0


@pytest.mark.parametrize("pixels", [np.full((40, 40), 7.0), np.full((40, 40), np.nan)])
def test_an_image_of_one_value_is_empty(pixels: np.ndarray) -> None:
    seen = channels(pixels, np.isfinite(pixels))
    assert torch.isfinite(seen).all()
    assert seen[:3].abs().max() == 0
