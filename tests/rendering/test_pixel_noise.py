"""The noise of pixels: what second differences see, and never less than rounding makes."""

import numpy as np
import pytest

from pyrodrop.rendering.pixel_noise import pixel_noise, quantisation_noise

SLOPE = np.linspace(0, 5, 200)[:, None] + np.linspace(0, 3, 150)


@pytest.mark.parametrize("sigma", [0.01, 0.2])
def test_pixel_noise_is_the_noise_and_not_the_slope(sigma: float) -> None:
    noisy = SLOPE + sigma * np.random.default_rng(3).standard_normal((2, 200, 150))
    # 30,000 differences: the median's error is about 1.3 %.
    assert pixel_noise(noisy) == pytest.approx([sigma] * 2, rel=0.05)


@pytest.mark.parametrize("levels", [7, 63, 255, 1023])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_step_is_read_off_the_image(levels: int, dtype: type) -> None:
    """Whatever the offset, and where a few pixels were retouched."""
    image = np.random.default_rng(0).normal(0.5, 0.1, (1, 120, 110)).clip(0, 1)
    rounded = (0.1 + np.round(image * levels) / levels).astype(dtype)
    assert quantisation_noise(rounded) == pytest.approx([1 / levels / np.sqrt(12)], rel=1e-4)
    rounded[0, 0, :20] = image[0, 0, :20]
    assert quantisation_noise(rounded) == pytest.approx([1 / levels / np.sqrt(12)], rel=1e-4)


def test_an_image_that_is_not_rounded_has_no_step_and_a_mask_none_that_counts() -> None:
    image = np.random.default_rng(0).normal(0.5, 0.1, (1, 60, 70))
    assert quantisation_noise(image).tolist() == [0.0]
    assert quantisation_noise((image > 0.5).astype(float)).tolist() == [0.0]
    assert quantisation_noise(np.full((1, 60, 70), 0.3)).tolist() == [0.0]


def test_the_noise_never_falls_below_that_of_rounding() -> None:
    """Hardly any pixel differs from its neighbours, so that second differences see nothing."""
    image = np.round(0.2 * np.random.default_rng(1).standard_normal((1, 200, 150)) + SLOPE / 50)
    assert len(np.unique(image)) > 2
    assert pixel_noise(image) == pytest.approx([1 / np.sqrt(12)], rel=1e-6)


def test_pixels_that_are_not_known_say_nothing_of_the_noise() -> None:
    generator = np.random.default_rng(0)
    noise = 0.05 * generator.standard_normal((2, 120, 150))
    seen = noise.copy()
    seen[:, 30:80, 40:] = np.nan
    assert pixel_noise(seen) == pytest.approx(pixel_noise(noise), rel=0.05)
    levels = np.round(noise / 0.02) * 0.02
    levels[:, 30:80, 40:] = np.nan
    assert quantisation_noise(levels) == pytest.approx(0.02 / 12**0.5, rel=1e-6)
