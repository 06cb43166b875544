"""Flat disc behind optics: height erfc(u / sqrt 2) / 2 with u = (s - r) / w, s = (d^2 + w^2)^(1/2), w the edge in px.

A hard disc of radius r, blurred by a Gaussian of standard deviation w, is at the distance d as high as a point there,
displaced by that Gaussian, is likely to fall within r. Its distance from the centre is then a number of Rice's, whose
median is s to third order in w / d and whose standard deviation is w (Rice, *Mathematical analysis of random noise*,
1945). For r of 5 w and more the height is within 0.003 of the exact one, Marcum's Q; for r of 2 w within 0.03.

So r is the radius of the droplet itself. The blurred outline bends inwards: the image is half as high at (r^2 -
w^2)^(1/2), nearer by w^2 / 2r. As a function of d^2 the height has no kink at the centre, however soft the edge.
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
    edge = shape[..., 0]
    away = torch.sqrt(squared * r.square() + edge.square()) - r
    return torch.special.erfc(away / (math.sqrt(2) * edge)) / 2


def support_px(r: Array, shape: Array, left_out: float) -> Array:
    """The distance at which u = c with erfc(c / sqrt 2) / 2 = left_out."""
    from scipy.special import ndtri

    return np.sqrt(np.square(r - float(ndtri(left_out)) * shape[0]) - shape[0] ** 2)


def half_radius_px(r: Array, shape: Array) -> Array:
    """Where the droplet, as drawn, is half as high as at its centre.

    With the normal distribution function Phi, the height is Phi(-u) and Phi(r / w - 1) at the centre, so that u is
    -Phi^-1(Phi(r / w - 1) / 2) there.
    """
    from scipy.special import ndtr, ndtri

    edge = shape[0]
    u = -ndtri(ndtr(r / edge - 1) / 2)
    return np.asarray(np.sqrt(np.square(r + u * edge) - edge**2))


def sharp_radius_px(r: Array, shape: Array) -> Array:
    """Where the droplet itself ends: r."""
    return np.asarray(r + 0 * shape[0])


def heights_at(distance: Array, r: Array, shape: Array) -> Array:
    """Height at distances (N, K) in px of droplets of radius r (N,); torch's erfc is slow on one thread."""
    from scipy.special import ndtr

    return np.asarray(ndtr((r[:, None] - np.hypot(distance, shape[0])) / shape[0]))


class DiscShape(NamedTuple):
    """The width of the edge in px."""

    edge: float


_ROOT_HALF, _ROOT_2PI = math.sqrt(0.5), math.sqrt(2 * math.pi)


def _height(squared: float, r: float, shape: DiscShape) -> float:
    u = (math.sqrt(squared + shape.edge * shape.edge) - r) / shape.edge
    return 0.5 * math.erfc(u * _ROOT_HALF) if u > -9.0 else 1.0


def _point(dx: float, dy: float, r: float, shape: DiscShape, out: Any) -> None:
    w = shape.edge
    s = math.sqrt(dx * dx + dy * dy + w * w)
    u = (s - r) / w
    if abs(u) < 9.0:
        value = 0.5 * math.erfc(u * _ROOT_HALF)
        bell = math.exp(-0.5 * u * u) / _ROOT_2PI
    else:
        value = 1.0 if u < 0.0 else 0.0
        bell = 0.0
    slope = -bell / (2.0 * s * w)
    out[0] = value
    out[1] = -2.0 * dx * slope
    out[2] = -2.0 * dy * slope
    out[3] = bell * r / w
    out[4] = bell * (u - w / s)


DISC = Profile(
    name="disc",
    height=height,
    parameters=(EDGE,),
    left_out=LEFT_OUT,
    automatic=True,
    support_px=support_px,
    half_radius_px=half_radius_px,
    sharp_radius_px=sharp_radius_px,
    compiled=CompiledProfile(DiscShape, lambda shape: DiscShape(float(shape[0])), _height, _point),
)
