"""Flat disc with a soft edge: height erfc(u / sqrt 2) / 2 with u = (q - 1) r / (2 w), w the width of the edge in px.

It is half exactly at the distance r and falls there as a step does that is blurred by a Gaussian of standard deviation
w: u is (distance - r) / w to first order. As a function of q, the squared distance over the squared radius, it has no
kink at the centre, however soft the edge.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.rendering.profiles.profile import CompiledProfile, Profile, ShapeParameter

Array = NDArray[np.float64]
# No sharper edge can be told from another by pixels, and none is softer than a few of the smallest droplets.
EDGE = ShapeParameter("edge", sd=0.75, log=True, bounds=(0.2, 20.0), unit="px")
# erfc(4.2 / sqrt 2) / 2, 1.3e-5: far below the noise of any image in which droplets can be measured.
LEFT_OUT = math.erfc(4.2 / math.sqrt(2)) / 2


def height(squared: Tensor, r: Tensor, shape: Tensor) -> Tensor:
    """Flat disc with a soft edge of width shape[..., 0] px; r and shape broadcast against squared."""
    return torch.special.erfc((squared - 1) * r / (2 * math.sqrt(2) * shape[..., 0])) / 2


def support_px(r: Array, shape: Array, left_out: float) -> Array:
    """The distance at which u = c with erfc(c / sqrt 2) / 2 = left_out."""
    from scipy.special import ndtri

    return np.sqrt(r * r - 2.0 * float(ndtri(left_out)) * r * shape[0])


def half_radius_px(r: Array, shape: Array) -> Array:
    """Where the droplet is half as high as at its centre: r, but for edges that are soft beside the radius.

    With the normal distribution function Phi, the height is Phi(-u) and Phi(r / (2 w)) at the centre, so that u is
    -Phi^-1(Phi(r / (2 w)) / 2) there.
    """
    from scipy.special import ndtr, ndtri

    u = -ndtri(ndtr(r / (2 * shape[0])) / 2)
    return np.asarray(r * np.sqrt(1 + 2 * u * shape[0] / r))


def heights_at(distance: Array, r: Array, shape: Array) -> Array:
    """Height at distances (N, K) in px of droplets of radius r (N,); torch's erfc is slow on one thread."""
    from scipy.special import ndtr

    return np.asarray(ndtr((1 - np.square(distance / r[:, None])) * r[:, None] / (2 * shape[0])))


class DiscShape(NamedTuple):
    """The width of the edge in px."""

    edge: float


_ROOT_HALF, _ROOT_2PI = math.sqrt(0.5), math.sqrt(2 * math.pi)


def _height(squared: float, r: float, shape: DiscShape) -> float:
    u = (squared - r * r) / (2.0 * r * shape.edge)
    return 0.5 * math.erfc(u * _ROOT_HALF) if u > -9.0 else 1.0


def _point(dx: float, dy: float, r: float, shape: DiscShape, out: Any) -> None:
    squared = dx * dx + dy * dy
    w = shape.edge
    u = (squared - r * r) / (2.0 * r * w)
    if abs(u) < 9.0:
        value = 0.5 * math.erfc(u * _ROOT_HALF)
        bell = math.exp(-0.5 * u * u) / _ROOT_2PI
    else:
        value = 1.0 if u < 0.0 else 0.0
        bell = 0.0
    slope = -bell / (2.0 * r * w)
    out[0] = value
    out[1] = -2.0 * dx * slope
    out[2] = -2.0 * dy * slope
    out[3] = bell * (squared + r * r) / (2.0 * r * w)
    out[4] = bell * u


DISC = Profile(
    name="disc",
    height=height,
    parameters=(EDGE,),
    left_out=LEFT_OUT,
    automatic=True,
    support_px=support_px,
    half_radius_px=half_radius_px,
    compiled=CompiledProfile(DiscShape, lambda shape: DiscShape(float(shape[0])), _height, _point),
)
