"""Pictures for a page: what is bright stays bright, and colours of a residual mean what they say."""

import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from pyrodrop.results.page.embedded_pictures import encoded, gray_picture, residual_picture, shrink


def decoded(uri: str) -> np.ndarray:
    kind, _, content = uri.partition(";base64,")
    assert kind.startswith("data:image/")
    return np.asarray(Image.open(BytesIO(base64.b64decode(content))).convert("RGB"))


def test_grays_keep_their_order_whatever_the_range() -> None:
    ramp = np.linspace(-3, 7, 64 * 64, dtype=np.float32).reshape(64, 64)
    gray = decoded(encoded(gray_picture(ramp, 100)))[..., 0].astype(int).ravel()
    assert gray[0] == 0
    assert gray[-1] == 255
    assert (np.diff(gray) >= 0).all()


@pytest.mark.parametrize("pixels", [np.full((5, 6), 0.3), np.full((5, 6), np.nan), np.array([[0.0, np.inf, 1.0]])])
def test_flat_and_unknown_pixels_have_a_picture(pixels: np.ndarray) -> None:
    assert decoded(encoded(gray_picture(pixels.astype(np.float32), 100))).shape == (*pixels.shape, 3)


def test_a_residual_is_white_at_nothing_blue_below_red_above() -> None:
    residual = np.array([[[-9.0, -5.0, 0.0, 5.0, 9.0]]], dtype=np.float32)
    red, green, blue = decoded(encoded(residual_picture(residual, 5.0, 100)))[0].astype(int).T
    assert red[0] == red[1] < 50 < blue[1]
    assert min(red[2], green[2], blue[2]) >= 253
    assert blue[4] == blue[3] < 50 < red[3]


def test_noise_of_several_channels_stays_noise_of_one() -> None:
    noise = np.random.default_rng(0).standard_normal((4, 200, 200)).astype(np.float32)
    one, four = (np.asarray(residual_picture(z, 5.0, 500)).std() for z in (noise[:1], noise))
    assert four == pytest.approx(one, rel=0.02)


@pytest.mark.parametrize(("size", "expected"), [((300, 200), (90, 60)), ((60, 90), (60, 90)), ((9_000, 1), (90, 1))])
def test_shrinking_keeps_the_shape(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert shrink(Image.new("L", size), 90).size == expected


def test_what_was_not_looked_at_is_veiled() -> None:
    pixels = np.tile(np.linspace(0, 1, 60, dtype=np.float32), (40, 1))
    looked_at = np.ones((40, 60), bool)
    looked_at[20:] = False
    shown = np.asarray(gray_picture(pixels, 100, looked_at)).astype(int)
    assert (shown[:20] == np.asarray(gray_picture(pixels, 100))[:20]).all()
    assert np.ptp(shown[20:]) < 0.5 * np.ptp(shown[:20])
    # A mask of another size, as of a file that was put there, is none of this image.
    assert (np.asarray(gray_picture(pixels, 100, looked_at[:5])) == np.asarray(gray_picture(pixels, 100))).all()
