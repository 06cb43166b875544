"""The kernels under ``torch.func.vmap``: a mapped dimension is one more leading dimension of theirs."""

from typing import Any

import torch
from torch import Tensor
from torch._library.custom_ops import CustomOpDef


def map_as_leading(op: CustomOpDef, shared: int | None = None) -> None:
    """Let vmap hand an operator its mapped dimension as the first, in one call.

    Args:
        op: takes tensors (..., N) or (..., H, W) with the same leading dimensions, and numbers; returns one tensor or
            several with those leading dimensions.
        shared: the place of an argument that may be one image (H, W) for all; each mapped image is then that of all
            droplets that are mapped with it.
    """

    def mapped(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Any, Any]:
        moved: list[Any] = []
        for place, (argument, dim) in enumerate(zip(arguments, in_dims, strict=True)):
            if not isinstance(argument, Tensor) or (dim is None and place == shared and argument.dim() == 2):
                moved.append(argument)
            elif dim is None:
                moved.append(argument.expand(info.batch_size, *argument.shape))
            else:
                moved.append(argument.movedim(dim, 0))
        if shared is not None and moved[shared].dim() > 2:
            # The dimensions of a batch of droplets within vmap come between vmap's own and the image's.
            images, leading = moved[shared], moved[0].shape[:-1]
            ones = (1,) * (len(leading) - images.dim() + 2)
            images = images.reshape(info.batch_size, *ones, *images.shape[1:])
            moved[shared] = images.expand(*leading, *images.shape[-2:])
        results = op(*moved)
        return results, tuple(0 for _ in results) if isinstance(results, tuple) else 0

    torch.library.register_vmap(op, mapped)
