"""The CPU kernel as torch operators: only the pixels that a droplet reaches, in bands that stay in cache.

A Gaussian ends at a distance of ``SUPPORT_RADII`` radii. In float32, 5.4: what is left out is at most 4.7e-7 of a
droplet's amplitude at any pixel, and at most 8e-6 of the whole sum (over an even residual) in the gradient by its
radius, less in the others. In float64, 8.5: 2.1e-16 and 8e-15.

In float32 a droplet of ``BROAD`` px or more is drawn, and its gradient taken, on a grid 2^l times coarser, with 6 to
12 points a radius (see ``pyramid``): interpolation adds at most 3.2e-6 of its amplitude at any pixel. The
gradient is exact for the interpolated image. In all the image is within 4e-6 of the sum of the amplitudes' sizes that
meet at a pixel, and what float32 rounds. float64 stays at full resolution.

The sums are made in the same order whatever the number of threads: equal arguments give equal bits. The operators
run on up to ``torch.get_num_threads()`` threads, none of which is waited for where the machine is busy (see
``thread_team``); for their second derivatives see ``double_backward``. Numba compiles them at their first call (about
half a minute for each dtype) and keeps the result on disk.
"""

import math
import threading
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from pyrodrop.rendering.double_backward import half_square_gradients, image_gradients
from pyrodrop.rendering.kernels.bands.one_thread import threads_given
from pyrodrop.rendering.kernels.bands.thread_team import Team
from pyrodrop.rendering.vmap import map_as_leading

SUPPORT_RADII = {torch.float32: 5.4, torch.float64: 8.5}
BROAD = {torch.float32: 12.0, torch.float64: math.inf}
WORTH_A_THREAD = 1 << 14  # pixels below which waking a second thread costs more than it saves


def render_bands(x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor, size: tuple[int, int]) -> Tensor:
    """Gaussian image as ``render_reference`` with profile "gaussian": (..., N) and (...) to (..., H, W), CPU."""
    image: Tensor = _image(x, y, r, amplitude, bg, *size)
    return image


def half_squares_bands(x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor, channel: Tensor) -> Tensor:
    """Half the sum over pixels of (image - channel)^2, shape (...), with its gradient found in the same pass.

    The channel is one image (H, W) for all, or (..., H, W) with one for each background.
    """
    half_squares: Tensor = _half_squares(x, y, r, amplitude, bg, channel)[0]
    return half_squares


@torch.library.custom_op("pyrodrop::bands_image", mutates_args=(), device_types="cpu")
def _image(x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor, height: int, width: int) -> Tensor:
    image = x.new_empty((*bg.shape, height, width))
    _sweep("DRAW", x, y, r, amplitude, bg, image.view(-1, height, width))
    return image


@_image.register_fake
def _(x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor, height: int, width: int) -> Tensor:
    return x.new_empty((*bg.shape, height, width))


@torch.library.custom_op("pyrodrop::bands_vjp", mutates_args=(), device_types="cpu")
def _vjp(
    x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor, by_image: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Vector-Jacobian product of ``_image``."""
    height, width = by_image.shape[-2:]
    _, *gradients = _sweep("VJP", x, y, r, amplitude, bg, by_image.reshape(-1, height, width))
    return gradients[0], gradients[1], gradients[2], gradients[3], gradients[4]


@_vjp.register_fake
def _(
    x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor, by_image: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    empty = [t.new_empty(t.shape) for t in (x, y, r, amplitude, bg)]
    return empty[0], empty[1], empty[2], empty[3], empty[4]


@torch.library.custom_op("pyrodrop::bands_half_squares", mutates_args=(), device_types="cpu")
def _half_squares(
    x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor, channel: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Half the sum of squares, and its gradient by each of the five."""
    results = _sweep("BOTH", x, y, r, amplitude, bg, channel.reshape(-1, *channel.shape[-2:]))
    return results[0], results[1], results[2], results[3], results[4], results[5]


@_half_squares.register_fake
def _(
    x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor, channel: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    empty = [t.new_empty(t.shape) for t in (bg, x, y, r, amplitude, bg)]
    return empty[0], empty[1], empty[2], empty[3], empty[4], empty[5]


def _keep_parameters(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:5])


def _image_backward(ctx: Any, by_image: Tensor) -> tuple[Tensor | None, ...]:
    if torch.is_grad_enabled():  # the gradient is to be differentiated, too
        return (*image_gradients(ctx.saved_tensors, by_image), None, None)
    return (*_vjp(*ctx.saved_tensors, by_image), None, None)


def _keep_gradient(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*output[1:], *inputs)


def _half_squares_backward(ctx: Any, by_half_squares: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
    if by_half_squares is None:
        return (None,) * 6
    *by_droplets, by_bg = ctx.saved_tensors[:5]
    if torch.is_grad_enabled():
        *arguments, channel = ctx.saved_tensors[5:]
        return (*half_square_gradients(tuple(arguments), channel, by_half_squares), None)
    return (*(by_half_squares[..., None] * g for g in by_droplets), by_half_squares * by_bg, None)


_image.register_autograd(_image_backward, setup_context=_keep_parameters)
_half_squares.register_autograd(_half_squares_backward, setup_context=_keep_gradient)
map_as_leading(_image)
map_as_leading(_vjp)
map_as_leading(_half_squares, shared=5)


class _Memory(threading.local):
    """Where a thread's calls keep the coarse levels: fresh memory at each call would cost more than the work in it.

    At most ``KEPT`` numbers are held on to; memory that is never written, as where no droplet is broad, is never
    taken from the system.
    """

    KEPT = 1 << 24
    numbers: Tensor | None = None


_memory = _Memory()


def _store(count: int, dtype: torch.dtype) -> Tensor:
    """Memory for so many numbers, whatever they hold."""
    held = _memory.numbers
    if held is not None and held.numel() >= count and held.dtype == dtype:
        return held
    numbers = torch.empty(count, dtype=dtype)
    if count <= _Memory.KEPT:
        _memory.numbers = numbers
    return numbers


@lru_cache(maxsize=1)
def _compiled() -> Any:
    """The compiled module. Numba takes a third of a second to import: only who draws pays for it."""
    from pyrodrop.rendering.kernels.bands import call

    return call


_team = Team()


def _sweep(
    job: str, x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor, picture: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Half the sums of squares and the five gradients; what the job does not ask for is left unwritten."""
    compiled = _compiled()
    from pyrodrop.rendering.kernels.bands.reach import GRID, REST, levels

    height, width = picture.shape[-2:]
    images, number = bg.numel(), x.shape[-1]
    results = _unwritten(bg, x, y, r, amplitude, bg)
    plan = compiled.Plan(SUPPORT_RADII[x.dtype], BROAD[x.dtype], levels(height, width, BROAD[x.dtype] < math.inf))
    rows = [t.detach().reshape(images, number).contiguous().numpy() for t in (x, y, r, amplitude)]
    arguments = (
        getattr(compiled, job),
        compiled.Droplets(*rows, bg.detach().reshape(images).contiguous().numpy()),
        picture.detach().contiguous().numpy(),
        plan,
        _store(images * int(plan.table[-1, GRID] + plan.table[-1, REST]), x.dtype).numpy(),
    )
    shapes = ((images,), *[(images, number)] * 4, (images,))
    written = compiled.Results(*(t.view(shape).numpy() for t, shape in zip(results, shapes, strict=True)))
    threads = threads_given() if images * height * width >= WORTH_A_THREAD else 1
    if threads == 1:
        compiled.sweep(*arguments, written)
        return results
    top, counters, droplets, planes, reach, sums = compiled.prepare(*arguments)
    part = (arguments[0], top, counters, droplets, planes, plan, reach, sums)
    _team.with_help(threads, partial(compiled.take_part, True, *part), partial(compiled.take_part, False, *part))
    if job != "DRAW":
        compiled.add_up(droplets, reach, sums, written)
    return results


def _unwritten(*like: Tensor) -> Any:
    """Tensors of the shapes and types of these, whatever they hold."""
    return tuple(torch.empty(t.shape, dtype=t.dtype) for t in like)
