"""A channel that comes as an array or a tensor: checked, and copied as float32."""

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from pyrodrop.images.errors import ImageError


def as_channel(array: object) -> Float32[Tensor, "h w"]:
    """A channel given as an array or a tensor, checked, as a new float32 tensor.

    Args:
        array: what is to be fitted, shape (H, W) with both sides at least 2, finite real numbers; whole
            numbers only up to 1, since the models expect a channel of about [0, 1].

    Returns:
        A copy, float32, shape (H, W), on the device of the argument, without gradient.

    Raises:
        ImageError: it is no array of numbers, it has masked pixels, or its shape or its values cannot be those of a
            channel.
    """
    if isinstance(array, Tensor):
        pixels = array.detach()
    else:
        if hasattr(array, "channel") and hasattr(array, "pixels"):
            raise ImageError("the channel is a whole Micrograph: take one, for example image.channel('hue').")
        if np.ma.is_masked(array):
            raise ImageError(
                "the channel is a masked array, and masks are not taken into account yet: crop it, or fill what is "
                "masked, for example array.filled(numpy.ma.median(array))."
            )
        try:
            numbers = np.asarray(array)
            pixels = torch.from_numpy(np.array(numbers, dtype=numbers.dtype.newbyteorder("="), order="C"))
        except (TypeError, ValueError, RuntimeError):
            raise ImageError(
                f"the channel is a {type(array).__name__} that is no array of numbers: "
                "give a NumPy array or a tensor of shape (height, width)."
            ) from None
    shape = tuple(pixels.shape)
    if pixels.is_complex():
        raise ImageError("the channel holds complex numbers: give real ones, for example its absolute value.")
    if len(shape) != 2:
        raise ImageError(
            f"the channel has shape {shape}, expected (height, width): "
            "choose one channel, for example read_image(path).channel('hue')."
        )
    if min(shape) < 2:
        raise ImageError(f"the channel has shape {shape}: it needs at least 2 x 2 pixels.")
    channel = pixels.to(torch.float32, copy=True).contiguous()
    if not pixels.is_floating_point() and float(channel.max()) > 1:
        raise ImageError(
            f"the channel holds whole numbers up to {float(channel.max()):.0f}: scale it to [0, 1] first, "
            "for example array / 255."
        )
    if not bool(channel.isfinite().all()):
        bad = int((~channel.isfinite()).sum())
        raise ImageError(f"the channel has {bad} NaN or infinite pixels: replace them, for example by the background.")
    return channel
