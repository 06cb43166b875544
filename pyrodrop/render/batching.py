"""The kernels under ``torch.func.vmap``: a mapped dimension is one more leading dimension of theirs."""

from typing import Any

import torch
from torch import Tensor
from torch._library.custom_ops import CustomOpDef


def map_as_leading(op: CustomOpDef, shared: int | None = None, one_image: bool = False) -> None:
    """Let vmap hand an operator its mapped dimension as the first, in one call.

    Args:
        op: takes tensors (..., N) or (..., H, W) with the same leading dimensions, and numbers; returns one tensor or
            several with those leading dimensions.
        shared: the place of an argument that may be one image (H, W) for all.
        one_image: whether that image cannot be several; mapping over it is then refused.
    """

    def mapped(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Any, Any]:
        moved: list[Any] = []
        for place, (argument, dim) in enumerate(zip(arguments, in_dims, strict=True)):
            if dim is not None and place == shared and one_image:
                raise NotImplementedError("this kernel explains one image at a time; map over the droplets only")
            if not isinstance(argument, Tensor) or (dim is None and place == shared):
                moved.append(argument)
            elif dim is None:
                moved.append(argument.expand(info.batch_size, *argument.shape))
            else:
                moved.append(argument.movedim(dim, 0))
        made = op(*moved)
        return made, tuple(0 for _ in made) if isinstance(made, tuple) else 0

    torch.library.register_vmap(op, mapped)
