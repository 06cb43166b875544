"""The definition of the image: every pixel and every droplet, any dtype and device. The oracle of all kernels."""

import torch
from torch import Tensor

from pyrodrop.rendering.profiles import Profile
from pyrodrop.rendering.profiles.gaussian import GAUSSIAN


def render_reference(
    x: Tensor,
    y: Tensor,
    r: Tensor,
    amplitude: Tensor,
    bg: Tensor,
    size: tuple[int, int],
    profile: Profile = GAUSSIAN,
    shape: Tensor | None = None,
) -> Tensor:
    """Image bg + sum_k amplitude_k f(((i - x_k)^2 + (j - y_k)^2) / r_k^2) at pixel column i and row j.

    Args:
        x, y: droplet centres in px, shape (..., N); pixel centres lie on integers, x to the right and y down.
        r: droplet radii in px, positive, shape (..., N).
        amplitude: height of each droplet, any sign, shape (..., N).
        bg: background level, shape (...).
        size: height and width (H, W) of the image in px.
        profile: the profile f.
        shape: the S numbers that the droplets of an image share, shape (..., S); nothing for a profile without.

    Returns:
        The image, shape (..., H, W), in the dtype and on the device of the arguments; differentiable.

    Needs memory for H * W * N values at once: it is here to be right, not to be fast.
    """
    height, width = size
    dx = x[..., None] - torch.arange(width, dtype=x.dtype, device=x.device)
    dy = y[..., None] - torch.arange(height, dtype=y.dtype, device=y.device)
    squared = (dx[..., None, :] ** 2 + dy[..., :, None] ** 2) / r[..., None, None] ** 2
    shape = x.new_empty((*x.shape[:-1], 0)) if shape is None else shape
    heights = profile.height(squared, r[..., None, None], shape[..., None, None, None, :])
    return bg[..., None, None] + (amplitude[..., None, None] * heights).sum(-3)
