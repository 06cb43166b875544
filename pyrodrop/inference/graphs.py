"""Graphs of tensor functions, compiled where that is possible and pays."""

import shutil
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pyrodrop.inference.density import capture

# Loops over fewer numbers than this a thread stay on one: where cores are shared, waiting for the other one costs
# a hundred times what it saves.
_OPTIONS: dict[str, Any] = {"cpp.min_chunk_size": 8192}


def can_compile(device: torch.device) -> bool:
    """Whether torch's compiler has what it needs: a C++ compiler, and on a GPU Triton as well."""
    cpp = any(shutil.which(name) for name in ("g++", "clang++", "c++", "cl"))
    if device.type != "cuda":
        return cpp
    return cpp and torch.utils._triton.has_triton()


def compile_graph(function: Callable[..., Any], *example: Tensor) -> Callable[..., Any]:
    """One compiled graph of a function of tensors; the plain graph, with a warning, where compiling fails.

    Args:
        function: takes tensors, returns a tuple of tensors; may call ``Density.value_and_grad``.
        example: arguments of the right shapes, on which it is called once.
    """
    plain = capture(function, *example)
    # Torch's compiler switches the validation of distributions off for the whole process.
    validated = torch.distributions.Distribution._validate_args
    try:
        compiled: Callable[..., Any] = torch.compile(plain, fullgraph=True, dynamic=False, options=_OPTIONS)
        compiled(*(t.clone() for t in example))
    except Exception as error:  # whatever a missing or odd compiler makes of it, the plain graph is right
        reason = str(error).strip().splitlines()
        warnings.warn(f"runs uncompiled, and slower: {reason[0] if reason else error!r}", stacklevel=2)
        return plain
    finally:
        torch.distributions.Distribution.set_default_validate_args(validated)
    return compiled
