"""Files with numbers below 0, as after a background was subtracted: the lowest is black, and the image says so."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from pyrodrop.images import ImageError, Micrograph, read_image

SPOT = np.exp(-((np.arange(30)[:, None] - 12) ** 2 + (np.arange(40) - 20) ** 2) / (2 * 5.0**2))


def read(path: Path, numbers: NDArray[np.generic], **how: float | str) -> Micrograph:
    tifffile.imwrite(path / "i.tif", numbers, photometric="minisblack")
    return read_image(path / "i.tif", **how)


def numbers_of(image: Micrograph, white: float) -> NDArray[np.float64]:
    """What the file held, from the image and its black level."""
    pixels = image.pixels[..., 0].double().numpy()
    return pixels * (white - image.black_level) + image.black_level


@pytest.mark.parametrize(
    ("numbers", "white", "how"),
    [
        ((SPOT - 0.004).astype(np.float32), 1.0, {}),
        ((1000 * SPOT - 4).astype(np.float32), 1000 * SPOT.max() - 4, {"white": "brightest"}),
        ((1000 * SPOT - 4).astype(np.float32), 1200.0, {"white": 1200.0}),
        (np.rint(20_000 * SPOT - 300).astype(np.int16), 32767.0, {}),
        (np.rint(60_000 * SPOT - 30_000).astype(np.int16), 32767.0, {}),  # a difference beyond int16
    ],
)
def test_the_lowest_becomes_black_and_is_noted(
    tmp_path: Path, numbers: NDArray[np.generic], white: float, how: dict[str, float | str]
) -> None:
    image = read(tmp_path, numbers, **how)
    assert image.black_level == numbers.min() < 0
    assert float(image.pixels.min()) == 0
    assert float(image.pixels.max()) <= 1
    np.testing.assert_allclose(numbers_of(image, white), numbers, atol=2e-7 * (white - image.black_level))
    assert image.resize(0.5).black_level == image.black_level


def test_numbers_that_are_not_negative_are_read_as_ever(tmp_path: Path) -> None:
    image = read(tmp_path, (SPOT + 0.1).astype(np.float32) / 2)
    assert image.black_level == 0
    np.testing.assert_allclose(image.pixels[..., 0], (SPOT + 0.1) / 2, rtol=1e-6)


def test_a_constant_image_below_zero_has_no_division_by_zero(tmp_path: Path) -> None:
    image = read(tmp_path, np.full((20, 30), -5.0, np.float32), white="brightest")
    assert float(image.pixels.abs().max()) == 0


def test_white_below_the_highest_number_is_still_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"up to 996.*above the white level 500.*white=996") as error:
        read(tmp_path, (1000 * SPOT - 4).astype(np.float32), white=500)
    assert error.value.settings == ("white",)
