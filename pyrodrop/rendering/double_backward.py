"""Second derivatives of kernels that have only first ones: gradients that can themselves be differentiated.

Laplace approximations, Newton's method and Hessians ask autograd for ``create_graph=True``. A compiled kernel then
hands its backward over to a twin in plain torch: slower, equal up to where droplets are cut, and differentiable as
often as wanted.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from pyrodrop.rendering.kernels.definition import render_reference
from pyrodrop.rendering.kernels.separable import render_separable
from pyrodrop.rendering.profiles import Profile
from pyrodrop.rendering.profiles.gaussian import GAUSSIAN


def image_gradients(
    arguments: tuple[Tensor, ...], by_image: Tensor, profile: Profile = GAUSSIAN
) -> tuple[Tensor | None, ...]:
    """Vector-Jacobian product of the image by its arguments; None for those that it does not depend on.

    Args:
        arguments: x, y, r and amplitude, each (..., N), and bg (...); for profiles but the Gaussian, shape (..., S).
        by_image: gradient by the image, (..., H, W).
        profile: Gaussians are drawn by ``separable``, others by the reference, which takes memory for H W N numbers.
    """
    size = (by_image.shape[-2], by_image.shape[-1])

    def image(*of: Tensor) -> Tensor:
        x, y, r, amplitude, bg, *shape = of
        if profile.gaussian:
            return render_separable(x, y, r, amplitude, bg, size)
        return render_reference(x, y, r, amplitude, bg, size, profile, *shape)

    return _differentiable(image, arguments, by_image)


def half_square_gradients(
    arguments: tuple[Tensor, ...], channel: Tensor, by_half_squares: Tensor
) -> tuple[Tensor | None, ...]:
    """Vector-Jacobian product of half the sum of squares of image - channel, by the arguments of a Gaussian image.

    Args:
        arguments: x, y, r and amplitude, each (..., N), and bg (...).
        channel: (H, W) or (..., H, W).
        by_half_squares: gradient by the half sums of squares, (...).
    """
    size = (channel.shape[-2], channel.shape[-1])

    def half_squares(*of: Tensor) -> Tensor:
        x, y, r, amplitude, bg = of
        return (render_separable(x, y, r, amplitude, bg, size) - channel).square().sum((-2, -1)) / 2

    return _differentiable(half_squares, arguments, by_half_squares)


def _differentiable(
    function: Callable[..., Tensor], arguments: tuple[Tensor, ...], by_result: Tensor
) -> tuple[Tensor | None, ...]:
    leaves = tuple(t if t.requires_grad else t.detach().requires_grad_() for t in arguments)
    return torch.autograd.grad(function(*leaves), leaves, by_result, create_graph=True, allow_unused=True)
