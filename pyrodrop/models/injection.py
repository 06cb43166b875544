"""Artificial droplets in a real image: what it would look like with these in it as well."""

from typing import Any

from torch import Tensor

from pyrodrop.rendering import render


def add_droplets(channel: Tensor, x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, **drawing: Any) -> Tensor:
    """The channel with droplets added to it, as the model adds them: channel + sum_k amplitude_k f_k.

    The noise is that of the image itself, and none is added with the droplets.

    Args:
        channel: (H, W), floating point.
        x, y, r: centres and radii in px, (N,), in the dtype of the channel.
        amplitude: heights in the channel's units, any sign, (N,).
        drawing: profile and whatever else ``pyrodrop.render`` takes.
    """
    height, width = channel.shape
    return channel + render(x, y, r, amplitude, channel.new_zeros(()), (height, width), **drawing)
