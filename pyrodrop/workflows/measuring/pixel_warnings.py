"""What to be wary of in the pixels themselves, whatever is in the image: how they were rounded and compressed."""

import numpy as np
from jaxtyping import Float
from torch import Tensor

from pyrodrop.rendering.block_noise import block_noise
from pyrodrop.rendering.pixel_noise import pixel_noise, quantisation_noise


def compressed_in_blocks(channels: Float[Tensor, "c h w"]) -> bool:
    """Whether the image shows the blocks of a JPEG."""
    return bool(block_noise(channels.double().numpy()).any())


def warnings_of_pixels(channels: Float[Tensor, "c h w"]) -> tuple[str, ...]:
    """In words, what blocks and coarse levels do to intervals; empty where there is neither.

    Noise of half a level and more makes the errors that rounding makes in neighbours independent, and the model counts
    them as noise. Below that, pixels of nearly the same value are rounded the same way, all of a droplet together.
    """
    made = []
    if compressed_in_blocks(channels):
        made.append(
            "the image was compressed in blocks, as JPEG does, which changes edges and heights of all droplets alike: "
            "radii and amplitudes are off by more than their intervals say; save images without loss, as PNG or TIFF"
        )
    pixels = channels.double().numpy()
    steps = np.sqrt(12) * quantisation_noise(pixels)
    coarse = pixel_noise(pixels) < steps / 2
    if coarse.any():
        made.append(
            f"the noise is less than half of a gray level ({float(steps[coarse].max()):.3g}): pixels of a droplet are "
            "rounded alike, and amplitudes are off by more than their intervals say, by up to a tenth of a level; save "
            "images with more bits"
        )
    return tuple(made)
