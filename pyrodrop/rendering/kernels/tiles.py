"""Gaussian droplets drawn in tiles on CUDA by Triton: the image, the half sum of squares, and their gradients.

The kernels have run under Triton's interpreter on the CPU only, and been compiled for a GPU, but NOT YET RUN ON
one. How they work, and why so, stands in ``tiles_triton``; it is imported, with Triton, when first needed.
"""

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from pyrodrop.rendering.double_backward import half_square_gradients, image_gradients

# How many radii a droplet's support reaches along x and along y. What is left out at a pixel is under exp(-k^2 / 2)
# of the amplitude: 4e-6 in float32; float64 is for checks and leaves out nothing that counts (3e-18). Of the
# gradients, the one by the radius loses most: at a pixel under k^2 exp(-k^2 / 2) amplitude / r, 1e-4 of it in float32,
# and over an even residual 1.6e-5 of the whole.
SUPPORT_RADII = {torch.float32: 5.0, torch.float64: 9.0}

# Rows of a band, a whole number of tiles; droplets that are tested for a band at once; warps to a droplet's box.
BAND, CHUNK, STRIPS = 64, 1024, 8
# Rows and columns of a tile. A warp lies along a row, so each thread takes an exponential for every row and for
# every 32nd column: flat tiles take fewer of them (10 here for 16 pixels, 17 if square), square ones touch less.
ROWS, COLUMNS = 8, 64


def render_tiles(x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor, size: tuple[int, int]) -> Tensor:
    """Image bg + sum_k a_k exp(-((i - x_k)^2 + (j - y_k)^2) / (2 r_k^2)), each droplet cut off at k radii.

    Args:
        x: droplet centres in px, shape (..., N), columns; anywhere, and N may be 0.
        y: likewise, rows.
        r: radii in px, positive, shape (..., N).
        amplitude: height of each droplet, any sign, shape (..., N).
        bg: background level, shape (...).
        size: height and width (H, W) of the image in px.

    Returns:
        The image, shape (..., H, W); differentiable by all five tensors. These must be alike in dtype
        (float32 or float64), device (CUDA) and leading dimensions.

    Raises:
        ValueError: the tensors are not on CUDA, or neither float32 nor float64.
        ImportError: there is no Triton.
    """
    image: Tensor = _render_op(x, y, r, amplitude, bg, *size)
    return image


def half_squares_tiles(x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor, channel: Tensor) -> Tensor:
    """Half the sum of squared residuals S = sum (image - channel)^2 / 2, its gradient in the same pass.

    ``backward`` only scales that gradient; no image is kept for it (a residual lives as long as the call).

    Args:
        x: droplet centres in px, shape (..., N), columns; anywhere, and N may be 0.
        y: likewise, rows.
        r: radii in px, positive, shape (..., N).
        amplitude: height of each droplet, any sign, shape (..., N).
        bg: background level, shape (...).
        channel: what was observed, shape (H, W), or (..., H, W) with an image for each background. No gradient
            is taken by it.

    Returns:
        S, shape (...), differentiable by x, y, r, amplitude and bg. Calling the custom op
        ``torch.ops.pyrodrop.half_squares_tiles`` instead gives S and the gradients by these five.

    Raises:
        ValueError: as ``render_tiles``; or the channel has the shape of neither.
        ImportError: there is no Triton.
    """
    if channel.dim() != 2 and channel.shape[:-2] != bg.shape:
        raise ValueError(
            f"channel has shape {tuple(channel.shape)} and bg {tuple(bg.shape)}: expected one image (H, W), "
            "or one for each background."
        )
    half_squares: Tensor = _half_squares_op(x, y, r, amplitude, bg, channel.detach())[0]
    return half_squares


def _kernels(x: Tensor) -> ModuleType:
    """The kernels, once it is sure that they can draw from tensors like x."""
    if x.dtype not in SUPPORT_RADII:
        raise ValueError(f"kernel 'tiles' draws in float32 or float64 and got {x.dtype}: convert with .to().")
    try:
        from pyrodrop.rendering.kernels import tiles_triton
    except ImportError as error:
        raise ImportError(
            "kernel 'tiles' needs Triton, which comes with torch's CUDA builds for Linux and is not here: "
            "install triton, or choose kernel 'separable'."
        ) from error
    if x.device.type != "cuda" and not tiles_triton.INTERPRETED:
        raise ValueError(f"kernel 'tiles' is for CUDA and x is on {x.device}: choose 'bands' or 'separable'.")
    return tiles_triton


def _draw(
    droplets: tuple[Tensor, ...], bg: Tensor, channel: Tensor | None, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """Images (..., H, W); where there is a channel, residuals, and (2, ..., tiles) half squares and sums."""
    x = droplets[0]
    kernels = _kernels(x)
    n, batch = x.shape[-1], bg.numel()
    tiles = -(-height // ROWS) * -(-width // COLUMNS)
    bands = batch * -(-height // BAND)
    listed = x.new_empty(bands * n, dtype=torch.int32)
    counts = x.new_empty(bands, dtype=torch.int32)
    image = x.new_empty(*bg.shape, height, width)
    sums = x.new_empty(2, *bg.shape, tiles)
    stride = height * width if channel is not None and channel.dim() > 2 else 0
    cut = SUPPORT_RADII[x.dtype]
    # Triton launches on the current device, which need not be the tensors'; -1 (the CPU's) changes nothing.
    # Whether a * b + c is rounded once is said outright, as Triton's default is about to change.
    with torch.cuda.device(x.get_device()):
        if bands:
            kernels.list_bands[(bands,)](
                *droplets[:3], listed, counts, height, width, n,
                CUT=cut, BAND=BAND, CHUNK=CHUNK, num_warps=4, enable_fp_fusion=True,
            )  # fmt: skip
        if batch * tiles:
            kernels.draw_tiles[(batch * tiles,)](
                *droplets, bg.contiguous(), image if channel is None else channel, listed, counts,
                image, sums, height, width, n, stride,
                CUT=cut, BAND=BAND, ROWS=ROWS, COLUMNS=COLUMNS, RESIDUAL=channel is not None,
                num_warps=1, enable_fp_fusion=True,
            )  # fmt: skip
    return image, sums


def _gather(gradient: Tensor, droplets: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients by x, y, r and amplitude of what has this gradient by the image, (..., H, W)."""
    x = droplets[0]
    kernels = _kernels(x)
    partial = x.new_empty(4, STRIPS, *x.shape)
    if x.numel():
        with torch.cuda.device(x.get_device()):
            kernels.gather_gradients[(x.numel(), STRIPS)](
                gradient, *droplets, partial, *gradient.shape[-2:], x.shape[-1], x.numel(),
                CUT=SUPPORT_RADII[x.dtype], ROWS=ROWS, COLUMNS=COLUMNS, STRIPS=STRIPS,
                num_warps=1, enable_fp_fusion=True,
            )  # fmt: skip
    return partial[0].sum(0), partial[1].sum(0), partial[2].sum(0), partial[3].sum(0)


def _contiguous(*tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor.contiguous() for tensor in tensors)


# Custom ops, so that make_fx and torch.compile keep each as one node and do not look inside.
@torch.library.custom_op("pyrodrop::render_tiles", mutates_args=())
def _render_op(x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor, height: int, width: int) -> Tensor:
    return _draw(_contiguous(x, y, r, amplitude), bg, None, height, width)[0]


@_render_op.register_fake
def _(x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor, height: int, width: int) -> Tensor:
    return x.new_empty(*bg.shape, height, width)


@torch.library.custom_op("pyrodrop::render_tiles_backward", mutates_args=())
def _render_backward_op(
    gradient: Tensor, x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return _gather(gradient.contiguous(), _contiguous(x, y, r, amplitude))


@torch.library.custom_op("pyrodrop::half_squares_tiles", mutates_args=())
def _half_squares_op(
    x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor, channel: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """S and its gradients by x, y, r, amplitude and bg."""
    droplets = _contiguous(x, y, r, amplitude)
    residual, sums = _draw(droplets, bg, channel.contiguous(), *channel.shape[-2:])
    return sums[0].sum(-1), *_gather(residual, droplets), sums[1].sum(-1)


@_render_backward_op.register_fake
def _(gradient: Tensor, x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty(x.shape), x.new_empty(x.shape), x.new_empty(x.shape)


@_half_squares_op.register_fake
def _(
    x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor, channel: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    by_x, by_y, by_r, by_amplitude = (x.new_empty(x.shape) for _ in range(4))
    return x.new_empty(bg.shape), by_x, by_y, by_r, by_amplitude, x.new_empty(bg.shape)


def _keep_parameters(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:5])


def _render_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    if torch.is_grad_enabled():  # the gradient is to be differentiated, too
        return *image_gradients(ctx.saved_tensors, gradient), None, None
    by_droplets: tuple[Tensor, ...] = _render_backward_op(gradient, *ctx.saved_tensors[:4])
    return *by_droplets, gradient.sum((-2, -1)), None, None


def _keep_gradients(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*output[1:], *inputs)
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)  # or backward would fill five tensors with zeros for the gradients' gradients


def _half_squares_backward(ctx: Any, gradient: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
    if gradient is None:
        return (None,) * 6
    *by_droplets, by_bg = ctx.saved_tensors[:5]
    if torch.is_grad_enabled():
        *arguments, channel = ctx.saved_tensors[5:]
        return *half_square_gradients(tuple(arguments), channel, gradient), None
    return *(gradient[..., None] * part for part in by_droplets), gradient * by_bg, None


_render_op.register_autograd(_render_backward, setup_context=_keep_parameters)
_half_squares_op.register_autograd(_half_squares_backward, setup_context=_keep_gradients)


def _in_front(info: Any, in_dims: tuple[int | None, ...], *tensors: Tensor) -> list[Tensor]:
    """Tensors with vmap's dimension as their first, whether they had it or not."""
    return [
        t.expand(info.batch_size, *t.shape) if dim is None else t.movedim(dim, 0)
        for t, dim in zip(tensors, in_dims, strict=False)
    ]


@_render_op.register_vmap
def _(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:
    return _render_op(*_in_front(info, in_dims, *inputs[:5]), *inputs[5:]), 0


@_render_backward_op.register_vmap
def _(info: Any, in_dims: tuple[int | None, ...], *inputs: Tensor) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    return _render_backward_op(*_in_front(info, in_dims, *inputs)), (0,) * 4


@_half_squares_op.register_vmap
def _(info: Any, in_dims: tuple[int | None, ...], *inputs: Tensor) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    channel = inputs[5]
    *droplets, bg = _in_front(info, in_dims, *inputs[:5])
    if in_dims[5] is not None or channel.dim() > 2:
        (channel,) = _in_front(info, in_dims[5:], channel)
        # One image for a whole batch within vmap: the batch's dimensions come between vmap's and the image's.
        ones = (1,) * (bg.dim() - channel.dim() + 2)
        channel = channel.reshape(info.batch_size, *ones, *channel.shape[1:]).expand(*bg.shape, *channel.shape[-2:])
    return _half_squares_op(*droplets, bg, channel), (0,) * 6
