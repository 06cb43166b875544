"""Hot pixels: what no optics can make is told from what they can."""

import numpy as np
import pytest
from scipy.special import erf

from pyrodrop.images.hot_pixels import hot_pixels, warnings_of_hot_pixels, without_hot_pixels

NOISE = np.array([0.01])


def spot(x: float, y: float, sigma: float) -> np.ndarray:
    """A point light of greatest pixel about 1, its spread a Gaussian integrated over each pixel, (40, 50)."""
    along, down = (
        erf((np.arange(side) + 0.5 - at) / (sigma * 2**0.5)) - erf((np.arange(side) - 0.5 - at) / (sigma * 2**0.5))
        for side, at in ((50, x), (40, y))
    )
    picture = down[:, None] * along
    return picture / picture.max()


@pytest.mark.parametrize("height", [0.3, 1.0, -0.5])
def test_single_pixels_are_hot_or_dead_wherever_they_are(height: float) -> None:
    image = 0.5 + 0.01 * np.random.default_rng(0).standard_normal((1, 40, 50))
    places = np.array([(0, 0), (0, 20), (39, 49), (10, 10), (10, 12), (25, 30)])  # corners, an edge, two nearby
    image[0, places[:, 0], places[:, 1]] += height
    hot = hot_pixels(image, NOISE)
    assert sorted(map(tuple, np.argwhere(hot[0]))) == sorted(map(tuple, places))
    filled = without_hot_pixels(image, hot)
    assert np.abs(filled - 0.5).max() < 0.05
    assert np.array_equal(filled[~hot], image[~hot])


@pytest.mark.parametrize("sigma", [0.5, 0.7, 1.0, 2.0])
def test_what_optics_make_is_not_hot(sigma: float) -> None:
    """A point light anywhere within a pixel, as narrow as half of one, in noise that leaves it beyond any doubt."""
    generator = np.random.default_rng(1)
    for _ in range(50):
        image = 0.2 + spot(*generator.uniform(10, 30, 2), sigma) + 0.002 * generator.standard_normal((40, 50))
        assert not hot_pixels(image[None], np.array([0.002])).any()


def test_noise_edges_lines_and_levels_are_not_hot() -> None:
    generator = np.random.default_rng(2)
    noise = 0.01 * generator.standard_normal((1, 200, 300))
    step = (np.arange(300) > 100) * 0.8
    line = (np.arange(300) == 100) * 0.8
    corner = step * (np.arange(200)[:, None] > 60)
    for image in (noise, noise + step, noise + line, noise + corner, (np.round(noise * 100) / 100)):
        assert not hot_pixels(image, np.array([0.01])).any()


def test_each_channel_has_its_own_and_a_small_image_none() -> None:
    image = np.full((2, 12, 12), 0.5)
    image[1, 5, 5] = 1.0
    assert np.argwhere(hot_pixels(image, np.array([0.01, 0.01]))).tolist() == [[1, 5, 5]]
    assert not hot_pixels(image[:, :2], np.array([0.01, 0.01])).any()


def test_what_is_said_of_them() -> None:
    assert warnings_of_hot_pixels(0) == ()
    assert warnings_of_hot_pixels(1)[0].startswith("1 single pixel stands out")
    assert warnings_of_hot_pixels(30)[0].startswith("30 single pixels stand out")
