"""Flat disc behind optics: height erfc(u / sqrt 2) / 2 with u = (m - r) / s, w the width of the edge in px, and

    m^2 = d^2 + w^2 (1 + A / (1 + B p)),   s = w (1 - C / (1 + D p)),   p = d^2 / w^2.

A hard disc of radius r, blurred by a Gaussian of standard deviation w, is at the distance d as high as a point there,
displaced by that Gaussian, is likely to fall within r: Marcum's Q. The distance of that point from the centre is a
number of Rice's (*Mathematical analysis of random noise*, 1945), of median (d^2 + w^2)^(1/2) and standard deviation w
to third order in w / d. A to D carry both on to d = 0. They are those of the least squares between this height and the
exact one over the plane, for r of 1 to 8 w, and between what either makes of radius and amplitude: from r = 2 w on a
droplet's radius is right to 0.007 of itself and its amplitude to 0.008, from 5 w on to 0.0005 and 0.0012.

So r is the radius of the droplet itself. The blurred outline bends inwards: the image is half as high at about (r^2 -
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
# Of the least squares that the module speaks of.
MEDIAN_A, MEDIAN_B, SPREAD_C, SPREAD_D = 0.3253, 0.5588, 0.2635, 0.758
_HALVINGS = 45
# erfc(4.2 / sqrt 2) / 2, 1.3e-5: far below the noise of any image in which droplets can be measured.
LEFT_OUT = math.erfc(4.2 / math.sqrt(2)) / 2


def height(squared: Tensor, r: Tensor, shape: Tensor) -> Tensor:
    """Flat disc with a soft edge of width shape[..., 0] px; r and shape broadcast against squared."""
    edge = shape[..., 0]
    share = (r / edge).square()
    p = squared * share
    median = torch.sqrt(p + 1 + MEDIAN_A / (1 + MEDIAN_B * p))
    spread = 1 - SPREAD_C / (1 + SPREAD_D * p)
    return torch.special.erfc((median - r / edge) / (math.sqrt(2) * spread)) / 2


def support_px(r: Array, shape: Array, left_out: float) -> Array:
    """The distance at which u = c with erfc(c / sqrt 2) / 2 = left_out, if A = C = 0; no nearer than where it is."""
    from scipy.special import ndtri

    edge = shape[..., 0]
    return np.asarray(np.sqrt(np.square(r - float(ndtri(left_out)) * edge) - edge**2))


def half_radius_px(r: Array, shape: Array) -> Array:
    """Where the droplet, as drawn, is half as high as at its centre.

    With the normal distribution function Phi, the height is Phi(-u), and u is -Phi^-1(Phi(-u_0) / 2) there, u_0 that at
    the centre. Found by halving.
    """
    from scipy.special import ndtr, ndtri

    edge = shape[..., 0]
    most = -ndtri(ndtr(-_steps(np.zeros(1), r / edge)) / 2)
    low, high = np.zeros(np.shape(r)), np.asarray(r / edge + most)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        nearer = _steps(np.square(middle), r / edge) < most
        low, high = np.where(nearer, middle, low), np.where(nearer, high, middle)
    return np.asarray(edge * (low + high) / 2)


def _steps(p: Array, r: Array) -> Array:
    """The number u of the squared distance p and the radius, both for an edge of 1 px."""
    median = np.sqrt(p + 1 + MEDIAN_A / (1 + MEDIAN_B * p))
    return np.asarray((median - r) / (1 - SPREAD_C / (1 + SPREAD_D * p)))


def sharp_radius_px(r: Array, shape: Array) -> Array:
    """Where the droplet itself ends: r."""
    return np.asarray(r + 0 * shape[..., 0])


def heights_at(distance: Array, r: Array, shape: Array) -> Array:
    """Height at distances (N, K) in px of droplets of radius r (N,); torch's erfc is slow on one thread."""
    from scipy.special import ndtr

    edge = shape[..., :1]
    return np.asarray(ndtr(-_steps(np.square(distance / edge), r[:, None] / edge)))


class DiscShape(NamedTuple):
    """The width of the edge in px."""

    edge: float


_ROOT_HALF, _ROOT_2PI = math.sqrt(0.5), math.sqrt(2 * math.pi)


def _height(squared: float, r: float, shape: DiscShape) -> float:
    p, ratio = squared / (shape.edge * shape.edge), r / shape.edge
    median = math.sqrt(p + 1.0 + MEDIAN_A / (1.0 + MEDIAN_B * p))
    u = (median - ratio) / (1.0 - SPREAD_C / (1.0 + SPREAD_D * p))
    return 0.5 * math.erfc(u * _ROOT_HALF) if u > -9.0 else 1.0


def _point(dx: float, dy: float, r: float, shape: DiscShape, out: Any) -> None:
    w = shape.edge
    p, ratio = (dx * dx + dy * dy) / (w * w), r / w
    near, far = 1.0 / (1.0 + MEDIAN_B * p), 1.0 / (1.0 + SPREAD_D * p)
    median, spread = math.sqrt(p + 1.0 + MEDIAN_A * near), 1.0 - SPREAD_C * far
    u = (median - ratio) / spread
    if abs(u) < 9.0:
        value = 0.5 * math.erfc(u * _ROOT_HALF)
        bell = math.exp(-0.5 * u * u) / _ROOT_2PI
    else:
        value = 1.0 if u < 0.0 else 0.0
        bell = 0.0
    # The derivative of u by p.
    by_p = (0.5 * (1.0 - MEDIAN_A * MEDIAN_B * near * near) / median - u * SPREAD_C * SPREAD_D * far * far) / spread
    slope = -bell * by_p / (w * w)
    out[0] = value
    out[1] = -2.0 * dx * slope
    out[2] = -2.0 * dy * slope
    out[3] = bell * ratio / spread
    out[4] = bell * (2.0 * p * by_p - ratio / spread)


def edge_at(squared: Array, r: float, width: float, out: Array) -> None:
    """A disc at squared distances in px^2, (n,), for Numba: into out, (4, n), the height, its derivative by the number
    p of the module, and those by log r and by the log of the edge's width.

    With the normal density b(u), the height is b(u) M(u) for u > 0, and 1 - b(u) M(-u) else, M being Mills' ratio. It
    is taken for a polynomial of 1 / (1 + u / 4), and b for the sixteenth power of one of u^2 / 32, each through
    Chebyshev's points: right to 2e-10. Beyond 7 edges, where 1e-12 is left, nothing changes any more. There is
    no branch in it, so that the processor does several pixels at a time.
    """
    ratio, scale = r / width, 1.0 / (width * width)
    for i in range(squared.shape[0]):
        p = squared[i] * scale
        near, far = 1.0 / (1.0 + MEDIAN_B * p), 1.0 / (1.0 + SPREAD_D * p)
        median, spread = math.sqrt(p + 1.0 + MEDIAN_A * near), 1.0 - SPREAD_C * far
        u = (median - ratio) / spread
        size = min(abs(u), 7.0)
        h = size * size / 32.0
        e = 1.38802924456e-3 + h * (
            -1.9733385001e-4 + h * (2.39192815466e-5 + h * (-2.29476558e-6 + h * 1.298710779e-7))
        )
        e = -0.166666639541 + h * (4.16665233019e-2 + h * (-8.33288983231e-3 + h * e))
        e = 0.999999999999 + h * (-0.9999999999 + h * (0.499999997362 + h * e))
        e *= e
        e *= e
        e *= e
        bell = e * e / _ROOT_2PI
        t = 1.0 / (1.0 + 0.25 * size)
        mills = -1.07809783742 + t * (1.1675761766 + t * (-0.565770739319 + t * 0.0985088235811))
        mills = 0.34600042557 + t * (-0.165999811073 + t * (0.97037110965 + t * mills))
        mills = -1.17285643522e-4 + t * (0.252403675305 + t * (0.228439600567 + t * mills))
        out[0, i] = bell * mills if u > 0.0 else 1.0 - bell * mills
        bell = bell / spread if size < 7.0 else 0.0
        by_p = bell * (0.5 * (1.0 - MEDIAN_A * MEDIAN_B * near * near) / median - u * SPREAD_C * SPREAD_D * far * far)
        out[1, i] = -by_p
        out[2, i] = bell * ratio
        out[3, i] = 2.0 * p * by_p - bell * ratio


def window_of_edge(left: float, top: float, r: float, width: float, support: float, high: int, wide: int) -> Array:
    """For Numba: of a window of pixels, (6, high * wide), the squared distances in px^2, 1 within the support and 0
    beyond, and what ``edge_at`` says.
    """
    window = np.empty((6, high * wide))
    for j in range(high):
        for i in range(wide):
            squared = (left + i) * (left + i) + (top + j) * (top + j)
            window[0, j * wide + i] = squared
            window[1, j * wide + i] = 1.0 if squared <= support * support else 0.0
    edge_at(window[0], r, width, window[2:])
    return window


def _columns(left: float, top: float, r: float, shape: DiscShape, support: float, out: Any) -> None:
    high, wide = out.shape[1:]
    window = window_of_edge(left, top, r, shape.edge, support, high, wide)
    by_squared = -2.0 / (shape.edge * shape.edge)
    for j in range(high):
        for i in range(wide):
            n = j * wide + i
            inside, by_p = window[1, n], window[3, n]
            out[0, j, i] = inside * window[2, n]
            out[1, j, i] = inside * by_squared * (left + i) * by_p
            out[2, j, i] = inside * by_squared * (top + j) * by_p
            out[3, j, i] = inside * window[4, n]
            out[4, j, i] = inside * window[5, n]


DISC = Profile(
    name="disc",
    height=height,
    parameters=(EDGE,),
    left_out=LEFT_OUT,
    automatic=True,
    support_px=support_px,
    half_radius_px=half_radius_px,
    sharp_radius_px=sharp_radius_px,
    compiled=CompiledProfile(DiscShape, lambda shape: DiscShape(float(shape[0])), _height, _point, _columns),
)
