"""Levels to pixels, and pixels to another size, antialiased, with torchvision; mismatched pairs are explained.

torchvision brings its models and torch's compiler in, which takes longer than to measure a small image: it is imported
where an image is resized, and not where one is read.
"""

import math
from types import ModuleType

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pyrodrop.images.errors import ImageError, positive_number


def vision() -> ModuleType:
    """The functions on images, ``torchvision.transforms.v2.functional``.

    Raises:
        ImportError: torchvision is absent or was built for another torch.
    """
    try:
        from torchvision.transforms.v2 import functional
    except (ImportError, RuntimeError, OSError) as error:
        # Built for another torch, its operators do not register: "operator torchvision::nms does not exist".
        reason = " ".join(str(error).split())
        raise ImportError(
            f"torchvision does not work with torch {torch.__version__} ({reason}): install the two together, "
            "for example pip install --force-reinstall torch torchvision."
        ) from error
    return functional


def from_levels(levels: NDArray[np.uint8]) -> Float32[Tensor, "h w c"]:
    """8-bit levels, an array of shape (H, W, C), as float32 pixels in [0, 1] of the same shape.

    They are torchvision's ``to_dtype(to_image(levels), torch.float32, scale=True)``, to the bit.
    """
    return torch.tensor(np.ascontiguousarray(levels)).to(torch.float32).mul_(1.0 / 255)


def positive_scale(scale: float) -> float:
    """The scale as a number; an ImageError if it is not positive and finite."""
    return positive_number("scale", scale, "0.5")


def scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Height and width of an image scaled, rounded down as in the post.

    Raises:
        ImageError: the scale is not a positive number, or leaves too few or makes too many pixels.
    """
    factor = positive_scale(scale)
    # The slack keeps 30 * 0.1 at 3 pixels.
    bound = Image.MAX_IMAGE_PIXELS
    # Above any bound, as floats can be that no whole number is.
    height, width = (math.floor(min(side * factor * (1 + 1e-12), 1e15)) for side in size)
    if min(height, width) < 2:
        raise ImageError(
            f"scale {factor:g} leaves {width} x {height} of {size[1]} x {size[0]} pixels: "
            "an image needs at least 2 x 2, give a larger one.",
            "scale",
        )
    if bound is not None and height * width > bound:
        raise ImageError(
            f"scale {factor:g} makes {width} x {height} pixels, more than {bound:,}: give a smaller one.",
            "scale",
        )
    return height, width


def resized(pixels: Float32[Tensor, "h w c"], size: tuple[int, int]) -> Float32[Tensor, "h2 w2 c"]:
    """Pixels (H, W, C) in [0, 1] at another size (h, w), bicubic and antialiased, shape (h, w, C)."""
    functional = vision()
    from torchvision.transforms import InterpolationMode

    image: Tensor = functional.resize(
        pixels.permute(2, 0, 1),
        list(size),
        interpolation=InterpolationMode.BICUBIC,
        antialias=True,
    )
    # The bicubic kernel has negative lobes, which overshoot at edges.
    return image.clamp(0, 1).permute(1, 2, 0).contiguous()
