"""Fits of a small image that take a moment, for the tests of fitting."""

from typing import Any

import torch
from torch import Tensor

import pyrodrop
from pyrodrop.workflows.fitting.fit import fit
from pyrodrop.workflows.fitting.fit_result import Fit

H, W, N = 24, 32, 4


def channel() -> Tensor:
    image, _ = pyrodrop.simulate(N, (H, W), seed=3, kind="gray", radius_px=(2.0, 4.0), noise=0.02, margin=1.0)
    return image.channel("gray")


def quick(steps: int, start: str = "uniform", **how: Any) -> Fit:
    return fit(channel(), N, steps=steps, start=start, device="cpu", progress=False, **how)


def same_fit(one: Fit, other: Fit) -> None:
    """Equal to the last bit, but for the time it took."""
    assert torch.equal(one.losses, other.losses)
    for name in ("params", "first", "second", "random"):
        assert torch.equal(getattr(one.state, name), getattr(other.state, name)), name
    assert one.state.iteration == other.state.iteration
    assert torch.equal(one.channel, other.channel)
    assert one.settings == other.settings
