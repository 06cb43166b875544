"""Droplets to an image, and its likelihood: checks the arguments, picks the kernel and calls it.

Every kernel keeps the same contract, that of ``render_reference``: forward and backward, batched over leading
dimensions, float32 and float64. The fast ones import their compiler, which is slow to import, when they first draw.
"""

import math
from importlib.util import find_spec
from operator import index

import torch
from torch import Tensor

from pyrodrop.rendering.kernels.bands.operators import half_squares_bands, render_bands
from pyrodrop.rendering.kernels.definition import render_reference
from pyrodrop.rendering.kernels.separable import render_separable
from pyrodrop.rendering.kernels.tiles import half_squares_tiles, render_tiles
from pyrodrop.rendering.kernels.windows import is_compiled, render_windows
from pyrodrop.rendering.profiles import Profile, profile_named
from pyrodrop.rendering.transforms import is_differentiated_by_transform, is_mapped

HAS_NUMBA = find_spec("numba") is not None
HAS_TRITON = find_spec("triton") is not None

Tensors = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]

# Kernels of every profile, and those that draw Gaussians alone and leave all other profiles to "windows".
_OF_PROFILES = {"reference": render_reference, "windows": render_windows}
_OF_GAUSSIANS = {"separable": render_separable, "bands": render_bands, "tiles": render_tiles}
# Half the sum of squared residuals and its gradient in one pass, of the kernels that have it.
_HALF_SQUARES = {"bands": half_squares_bands, "tiles": half_squares_tiles}
KERNELS = ("auto", *_OF_PROFILES, *_OF_GAUSSIANS)


def render(
    x: Tensor,
    y: Tensor,
    r: Tensor,
    amplitude: Tensor,
    bg: Tensor | float,
    size: tuple[int, int],
    profile: str = "gaussian",
    kernel: str = "auto",
    shape: Tensor | None = None,
) -> Tensor:
    """Image of droplets on a level background: bg + sum_k amplitude_k f(distance_k^2 / r_k^2).

    Args:
        x, y: droplet centres in px, shape (..., N); pixel centres lie on integers, x to the right and y down.
            A centre may lie anywhere, N may be 0.
        r: droplet radii in px, positive, shape (..., N).
        amplitude: height of each droplet, any sign, shape (..., N).
        bg: background level, shape (...), or a number.
        size: height and width (H, W) of the image in px, both at least 1.
        profile: name of the profile f: "gaussian", "disc", "radial", "rimmed" or another that is registered.
        kernel: "auto" or one of "reference", "separable", "windows", "bands" (CPU) and "tiles" (CUDA). "separable",
            "bands" and "tiles" draw Gaussians and leave other profiles to "windows".
        shape: the S numbers that all droplets of an image share, shape (..., S): nothing for "gaussian", the edge's
            width in px for "disc", also the heights of its curve for "radial", and the core's edge in px, its height
            and the rim's share of the radius for "rimmed". See ``pyrodrop.rendering.profiles``.

    Returns:
        The image, shape (..., H, W), in the dtype and on the device of the arguments; differentiable by all
        tensors, as often as wanted. Leading dimensions broadcast.
        The transforms of ``torch.func`` and forward mode are right with every kernel, too; for them "separable" or
        the reference draws, as torch does not let them through operators of its users.

    Raises:
        ValueError: an unknown profile or kernel, or shapes, dtypes or devices that do not go together.

    Example:
        >>> import torch, pyrodrop
        >>> x, y, r = torch.tensor([10.0, 30.0]), torch.tensor([12.0, 8.0]), torch.tensor([3.0, 5.0])
        >>> r.requires_grad_()
        tensor([3., 5.], requires_grad=True)
        >>> image = pyrodrop.render(x, y, r, torch.tensor([0.5, 0.3]), torch.tensor(0.1), (24, 40))
        >>> image.sum().backward()
        >>> tuple(image.shape), tuple(r.grad.shape)
        ((24, 40), (2,))
    """
    drawn = profile_named(profile)
    tensors, shape = _with_shape(_together(x, y, r, amplitude, bg), drawn, shape)
    return _draw(_kernel(drawn, kernel, *tensors, shape), tensors, _sides(size), drawn, shape)


def _draw(name: str, tensors: Tensors, size: tuple[int, int], profile: Profile, shape: Tensor) -> Tensor:
    """The image by one kernel, of arguments that were checked."""
    if name in _OF_PROFILES:
        return _OF_PROFILES[name](*tensors, size, profile, shape)
    return _OF_GAUSSIANS[name](*tensors, size)


def log_likelihood(
    x: Tensor,
    y: Tensor,
    r: Tensor,
    amplitude: Tensor,
    bg: Tensor | float,
    channel: Tensor,
    error_scale: float | Tensor,
    profile: str = "gaussian",
    kernel: str = "auto",
    shape: Tensor | None = None,
) -> Tensor:
    """Log likelihood of a channel whose pixels are independent normals around the image of the droplets.

    With S half the sum of squared residuals and HW the number of pixels,
    sum log Normal(channel | image, sigma) = -S / sigma^2 - HW (log sigma + log(2 pi) / 2).
    The fast kernels find S and its gradient in one pass and keep no image, where none is asked for by the channel.

    Args:
        x, y, r, amplitude, bg, profile, kernel, shape: as for ``render``.
        channel: what was observed, shape (H, W), or (..., H, W) with an image for each background;
            differentiable.
        error_scale: standard deviation sigma of a pixel, positive, a number or a tensor () or (...) (differentiable).

    Returns:
        Shape (...), differentiable by all tensors, as ``render``.

    Raises:
        ValueError: as ``render``, or the channel does not fit.
    """
    tensors = _together(x, y, r, amplitude, bg)
    leading = tensors[4].shape
    if channel.dim() < 2 or 0 in channel.shape[-2:] or channel.shape[:-2] not in ((), leading):
        raise ValueError(
            f"channel has shape {tuple(channel.shape)}: give one image of shape (height, width), "
            f"or one for each background, which have shape {tuple(leading)}."
        )
    if channel.dtype != x.dtype or channel.device != x.device:
        raise ValueError(
            f"channel is {channel.dtype} on {channel.device} and x is {x.dtype} on {x.device}: "
            "convert one of them with .to()."
        )
    height, width = channel.shape[-2:]
    drawn = profile_named(profile)
    name = _kernel(drawn, kernel, *tensors, *(() if shape is None else (shape,)))
    by_channel = channel.requires_grad or is_differentiated_by_transform(channel)
    if by_channel or name not in _HALF_SQUARES:
        tensors, shape = _with_shape(tensors, drawn, shape)
        image = _draw(name, tensors, (height, width), drawn, shape)
        half_squares = (image - channel).square().sum((-2, -1)) / 2
    else:
        half_squares = _HALF_SQUARES[name](*tensors, channel)
    log_scale = error_scale.log() if isinstance(error_scale, Tensor) else math.log(error_scale)
    return -half_squares / error_scale**2 - height * width * (log_scale + math.log(2 * math.pi) / 2)


def _kernel(profile: Profile, kernel: str, x: Tensor, *others: Tensor) -> str:
    """Name of the kernel that will draw from these tensors."""
    if kernel not in KERNELS:
        raise ValueError(f"kernel {kernel!r} is unknown: choose one of {', '.join(KERNELS)}.")
    if kernel in ("bands", "tiles") and x.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"kernel {kernel!r} draws in float32 or float64 and x is {x.dtype}: choose 'separable'.")
    if kernel == "bands" and x.device.type != "cpu":
        raise ValueError(f"kernel {kernel!r} is for the CPU and x is on {x.device}: choose 'tiles' or 'separable'.")
    if is_differentiated_by_transform(x, *others):
        return "separable" if profile.gaussian and kernel != "reference" else "reference"
    if not is_compiled(profile, x) and is_mapped(x, *others):  # windows in torch are as large as the numbers say
        kernel = "reference" if kernel == "windows" or not profile.gaussian else kernel
    if not profile.gaussian:
        return "reference" if kernel == "reference" else "windows"
    if kernel != "auto":
        return kernel
    if x.dtype not in (torch.float32, torch.float64):
        return "separable"
    if x.device.type == "cpu":
        return "bands" if HAS_NUMBA else "separable"
    return "tiles" if x.device.type == "cuda" and HAS_TRITON else "separable"


def _sides(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width, or a ValueError."""
    try:
        height, width = (index(side) for side in size)
    except (TypeError, ValueError):
        height = width = 0
    if height < 1 or width < 1:
        raise ValueError(f"size is {size}: give (height, width) in whole pixels, both at least 1.")
    return height, width


def _with_shape(tensors: Tensors, profile: Profile, shape: Tensor | None) -> tuple[Tensors, Tensor]:
    """The five tensors and the shared numbers with their leading dimensions broadcast, or a ValueError."""
    count, x = profile.size, tensors[0]
    if shape is None and count == 0:
        return tensors, x.new_empty((*x.shape[:-1], 0))
    if shape is None or shape.dim() == 0 or shape.shape[-1] != count:
        got = "none" if shape is None else f"shape {tuple(shape.shape)}"
        raise ValueError(f"profile {profile.name!r} takes {count} shape parameters, shape (..., {count}): got {got}.")
    if shape.dtype != x.dtype or shape.device != x.device:
        raise ValueError(f"shape is {shape.dtype} on {shape.device} and x is {x.dtype} on {x.device}: use .to().")
    try:
        leading = torch.broadcast_shapes(x.shape[:-1], shape.shape[:-1])
    except RuntimeError:
        raise ValueError(
            f"x has shape {tuple(x.shape)} and shape {tuple(shape.shape)}: expected leading dimensions that broadcast."
        ) from None
    *droplets, bg = tensors
    x, y, r, amplitude = (t.expand(*leading, t.shape[-1]) for t in droplets)
    return (x, y, r, amplitude, bg.expand(leading)), shape.expand(*leading, count)


def _together(x: Tensor, y: Tensor, r: Tensor, amplitude: Tensor, bg: Tensor | float) -> Tensors:
    """The five tensors with their leading dimensions broadcast, or a ValueError that names the odd one."""
    for name, argument in (("x", x), ("y", y), ("r", r), ("amplitude", amplitude)):
        if not isinstance(argument, Tensor):
            raise ValueError(f"{name} is of type {type(argument).__name__}: give a tensor, one entry a droplet.")
    if not isinstance(bg, Tensor):
        bg = x.new_tensor(bg)
    same = x.shape == y.shape == r.shape == amplitude.shape and x.dim() > 0 and bg.shape == x.shape[:-1]
    for name, tensor in (("x", x), ("y", y), ("r", r), ("amplitude", amplitude), ("bg", bg)):
        if not tensor.dtype.is_floating_point:
            raise ValueError(f"{name} is {tensor.dtype}: give floating point numbers, for example float32.")
        if tensor.dtype != x.dtype or tensor.device != x.device:
            raise ValueError(
                f"{name} is {tensor.dtype} on {tensor.device} and x is {x.dtype} on {x.device}: "
                "convert one of them with .to()."
            )
    if same:
        return x, y, r, amplitude, bg
    if min(x.dim(), y.dim(), r.dim(), amplitude.dim()) == 0:
        raise ValueError("x, y, r and amplitude need a last dimension, one entry a droplet: got a 0-d one.")
    try:
        shape = torch.broadcast_shapes(x.shape, y.shape, r.shape, amplitude.shape, (*bg.shape, 1))
    except RuntimeError:
        got = ", ".join(str(tuple(t.shape)) for t in (x, y, r, amplitude, bg))
        raise ValueError(
            f"x, y, r, amplitude and bg have shapes {got}: expected (..., N) four times, then (...), "
            "with leading dimensions that broadcast."
        ) from None
    droplets = [t.expand(shape) for t in (x, y, r, amplitude)]
    return droplets[0], droplets[1], droplets[2], droplets[3], bg.expand(shape[:-1])
