"""One channel of an image: hue, saturation, L and the others, by the colour conversions of the post."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.images.errors import ImageError

RGB = ("red", "green", "blue")
HSV = ("hue", "saturation", "value")
LAB = ("L", "a", "b")
CHANNELS = (*HSV, *LAB, *RGB, "gray")


def channel_names_of(pixels: Float32[Tensor, "h w c"], own: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Names of the channels that pixels of shape (H, W, C) have.

    Those of its own where it has such; else all conversions for C = 3, "gray" for C = 1. A single channel is
    "gray" whatever else it is called.
    """
    if own:
        return own if len(own) > 1 else ("gray", *own)
    return CHANNELS if pixels.shape[-1] == 3 else ("gray",)


def take_channel(pixels: Float32[Tensor, "h w c"], name: str, own: tuple[str, ...] = ()) -> Float32[Tensor, "h w"]:
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
        known = ", ".join(channel_names_of(pixels))
        raise ImageError(f"channel {name!r} is unknown: this image has {known}.")
    if name not in channel_names_of(pixels):
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
