"""The Gaussian spot of the post: height exp(-q / 2), q the squared distance over the squared radius; nothing shared."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.rendering.profiles.profile import CompiledProfile, Profile

Array = NDArray[np.float64]
HALF_SHARE = math.sqrt(2 * math.log(2))


def height(squared: Tensor, r: Tensor, shape: Tensor | None = None) -> Tensor:
    """exp(-q / 2)."""
    return torch.exp(-squared / 2)


def support_px(r: Array, shape: Array, left_out: float) -> Array:
    """The distance c r with exp(-c^2 / 2) = left_out."""
    return math.sqrt(-2 * math.log(left_out)) * r


def half_radius_px(r: Array, shape: Array) -> Array:
    """R sqrt(2 log 2)."""
    return HALF_SHARE * r


class GaussianShape(NamedTuple):
    """Nothing is shared."""


def _height(squared: float, r: float, shape: GaussianShape) -> float:
    return math.exp(-0.5 * squared / (r * r))


def _point(dx: float, dy: float, r: float, shape: GaussianShape, out: Any) -> None:
    q = (dx * dx + dy * dy) / (r * r)
    value = math.exp(-0.5 * q)
    out[0] = value
    out[1] = value * dx / (r * r)
    out[2] = value * dy / (r * r)
    out[3] = value * q


def _columns(left: float, top: float, r: float, shape: GaussianShape, support: float, out: Any) -> None:
    """A product of a row and a column: one exponential for each of them, none for the pixels."""
    scale = 1.0 / (r * r)
    across = np.empty(out.shape[2])
    for i in range(out.shape[2]):
        across[i] = math.exp(-0.5 * scale * (left + i) ** 2)
    for j in range(out.shape[1]):
        dy = top + j
        line = math.exp(-0.5 * scale * dy * dy)
        for i in range(out.shape[2]):
            dx = left + i
            squared = dx * dx + dy * dy
            value = line * across[i] if squared <= support * support else 0.0
            out[0, j, i] = value
            out[1, j, i] = value * dx * scale
            out[2, j, i] = value * dy * scale
            out[3, j, i] = value * squared * scale


GAUSSIAN = Profile(
    name="gaussian",
    height=height,
    half_share=HALF_SHARE,
    gaussian=True,
    left_out=math.exp(-(4.25**2) / 2),  # 1.2e-4, far below the noise of any image in which droplets can be measured
    automatic=True,
    support_px=support_px,
    half_radius_px=half_radius_px,
    compiled=CompiledProfile(GaussianShape, lambda shape: GaussianShape(), _height, _point, _columns),
)
