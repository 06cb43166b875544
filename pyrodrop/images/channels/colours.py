"""One channel of an image: the colour conversions of the post, and the check of a channel given directly."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.images.errors import ImageError

RGB = ("red", "green", "blue")
HSV = ("hue", "saturation", "value")
LAB = ("L", "a", "b")
CHANNELS = (*HSV, *LAB, *RGB, "gray")


def channels_of(pixels: Tensor, own: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Names of the channels that pixels of shape (H, W, C) have.

    Those of its own where it has such; else all conversions for C = 3, "gray" for C = 1. A single channel is
    "gray" whatever else it is called.
    """
    if own:
        return own if len(own) > 1 else ("gray", *own)
    return CHANNELS if pixels.shape[-1] == 3 else ("gray",)


def take_channel(pixels: Tensor, name: str, own: tuple[str, ...] = ()) -> Tensor:
    """One channel of pixels, as scikit-image converts colours.

    Args:
        pixels: red, green and blue or gray in [0, 1], shape (H, W, 3) or (H, W, 1); or channels of its own.
        name: hue, saturation, value, red, green, blue or gray, all in [0, 1]; L in [0, 100]; a or b, about
            -128 to 127. For an image with channels of its own one of their names, or its number from 0.
        own: names of the channels where they are no colours, C of them.

    Returns:
        The channel, float32, shape (H, W).

    Raises:
        ImageError: an unknown name, or a colour asked of a gray image.

    Pixels that lie on the levels of 8 bits are converted from those levels, as in the post: hue divides by
    the difference of two colours, which would magnify the rounding of float32.
    """
    if own:
        return pixels[..., _index_of(name, own)].clone()
    if name not in CHANNELS:
        there = ", ".join(channels_of(pixels))
        raise ImageError(f"channel {name!r} is unknown: this image has {there}.")
    if name not in channels_of(pixels):
        raise ImageError(f"channel {name!r} needs colours, and this image has gray alone: choose gray.")
    if pixels.shape[-1] == 1:
        return pixels[..., 0].clone()
    if name in RGB:
        return pixels[..., RGB.index(name)].clone()

    from skimage import color

    levels = _levels(pixels)
    if name == "gray":
        converted = color.rgb2gray(levels)
    elif name in HSV:
        converted = color.rgb2hsv(levels)[..., HSV.index(name)]
    else:
        converted = color.rgb2lab(levels)[..., LAB.index(name)]
    return torch.from_numpy(np.ascontiguousarray(converted, dtype=np.float32))


def _index_of(name: str, own: tuple[str, ...]) -> int:
    """Where a channel lies among channels of its own: by its name, which counts first, or by its number."""
    if len(own) == 1 and name == "gray":
        return 0
    if own.count(name) == 1:
        return own.index(name)
    if name not in own and name.isdecimal() and int(name) < len(own):
        return int(name)
    numbered = ", ".join(f"{index} ({other})" if other != str(index) else other for index, other in enumerate(own))
    what = "is the name of several" if name in own else "is unknown"
    gray = " or gray" if len(own) == 1 else ""
    raise ImageError(f"channel {name!r} {what}: this image has {numbered}{gray}.")


def _levels(pixels: Tensor) -> NDArray[Any]:
    """The pixels as levels of 8 bits if that is what they are, else as float64."""
    values: NDArray[np.float64] = pixels.detach().cpu().numpy().astype(np.float64)
    levels = np.rint(values * 255)
    if levels.min() >= 0 and levels.max() <= 255 and np.abs(values * 255 - levels).max() < 1e-4:
        return levels.astype(np.uint8)
    return values


def as_channel(array: object) -> Tensor:
    """A channel given as an array or a tensor, checked, as a new float32 tensor.

    Args:
        array: what is to be fitted, shape (H, W) with both sides at least 2, finite real numbers; whole
            numbers only up to 1, since the models expect a channel of about [0, 1].

    Returns:
        A copy, float32, shape (H, W), on the device of the argument, without gradient.

    Raises:
        ImageError: it is no array of numbers, or its shape or its values cannot be those of a channel.
    """
    if isinstance(array, Tensor):
        given = array.detach()
    else:
        if hasattr(array, "channel") and hasattr(array, "pixels"):
            raise ImageError("the channel is a whole Micrograph: take one, for example image.channel('hue').")
        try:
            numbers = np.asarray(array)
            given = torch.from_numpy(np.array(numbers, dtype=numbers.dtype.newbyteorder("="), order="C"))
        except (TypeError, ValueError, RuntimeError):
            raise ImageError(
                f"the channel is a {type(array).__name__} that is no array of numbers: "
                "give a NumPy array or a tensor of shape (height, width)."
            ) from None
    shape = tuple(given.shape)
    if given.is_complex():
        raise ImageError("the channel holds complex numbers: give real ones, for example its absolute value.")
    if len(shape) != 2:
        raise ImageError(
            f"the channel has shape {shape}, expected (height, width): "
            "choose one channel, for example read_image(path).channel('hue')."
        )
    if min(shape) < 2:
        raise ImageError(f"the channel has shape {shape}: it needs at least 2 x 2 pixels.")
    channel = given.to(torch.float32, copy=True).contiguous()
    if not given.is_floating_point() and float(channel.max()) > 1:
        raise ImageError(
            f"the channel holds whole numbers up to {float(channel.max()):.0f}: scale it to [0, 1] first, "
            "for example array / 255."
        )
    if not bool(channel.isfinite().all()):
        bad = int((~channel.isfinite()).sum())
        raise ImageError(f"the channel has {bad} NaN or infinite pixels: replace them, for example by the background.")
    return channel
