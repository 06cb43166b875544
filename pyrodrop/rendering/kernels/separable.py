"""The Gaussian image as two small matrices and one product: any device, differentiable as often as wanted."""

import torch
from torch import Tensor

# A factor below exp(-limit) is set to exact zero. The product of two factors, times an amplitude or a
# residual, then stays a normal number: arithmetic on denormals is tens of times slower on CPUs.
LIMIT = {torch.float32: 40.0, torch.float64: 350.0}
# Half-precision types reach zero before they matter; one limit serves both.
LIMIT_OTHER = 8.0


def factors(centre: Tensor, r: Tensor, length: int) -> Tensor:
    """exp(-(i - centre)^2 / (2 r^2)) for i = 0 .. length - 1, exact zero where too small to matter.

    Args:
        centre, r: in px, shape (..., N).
        length: number of pixels along this side of the image.

    Returns:
        Shape (..., N, length).
    """
    limit = LIMIT.get(centre.dtype, LIMIT_OTHER)
    distance = torch.arange(length, dtype=centre.dtype, device=centre.device) - centre[..., None]
    exponent = (distance / r[..., None]).square() / 2
    # Clamped before the exponential, so that its gradient is an exact zero too and no 0 * inf can arise.
    return torch.where(exponent > limit, 0.0, torch.exp(-exponent.clamp(max=limit)))


def render_separable(x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor, size: tuple[int, int]) -> Tensor:
    """Gaussian image bg + sum_k amplitude_k Ey_k Ex_k^T, as ``render_reference`` with profile "gaussian".

    The square of a distance is a sum over the two axes, so the Gaussian is a product of one factor each, and
    the sum over droplets a matrix product.

    Args:
        x, y, r, amplitude: centres, radii in px and heights, shape (..., N).
        bg: background level, shape (...).
        size: height and width (H, W) of the image in px.

    Returns:
        The image, shape (..., H, W); within 1e-5 of its largest value in float32.
    """
    height, width = size
    across = factors(x, r, width)
    down = factors(y, r, height) * amplitude[..., None]
    return bg[..., None, None] + down.mT @ across
