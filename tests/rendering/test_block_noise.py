"""Blocks of JPEG: seen wherever they begin, as large as what they did, and not seen where there are none."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from pyrodrop.rendering.block_noise import block_noise
from pyrodrop.rendering.pixel_noise import pixel_noise


def scene(seed: int, noise: float) -> np.ndarray:
    """Soft discs on a slope, (160, 208), in levels of 8 bits."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:160, :208]
    image = 80 + 0.2 * columns
    for x, y, r in zip(*generator.uniform([[0], [0], [5]], [[208], [160], [14]], (3, 25)), strict=True):
        image = image + 40 / (1 + np.exp(np.hypot(columns - x, rows - y) - r))
    return np.asarray(image + noise * generator.standard_normal(image.shape))


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(image.round().clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream)).astype(float)


@pytest.mark.parametrize("quality", [20, 50, 75, 85])
@pytest.mark.parametrize("noise", [0.5, 2.0])
def test_it_is_about_what_jpeg_did(quality: int, noise: float) -> None:
    clean = scene(1, 0.0)
    seen = jpeg(scene(1, noise), quality)
    done = (seen - clean).std()
    assert 0.9 * done < block_noise(seen[None])[0] < 1.9 * done
    # Second differences alone see a fraction of it.
    assert pixel_noise(seen[None])[0] >= block_noise(seen[None])[0]
    # In any unit, and wherever the grid begins.
    assert block_noise(seen[None] / 255)[0] == pytest.approx(block_noise(seen[None])[0] / 255)
    assert block_noise(seen[None, 3:, 5:])[0] == pytest.approx(block_noise(seen[None])[0], rel=0.2)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_no_jpeg_has_none(seed: int) -> None:
    generator = np.random.default_rng(seed)
    image = scene(seed, [0.0, 0.3, 2.0, 20.0][seed % 4])
    image[generator.integers(0, 160, 30), generator.integers(0, 208, 30)] += 200.0  # hot pixels
    image[:, 100] += 150.0  # and a line along one column
    correlated = gaussian_filter(generator.standard_normal((160, 208)), 2.0)
    assert block_noise(np.stack([image, image.round(), correlated])).tolist() == [0.0, 0.0, 0.0]


def test_what_is_too_small_or_constant_has_none() -> None:
    assert block_noise(np.zeros((2, 64, 64))).tolist() == [0.0, 0.0]
    assert block_noise(np.random.default_rng(0).random((1, 9, 12))).tolist() == [0.0]


def test_each_channel_has_its_own() -> None:
    image = scene(3, 1.0)
    noise = block_noise(np.stack([image, jpeg(image, 50)]))
    assert noise[0] == 0 < noise[1]
