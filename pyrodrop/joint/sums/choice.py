"""Which engine sums over the pixels on a device: chosen once, with the pixels."""

import torch

from pyrodrop.joint.sums.by_torch import ByTorch
from pyrodrop.joint.sums.compiled import COMPILED
from pyrodrop.joint.sums.engine import Engine


def engine_of(device: str | torch.device = "cpu") -> Engine:
    """The engine of a device: the compiled sums on the CPU, those of torch elsewhere."""
    if torch.device(device).type == "cpu":
        return COMPILED
    return ByTorch(torch.device(device))
