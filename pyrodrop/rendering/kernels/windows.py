"""The kernel of every profile: only the pixels that a droplet supports, one droplet after the other.

A droplet ends where its height has fallen to ``LEFT_OUT`` of its greatest. Compiled profiles are drawn on the CPU by
``windows_loops``, in float64 and on one thread; their second derivatives are those of a twin in torch (see
``double_backward``). Others, and other devices, are drawn by ``windows_torch``.
"""

from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.rendering.double_backward import image_gradients
from pyrodrop.rendering.kernels.windows_torch import render_windows_torch
from pyrodrop.rendering.profiles import PROFILES, Profile
from pyrodrop.rendering.vmap import map_as_leading

# Share of its greatest height that a droplet may have where it is not drawn: an edge ends 5 and 8.2 widths from r.
LEFT_OUT = {torch.float32: 2.866515718791946e-07, torch.float64: 1.2019351542735898e-16}
_HAS_NUMBA = find_spec("numba") is not None


def is_compiled(profile: Profile, x: Tensor) -> bool:
    """Whether compiled code draws droplets of a profile whose places are such a tensor."""
    return profile.compiled is not None and _HAS_NUMBA and x.device.type == "cpu" and x.dtype in LEFT_OUT


def render_windows(
    x: Tensor,
    y: Tensor,
    r: Tensor,
    amplitude: Tensor,
    bg: Tensor,
    size: tuple[int, int],
    profile: Profile,
    shape: Tensor,
) -> Tensor:
    """Image as ``render_reference``: (..., N), (...) and shape (..., S) to (..., H, W)."""
    if is_compiled(profile, x):
        image: Tensor = _image(x, y, r, amplitude, bg, shape, *size, profile.name)
        return image
    left_out = LEFT_OUT.get(x.dtype, LEFT_OUT[torch.float32])
    return render_windows_torch(x, y, r, amplitude, bg, size, profile, shape, left_out)


@lru_cache(maxsize=1)
def _loops() -> Any:
    """The compiled module: Numba takes a third of a second to import, and only who draws pays for it."""
    from pyrodrop.rendering.kernels import windows_loops

    return windows_loops


@torch.library.custom_op("pyrodrop::windows_image", mutates_args=(), device_types="cpu")
def _image(
    x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor, shape: Tensor, height: int, width: int, profile: str
) -> Tensor:
    image = bg[..., None, None].expand(*bg.shape, height, width).clone(memory_format=torch.contiguous_format)
    drawn, loops = PROFILES[profile], _loops()
    assert drawn.compiled is not None
    draw = loops.loops_of(drawn.compiled).draw
    for picture, x_, y_, r_, amplitude_, level in zip(
        *_rows(image, 2), *_all_rows(x, y, r, amplitude, shape), strict=True
    ):
        shapes = level.astype(np.float64)
        draw(_droplets(drawn, (x_, y_, r_, amplitude_), shapes, x.dtype), drawn.compiled.pack(shapes), picture)
    return image


@_image.register_fake
def _(
    x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor, shape: Tensor, height: int, width: int, profile: str
) -> Tensor:
    return x.new_empty((*bg.shape, height, width))


@torch.library.custom_op("pyrodrop::windows_vjp", mutates_args=(), device_types="cpu")
def _vjp(
    x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, shape: Tensor, by_image: Tensor, profile: str
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Vector-Jacobian product of ``_image`` by x, y, r, amplitude and shape."""
    gradients = [torch.zeros(t.shape, dtype=t.dtype) for t in (x, y, r, amplitude, shape)]
    drawn, loops = PROFILES[profile], _loops()
    assert drawn.compiled is not None
    vjp = loops.loops_of(drawn.compiled).vjp
    every = zip(*_all_rows(x, y, r, amplitude, shape), *_rows(by_image, 2), *_all_rows(*gradients), strict=True)
    for x_, y_, r_, amplitude_, level, picture, by_x, by_y, by_r, by_amplitude, by_shape in every:
        shapes, sums = level.astype(np.float64), np.zeros(level.shape)
        out = loops.Sums(by_x, by_y, by_r, by_amplitude, sums)
        vjp(_droplets(drawn, (x_, y_, r_, amplitude_), shapes, x.dtype), drawn.compiled.pack(shapes), picture, out)
        by_shape[:] = sums / np.where(drawn.log, shapes, 1.0)
    return gradients[0], gradients[1], gradients[2], gradients[3], gradients[4]


@_vjp.register_fake
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
        return (*image_gradients(ctx.saved_tensors, by_image, PROFILES[ctx.profile]), None, None, None)
    x, y, r, amplitude, _, shape = ctx.saved_tensors
    by_x, by_y, by_r, by_amplitude, by_shape = _vjp(x, y, r, amplitude, shape, by_image, ctx.profile)
    return by_x, by_y, by_r, by_amplitude, by_image.sum((-2, -1)), by_shape, None, None, None


_image.register_autograd(_backward, setup_context=_keep)
map_as_leading(_image)
map_as_leading(_vjp)


def _droplets(
    profile: Profile, droplets: tuple[NDArray[Any], ...], shape: NDArray[np.float64], dtype: torch.dtype
) -> Any:
    """The droplets of one image, x, y, r and amplitude (N,) each, with where each ends."""
    x, y, r, amplitude = droplets
    return _loops().Droplets(x, y, r, profile.support(r.astype(np.float64), shape, LEFT_OUT[dtype]), amplitude)


def _rows(tensor: Tensor, kept: int) -> list[NDArray[Any]]:
    """The tensor with its leading dimensions in one, and ``kept`` dimensions after it, in a list."""
    last = tensor.shape[len(tensor.shape) - kept :]
    count = int(np.prod(tensor.shape[: len(tensor.shape) - kept]))
    flat = tensor.detach() if tensor.is_contiguous() else tensor.detach().contiguous()
    return [flat.view(count, *last).numpy()]


def _all_rows(*tensors: Tensor) -> list[NDArray[Any]]:
    return [rows for tensor in tensors for rows in _rows(tensor, 1)]
