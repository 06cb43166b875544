"""Whether torch's function transforms look at a tensor: ``torch.func``'s derivatives, and forward-mode dual numbers.

The compiled kernels have a backward pass and nothing else. Under a transform that wants more, a kernel that is all of
torch's own operators draws instead: slower, and right.
"""

import torch
from torch import Tensor
from torch._C import _functorch
from torch.autograd import forward_ad


def is_differentiated_by_transform(*tensors: Tensor) -> bool:
    """Whether a derivative of ``torch.func`` (grad, jvp, jacfwd, hessian, ...) or a dual number is among the tensors.

    ``torch.func.vmap`` alone is not: the kernels know it.
    """
    if torch.compiler.is_compiling():  # there is nothing to look at yet, and to look would break the graph
        return False
    return any(_is_differentiated(tensor) for tensor in tensors)


def is_mapped(*tensors: Tensor) -> bool:
    """Whether ``torch.func.vmap`` maps over one of the tensors, so that their numbers cannot be looked at."""
    if torch.compiler.is_compiling():
        return False
    return any(_functorch.is_functorch_wrapped_tensor(tensor) for tensor in tensors)


def _is_differentiated(tensor: Tensor) -> bool:
    value = tensor
    while _functorch.is_functorch_wrapped_tensor(value):
        if _functorch.is_gradtrackingtensor(value):
            return True
        value = _functorch.get_unwrapped(value)
    return forward_ad._current_level >= 0 and forward_ad.unpack_dual(value).tangent is not None
