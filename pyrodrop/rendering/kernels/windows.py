"""The CPU kernel of every profile: only the pixels that a droplet reaches, as torch operators.

A droplet is cut where its profile has fallen to a share of its height that is negligible in the dtype: a Gaussian at
``CUT`` radii, as in ``bands``; the edge of a disc or of a radial profile at ``EDGE_CUT`` of its standard deviations, on
the scale of ``profiles.disc``. What is left out of an amplitude a is at most, for a disc, 2.9e-7 a at any pixel in
float32 and 1.2e-16 a in float64; of a radial profile that times its curve at the cut.
Arithmetic is in float64; the operators run on one thread and are deterministic; for their second derivatives see
``further``.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.rendering.double_backward import image_gradients
from pyrodrop.rendering.kernels.bands import CUT
from pyrodrop.rendering.profiles.registry import SHAPES, curve_basis
from pyrodrop.rendering.vmap import map_as_leading

EDGE_CUT = {torch.float32: 5.0, torch.float64: 8.2}


def render_windows(
    x: Tensor,
    y: Tensor,
    r: Tensor,
    amplitude: Tensor,
    bg: Tensor,
    size: tuple[int, int],
    profile: str = "gaussian",
    shape: Tensor | None = None,
) -> Tensor:
    """Image as ``render_reference``: (..., N), (...) and shape (..., S) to (..., H, W), CPU, float32 or float64."""
    if shape is None:
        shape = x.new_empty((*x.shape[:-1], 0))
    image: Tensor = _image(x, y, r, amplitude, bg, shape, *size, profile)
    return image


@lru_cache(maxsize=1)
def kernels() -> Any:
    """The compiled module: Numba takes a third of a second to import, and only who draws pays for it."""
    from pyrodrop.rendering.kernels import windows_loops as window_kernels

    return window_kernels


def curve_of(profile: str, shape: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The curve of ``radial`` as coefficients (pieces, 4), and its basis (pieces, 4, knots); empty for the others."""
    if profile != "radial":
        return np.zeros((0, 4)), np.zeros((0, 4, 0))
    basis = curve_basis()
    return basis @ shape[1:], basis


@torch.library.custom_op("pyrodrop::windows_image", mutates_args=(), device_types="cpu")
def _image(
    x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor, shape: Tensor, height: int, width: int, profile: str
) -> Tensor:
    image = bg[..., None, None].expand(*bg.shape, height, width).clone(memory_format=torch.contiguous_format)
    code, cut = _code_and_cut(profile, x.dtype)
    for picture, *droplets, level in zip(*_rows(image, 2), *_all_rows(x, y, r, amplitude, shape), strict=True):
        shapes = level.astype(np.float64)
        kernels().draw(code, cut, *droplets, shapes, curve_of(profile, shapes)[0], picture)
    return image


@_image.register_fake
def _(
    x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor, shape: Tensor, height: int, width: int, profile: str
) -> Tensor:
    return x.new_empty((*bg.shape, height, width))


@torch.library.custom_op("pyrodrop::windows_pull", mutates_args=(), device_types="cpu")
def _pull(
    x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, shape: Tensor, by_image: Tensor, profile: str
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Vector-Jacobian product of ``_image`` by x, y, r, amplitude and shape."""
    made = [torch.zeros(t.shape, dtype=t.dtype) for t in (x, y, r, amplitude, shape)]
    code, cut = _code_and_cut(profile, x.dtype)
    every = zip(*_all_rows(x, y, r, amplitude, shape), *_rows(by_image, 2), *_all_rows(*made), strict=True)
    for *droplets, level, picture, by_x, by_y, by_r, by_amplitude, by_shape in every:
        shapes, sums = level.astype(np.float64), np.zeros(level.shape)
        curve, basis = curve_of(profile, shapes)
        kernels().pull(code, cut, *droplets, shapes, curve, basis, picture, by_x, by_y, by_r, by_amplitude, sums)
        by_shape[:] = sums
    return made[0], made[1], made[2], made[3], made[4]


@_pull.register_fake
def _(
    x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, shape: Tensor, by_image: Tensor, profile: str
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    empty = [t.new_empty(t.shape) for t in (x, y, r, amplitude, shape)]
    return empty[0], empty[1], empty[2], empty[3], empty[4]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, _, _, ctx.profile = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, by_image: Tensor) -> tuple[Tensor | None, ...]:
    if torch.is_grad_enabled():  # the gradient is to be differentiated, too
        given = ctx.saved_tensors if SHAPES[ctx.profile] else ctx.saved_tensors[:5]
        gradients = image_gradients(given, by_image, ctx.profile)
        return (*gradients, *(None,) * (9 - len(gradients)))
    x, y, r, amplitude, _, shape = ctx.saved_tensors
    by_x, by_y, by_r, by_amplitude, by_shape = _pull(x, y, r, amplitude, shape, by_image, ctx.profile)
    return by_x, by_y, by_r, by_amplitude, by_image.sum((-2, -1)), by_shape, None, None, None


_image.register_autograd(_backward, setup_context=_keep)
map_as_leading(_image)
map_as_leading(_pull)


def _code_and_cut(profile: str, dtype: torch.dtype) -> tuple[int, float]:
    return kernels().CODES[profile], (EDGE_CUT if SHAPES[profile] else CUT)[dtype]


def _rows(tensor: Tensor, kept: int) -> list[NDArray[Any]]:
    """The tensor with its leading dimensions in one, and ``kept`` dimensions after it, in a list."""
    last = tensor.shape[len(tensor.shape) - kept :]
    count = int(np.prod(tensor.shape[: len(tensor.shape) - kept]))
    flat = tensor.detach() if tensor.is_contiguous() else tensor.detach().contiguous()
    return [flat.view(count, *last).numpy()]


def _all_rows(*tensors: Tensor) -> list[NDArray[Any]]:
    return [rows for tensor in tensors for rows in _rows(tensor, 1)]
