"""Colour channels: scikit-image's conversions, known colours, and what cannot be a channel."""

import colorsys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import color

from pyrodrop.images import CHANNELS, ImageError, Micrograph, as_channel, read_image

CONVERSIONS = {
    "hue": (color.rgb2hsv, 0),
    "saturation": (color.rgb2hsv, 1),
    "value": (color.rgb2hsv, 2),
    "L": (color.rgb2lab, 0),
    "a": (color.rgb2lab, 1),
    "b": (color.rgb2lab, 2),
}


def micrograph(levels: np.ndarray) -> Micrograph:
    return Micrograph(torch.from_numpy((levels / 255).astype(np.float32)))


@pytest.mark.parametrize("name", CHANNELS)
def test_a_channel_is_float32_of_the_images_size(name: str) -> None:
    image = Micrograph(torch.rand(5, 7, 3, generator=torch.Generator().manual_seed(0)))
    channel = image.channel(name)
    assert channel.dtype == torch.float32
    assert channel.shape == (5, 7)
    assert channel.is_contiguous()


@pytest.mark.parametrize("name", CONVERSIONS)
def test_channels_of_eight_bits_are_those_of_the_array(name: str) -> None:
    """Near-gray colours too, where hue divides by a difference of one level."""
    random = np.random.default_rng(0)
    gray = random.integers(2, 253, (80, 90, 1))
    levels = (gray + random.integers(-2, 3, (80, 90, 3))).astype(np.uint8)
    convert, index = CONVERSIONS[name]
    expected = convert(levels)[..., index].astype(np.float32)
    np.testing.assert_array_equal(micrograph(levels).channel(name).numpy(), expected)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["hue", "a"])
def test_channels_of_the_posts_image(shared: Path, name: str) -> None:
    path = shared / "post" / "micrograph_half.png"
    with Image.open(path) as file:
        levels = np.array(file)
    convert, index = CONVERSIONS[name]
    image = read_image(path)
    assert image.size == (760, 1014)
    assert image.pixel_size_um is None
    np.testing.assert_array_equal(image.channel(name).numpy(), convert(levels)[..., index].astype(np.float32))


@settings(deadline=None)
@given(st.tuples(*[st.floats(0, 1, width=32)] * 3))
def test_hue_saturation_value_of_any_colour(colours: tuple[float, float, float]) -> None:
    image = Micrograph(torch.tensor(colours, dtype=torch.float32).expand(2, 2, 3))
    hue, saturation, value = colorsys.rgb_to_hsv(*colours)
    # Hue goes round, and near gray any rounding turns it.
    if max(colours) - min(colours) > 1e-2:
        assert abs((float(image.channel("hue")[0, 0]) - hue + 0.5) % 1 - 0.5) < 1e-4
    if max(colours) > 1e-2:
        assert float(image.channel("saturation")[0, 0]) == pytest.approx(saturation, abs=1e-3)
    assert float(image.channel("value")[0, 0]) == pytest.approx(value, abs=1e-6)


def test_cielab_is_in_its_own_units() -> None:
    pixels = torch.tensor([[[1.0, 1, 1], [0, 0, 0]], [[1, 0, 0], [0, 0, 1]]])
    image = Micrograph(pixels)
    np.testing.assert_allclose(image.channel("L"), [[100, 0], [53.24, 32.3]], atol=0.02)
    np.testing.assert_allclose(image.channel("a"), [[0, 0], [80.09, 79.19]], atol=0.02)
    np.testing.assert_allclose(image.channel("b"), [[0, 0], [67.2, -107.86]], atol=0.02)


def test_primary_colours_and_gray() -> None:
    pixels = torch.rand(4, 5, 3, generator=torch.Generator().manual_seed(1))
    image = Micrograph(pixels)
    for index, name in enumerate(("red", "green", "blue")):
        assert torch.equal(image.channel(name), pixels[..., index])
    luma = pixels @ torch.tensor([0.2125, 0.7154, 0.0721])
    torch.testing.assert_close(image.channel("gray"), luma)


def test_a_channel_is_a_copy() -> None:
    for channels in (1, 3):
        image = Micrograph(torch.zeros(3, 3, channels))
        for name in image.channels:
            image.channel(name).fill_(7)
        assert not image.pixels.any()


def test_a_gray_image_has_gray_alone() -> None:
    image = Micrograph(torch.rand(3, 4, 1, generator=torch.Generator().manual_seed(2)))
    assert image.channels == ("gray",)
    assert torch.equal(image.channel("gray"), image.pixels[..., 0])
    for name in set(CHANNELS) - {"gray"}:
        with pytest.raises(ImageError, match=rf"'{name}' needs colours.*choose gray"):
            image.channel(name)


@pytest.mark.parametrize("name", ["Hue", "l", "", "grey", "alpha"])
def test_an_unknown_channel_lists_those_there_are(name: str) -> None:
    for count in (1, 3):
        with pytest.raises(ImageError, match=r"is unknown.*gray") as caught:
            Micrograph(torch.zeros(2, 2, count)).channel(name)
        assert ("saturation" in str(caught.value)) == (count == 3)


@pytest.mark.parametrize(
    "given_as",
    [
        np.eye(3, 4),
        np.eye(3, 4, dtype=np.float32)[::1],
        np.eye(3, 4, dtype=">f8"),
        np.asfortranarray(np.eye(3, 4)),
        np.eye(3, 4, dtype=bool),
        np.eye(3, 4, dtype=np.uint8),
        torch.eye(3, 4, dtype=torch.float64),
        torch.eye(3, 4, requires_grad=True),
        torch.eye(4, 3).T,
        np.eye(3, 4).tolist(),
    ],
    ids=str,
)
def test_any_array_of_numbers_becomes_a_channel(given_as: Any) -> None:
    channel = as_channel(given_as)
    assert channel.dtype == torch.float32
    assert channel.is_contiguous()
    assert not channel.requires_grad
    assert torch.equal(channel, torch.eye(3, 4))


def test_a_channel_given_is_copied_and_may_be_read_only_or_reversed() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    array.setflags(write=False)
    channel = as_channel(array[::-1])
    np.testing.assert_array_equal(channel, array[::-1])
    tensor = torch.zeros(2, 2)
    as_channel(tensor).fill_(1)
    assert not tensor.any()


def test_what_a_channel_returns_is_one() -> None:
    image = Micrograph(torch.rand(6, 5, 3, generator=torch.Generator().manual_seed(3)))
    for name in image.channels:
        assert torch.equal(as_channel(image.channel(name)), image.channel(name))


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros(9), r"shape \(9,\)"),
        (np.zeros((4, 4, 3)), r"shape \(4, 4, 3\).*choose one channel"),
        (np.float32(1), r"shape \(\)"),
        (np.zeros((1, 9)), "at least 2 x 2"),
        (np.zeros((9, 1)), "at least 2 x 2"),
        (np.zeros((0, 0)), "at least 2 x 2"),
        (np.full((3, 3), np.nan), "9 NaN or infinite"),
        (np.full((3, 3), np.inf), "9 NaN or infinite"),
        (torch.tensor([[0.0, 1], [float("nan"), 2]]), "1 NaN or infinite"),
        (np.full((3, 3), 1e300), "infinite"),
        (np.full((3, 3), 200, dtype=np.uint8), "whole numbers up to 200.*/ 255"),
        (np.full((3, 3), 300, dtype=np.uint16), "whole numbers up to 300"),
        (np.full((3, 3), 1j), "complex"),
        (np.full((3, 3), "a"), "no array of numbers"),
        (np.full((3, 3), None), "no array of numbers"),
        ([[1.0, 2.0], [3.0]], "no array of numbers"),
        (np.ma.masked_greater(np.eye(3), 0.5), "masks are not taken into account yet: crop it, or fill"),
        (None, "no array of numbers"),
        ("hue", "no array of numbers"),
        (Micrograph(torch.zeros(3, 3, 3)), "whole Micrograph.*channel\\('hue'\\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_cannot_be_a_channel(array: object, says: str) -> None:
    with pytest.raises(ImageError, match=says) as caught:
        as_channel(array)
    assert "\n" not in str(caught.value)
