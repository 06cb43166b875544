"""Droplets of any profile, each in its window of the image, in plain torch: for profiles without compiled code.

Windows of like size are drawn together, so that torch has large tensors to work on; each droplet is cut where its
height is negligible in the dtype. Any device; differentiable as often as wanted.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.rendering.kernels.columns_torch import windows_of
from pyrodrop.rendering.profiles import Profile

Array = NDArray[np.float64]
# Pixels of windows that are drawn at a time.
_TOGETHER = 1 << 21


class _Group(NamedTuple):
    """Droplets whose windows are drawn together, each enlarged to the same height and width."""

    droplets: NDArray[np.intp]
    high: int
    wide: int


def render_windows_torch(
    x: Tensor,
    y: Tensor,
    r: Tensor,
    amplitude: Tensor,
    bg: Tensor,
    size: tuple[int, int],
    profile: Profile,
    shape: Tensor,
    left_out: float,
) -> Tensor:
    """Image as ``render_reference``: (..., N), (...) and shape (..., S) to (..., H, W).

    ``left_out`` is the share of its greatest height that a droplet may have where it is not drawn.
    """
    height, width = size
    count, number = x.shape[-1], int(np.prod(x.shape[:-1]))
    support = _supports(profile, r, shape, left_out)
    box = windows_of(_numbers(x), _numbers(y), support, size).box
    image = bg.reshape(-1, 1).expand(-1, height * width).reshape(-1)
    flat = [t.reshape(-1) for t in (x, y, r, amplitude)]
    shapes = shape.reshape(number, shape.shape[-1])
    for group in _groups(box):
        at = torch.from_numpy(group.droplets).to(x.device)
        cx, cy, cr, ca = (t[at][:, None, None] for t in flat)
        corner = torch.from_numpy(box[group.droplets]).to(x.device)
        rows = corner[:, 1, None] + torch.arange(group.high, device=x.device)
        columns = corner[:, 0, None] + torch.arange(group.wide, device=x.device)
        inside = (rows < (corner[:, 1] + corner[:, 3])[:, None])[:, :, None]
        inside = inside & (columns < (corner[:, 0] + corner[:, 2])[:, None])[:, None, :]
        dx, dy = columns[:, None, :].to(x.dtype) - cx, rows[:, :, None].to(x.dtype) - cy
        distance = dx.square() + dy.square()
        ends = torch.from_numpy(support[group.droplets]).to(x)[:, None, None]
        inside = inside & (distance.detach() <= ends.square())
        heights = profile.height(distance / cr.square(), cr, shapes[at // count][:, None, None, :])
        pixel = rows[:, :, None] * width + columns[:, None, :] + (at // count)[:, None, None] * (height * width)
        image = image.index_add(0, pixel[inside], (ca * heights)[inside])
    return image.reshape(*bg.shape, height, width)


def _supports(profile: Profile, r: Tensor, shape: Tensor, left_out: float) -> Array:
    """Where droplets end, in px, (B N,), of r (..., N) and shape (..., S)."""
    number = int(np.prod(r.shape[:-1]))
    radii = _numbers(r).reshape(number, r.shape[-1])
    shapes = _numbers(shape).reshape(number, shape.shape[-1])
    ends = [profile.support(own_r, own_shape, left_out) for own_r, own_shape in zip(radii, shapes, strict=True)]
    return np.concatenate(ends) if ends else np.zeros(0)


def _numbers(tensor: Tensor) -> Array:
    return tensor.detach().cpu().double().reshape(-1).numpy()


def _groups(box: NDArray[np.int64]) -> Iterator[_Group]:
    """Droplets with a window, those of like size together; the same droplets always make the same groups."""
    order = np.lexsort((box[:, 2], box[:, 3]))
    order = order[box[order, 2] > 0]
    start = 0
    while start < len(order):
        end, high, wide = start, 0, 0
        while end < len(order):
            more = max(high, int(box[order[end], 3])), max(wide, int(box[order[end], 2]))
            if end > start and (end + 1 - start) * more[0] * more[1] > _TOGETHER:
                break
            (high, wide), end = more, end + 1
        yield _Group(order[start:end], high, wide)
        start = end
