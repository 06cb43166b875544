"""What is said of pixels that were rounded coarsely or compressed."""

import io

import numpy as np
import torch
from PIL import Image

from pyrodrop.workflows.measuring.contents import MeasuredImage
from pyrodrop.workflows.measuring.doubts import compressed_in_blocks, doubts_of_pixels, warnings_of_pixels


def scene(noise: float) -> np.ndarray:
    row, column = np.mgrid[:96, :128]
    smooth = 0.3 + 0.1 * np.sin(column / 20) * np.cos(row / 17) + 0.2 * (np.hypot(row - 40, column - 60) < 12)
    return np.asarray(smooth + noise * np.random.default_rng(0).standard_normal(smooth.shape))


def as_channels(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.astype(np.float32))[None]


def test_nothing_is_said_of_an_image_without_loss() -> None:
    for noise in (0.25 / 255, 0.01):
        assert warnings_of_pixels(as_channels(scene(noise)), False) == ()
    assert warnings_of_pixels(as_channels(np.round(255 * scene(0.01)) / 255), False) == ()


def test_levels_that_are_coarser_than_the_noise_are_told() -> None:
    (warning,) = warnings_of_pixels(as_channels(np.round(255 * scene(0.25 / 255)) / 255), False)
    assert "half of a gray level (0.00392)" in warning


def test_a_jpeg_is_told() -> None:
    file = io.BytesIO()
    Image.fromarray((255 * scene(0.01)).round().astype(np.uint8)).save(file, "JPEG", quality=60)
    channels = as_channels(np.asarray(Image.open(file), np.float64) / 255)
    assert compressed_in_blocks(channels)
    doubts = doubts_of_pixels(MeasuredImage(channels, ("gray",), None))
    assert doubts.in_blocks
    assert "compressed in blocks" in doubts.warnings[0]
    assert not compressed_in_blocks(as_channels(scene(0.01)))
