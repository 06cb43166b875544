"""A core in a rim behind optics, as droplets look in bright field: height (D - C + b C) / n.

D is the disc of radius r with an edge of width w (``disc``), C the core, a disc of radius c = (1 - t) r with an edge of
width s, both in px, so that D - C is the rim, the t-th part of the radius. The core is b times as high: less than 0
where it is bright and the rim is dark, 0 in a ring, and 1 in a disc. n is what optics leave of a rim so thin,

    n = erf(t r / (8^(1/2) m)),   m^2 = (w^2 + s^2) / 2,

so that the amplitude is the height of the rim as the image has it, and a thin rim is a ring of normal section. r is the
radius of the droplet itself, as of a disc.

``shape`` is w, s, b and t.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.rendering.profiles import disc
from pyrodrop.rendering.profiles.disc import MEDIAN_A, MEDIAN_B, SPREAD_C, SPREAD_D, window_of_edge
from pyrodrop.rendering.profiles.from_height import half_height_distance
from pyrodrop.rendering.profiles.profile import CompiledProfile, Profile, ShapeParameter
from pyrodrop.rendering.profiles.rim import rim_half_radius

Array = NDArray[np.float64]
CORE_EDGE = disc.EDGE._replace(name="core_edge")
CORE = ShapeParameter("core", sd=1.0)
# Nine of ten rims are between a twentieth and two thirds of the radius. Where all are much thinner than their edges are
# wide, they look as of one section whatever the radius.
THICKNESS = ShapeParameter("thickness", sd=0.75, mean=math.log(0.2), log=True, bounds=(0.005, 0.95))


def height(squared: Tensor, r: Tensor, shape: Tensor) -> Tensor:
    """Rim and core; r and shape (..., 4) broadcast against squared."""
    edge, core_edge, core, thickness = shape.unbind(-1)
    share = 1 - thickness
    inner = disc.height(squared / share.square(), share * r, core_edge[..., None])
    spread = torch.sqrt((edge.square() + core_edge.square()) / 2)
    left = torch.erf(thickness * r / (math.sqrt(8) * spread))
    return (disc.height(squared, r, shape) + (core - 1) * inner) / left


def heights_at(distance: Array, r: Array, shape: Array) -> Array:
    """The same at distances (N, K) in px of droplets of radius r (N,), shape (4,) or (N, 4)."""
    inner = disc.heights_at(distance, core_of(r, shape), shape[..., 1:2])
    outer = disc.heights_at(distance, r, shape)
    return np.asarray((outer + (shape[..., 2:3] - 1) * inner) / _left(r, shape)[:, None])


def core_of(r: Array, shape: Array) -> Array:
    """Radius of the core, px, (N,)."""
    return np.asarray((1 - shape[..., 3]) * r)


def _left(r: Array, shape: Array) -> Array:
    """What optics leave of the rim's height, (N,)."""
    from scipy.special import erf

    return np.asarray(erf(shape[..., 3] * r / np.sqrt(4 * (shape[..., 0] ** 2 + shape[..., 1] ** 2))))


def support_px(r: Array, shape: Array, left_out: float) -> Array:
    """Where each of the two discs has fallen to half of what may be left out, if the rim is as thin as it is."""
    from scipy.special import ndtri

    beyond = -ndtri(left_out * _left(r, shape) / 2)
    ends = np.stack([r + beyond * shape[..., 0], core_of(r, shape) + beyond * shape[..., 1]])
    return np.asarray(ends.max(0))


def half_radius_px(r: Array, shape: Array) -> Array:
    """Where rim and core together have fallen to half of what is highest, outside of it; a core of the other sign has
    no say.
    """
    return half_height_distance(lambda *those: np.maximum(heights_at(*those), 0.0), r, shape)


def sharp_radius_px(r: Array, shape: Array) -> Array:
    """Where the droplet itself ends: r, or at its core if the rim is less than half as high."""
    return np.where(shape[..., 2] > 2, core_of(r, shape), r)


def core_radius_px(r: Array, shape: Array) -> Array:
    """Where a core of the other sign than its rim ends, as drawn: NaN without one; see ``rim``."""
    return np.where(shape[..., 2] < 0, rim_half_radius(_flat, _turned, r, shape), np.nan)


def sharp_core_radius_px(r: Array, shape: Array) -> Array:
    """Where it ends before optics blur it."""
    return np.where(shape[..., 2] < 0, core_of(r, shape), np.nan)


def _flat(distance: Array, r: Array, shape: Array) -> Array:
    return np.ones_like(distance)


def _turned(distance: Array, r: Array, shape: Array) -> Array:
    return -heights_at(distance, r, shape)


class RimmedShape(NamedTuple):
    """The width of the edges of droplet and core in px, the core's height, and the rim's share of the radius."""

    edge: float
    core_edge: float
    core: float
    thickness: float


_ROOT_HALF, _ROOT_2PI, _ROOT_PI = math.sqrt(0.5), math.sqrt(2 * math.pi), math.sqrt(math.pi)


def _height(squared: float, r: float, shape: RimmedShape) -> float:
    radius, width, inner, outer = (1.0 - shape.thickness) * r, shape.core_edge, 0.0, 0.0
    for _ in range(2):
        inner = outer
        p, ratio = squared / (width * width), radius / width
        median = math.sqrt(p + 1.0 + MEDIAN_A / (1.0 + MEDIAN_B * p))
        u = (median - ratio) / (1.0 - SPREAD_C / (1.0 + SPREAD_D * p))
        outer = 0.5 * math.erfc(u * _ROOT_HALF) if u > -9.0 else 1.0
        radius, width = r, shape.edge
    spread = math.sqrt(shape.edge * shape.edge + shape.core_edge * shape.core_edge)
    return (outer + (shape.core - 1.0) * inner) / math.erf(0.5 * shape.thickness * r / spread)


def _point(dx: float, dy: float, r: float, shape: RimmedShape, out: Any) -> None:
    t, squared = shape.thickness, dx * dx + dy * dy
    both = shape.edge * shape.edge + shape.core_edge * shape.core_edge
    z = 0.5 * t * r / math.sqrt(both)
    left = math.erf(z)
    # How the logarithm of what is left changes with that of z.
    by_z = 2.0 / _ROOT_PI * math.exp(-z * z) * z / left
    radius, width, weight = r, shape.edge, 1.0 / left
    whole, slope, by_r, by_core = 0.0, 0.0, 0.0, 0.0
    for k in range(2):
        p, ratio = squared / (width * width), radius / width
        near, far = 1.0 / (1.0 + MEDIAN_B * p), 1.0 / (1.0 + SPREAD_D * p)
        median, spread = math.sqrt(p + 1.0 + MEDIAN_A * near), 1.0 - SPREAD_C * far
        u = (median - ratio) / spread
        if abs(u) < 9.0:
            value = 0.5 * math.erfc(u * _ROOT_HALF)
            bell = math.exp(-0.5 * u * u) / _ROOT_2PI
        else:
            value = 1.0 if u < 0.0 else 0.0
            bell = 0.0
        by_p = (0.5 * (1.0 - MEDIAN_A * MEDIAN_B * near * near) / median - u * SPREAD_C * SPREAD_D * far * far) / spread
        slope -= weight * bell * by_p / (width * width)
        by_core = weight * bell * ratio / spread
        by_r += by_core
        whole += weight * value
        out[4 + k] = weight * bell * (2.0 * p * by_p - ratio / spread)
        out[6] = value / left
        radius, width, weight = (1.0 - t) * r, shape.core_edge, (shape.core - 1.0) / left
    out[0] = whole
    out[1] = -2.0 * dx * slope
    out[2] = -2.0 * dy * slope
    out[3] = by_r - whole * by_z
    out[4] += whole * by_z * shape.edge * shape.edge / both
    out[5] += whole * by_z * shape.core_edge * shape.core_edge / both
    out[7] = -by_core * t / (1.0 - t) - whole * by_z


def _columns(left: float, top: float, r: float, shape: RimmedShape, support: float, out: Any) -> None:
    t, edge, core_edge, (high, wide) = shape.thickness, shape.edge, shape.core_edge, out.shape[1:]
    outer = window_of_edge(left, top, r, edge, support, high, wide)
    inner = window_of_edge(left, top, (1.0 - t) * r, core_edge, support, high, wide)
    both = edge * edge + core_edge * core_edge
    z = 0.5 * t * r / math.sqrt(both)
    rim = 1.0 / math.erf(z)
    core = (shape.core - 1.0) * rim
    by_z = 2.0 / _ROOT_PI * math.exp(-z * z) * z * rim
    for j in range(high):
        for i in range(wide):
            n = j * wide + i
            w, c = outer[1, n] * rim, outer[1, n] * core
            whole = w * outer[2, n] + c * inner[2, n]
            slope = w * outer[3, n] / (edge * edge) + c * inner[3, n] / (core_edge * core_edge)
            by_core = c * inner[4, n]
            out[0, j, i] = whole
            out[1, j, i] = -2.0 * (left + i) * slope
            out[2, j, i] = -2.0 * (top + j) * slope
            out[3, j, i] = w * outer[4, n] + by_core - whole * by_z
            out[4, j, i] = w * outer[5, n] + whole * by_z * edge * edge / both
            out[5, j, i] = c * inner[5, n] + whole * by_z * core_edge * core_edge / both
            out[6, j, i] = w * inner[2, n]
            out[7, j, i] = -by_core * t / (1.0 - t) - whole * by_z


RIMMED = Profile(
    name="rimmed",
    height=height,
    parameters=(disc.EDGE, CORE_EDGE, CORE, THICKNESS),
    left_out=disc.LEFT_OUT,
    automatic=True,
    support_px=support_px,
    half_radius_px=half_radius_px,
    sharp_radius_px=sharp_radius_px,
    other_radius_px=(core_radius_px, sharp_core_radius_px),
    compiled=CompiledProfile(RimmedShape, lambda shape: RimmedShape(*map(float, shape)), _height, _point, _columns),
)
