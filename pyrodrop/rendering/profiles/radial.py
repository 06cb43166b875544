"""The disc with a radial curve: flat, domed or rimmed, height disc * (1 + s(q) - mean of s over the disc).

q is the squared distance over the squared radius, and s the natural cubic spline through the heights v_0 ... v_4 at
``KNOTS``, continued past the edge as a straight line over the distance. Equal distances in q are equal areas, so the
knots are densest near the rim. v = 0 is the disc; heights that rise make a rim, heights that fall a dome. The mean over
the disc is 1, so that the amplitude is the mean height of the droplet within r; a constant added to all heights changes
nothing.

``shape`` is the width of the edge in px and the five heights.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.rendering.profiles import disc
from pyrodrop.rendering.profiles.disc import MEDIAN_A, MEDIAN_B, SPREAD_C, SPREAD_D, window_of_edge
from pyrodrop.rendering.profiles.profile import CompiledProfile, Profile, ShapeParameter
from pyrodrop.rendering.profiles.rim import outer_edge, rim_half_radius

Array = NDArray[np.float64]
KNOTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_SHARP = 1e-3  # width of an edge, in radii, that moves no outline by as much as a millionth


def height(squared: Tensor, r: Tensor, shape: Tensor) -> Tensor:
    """Disc times the curve through the heights shape[..., 1:], whose mean over the disc is 1."""
    basis = torch.tensor(curve_basis(), dtype=shape.dtype, device=shape.device)
    powers = torch.einsum("pck,...k->...pc", basis, shape[..., 1:])
    step = KNOTS[1]
    piece = (squared.detach() / step).floor().clamp(0, len(KNOTS) - 1).long()
    # The last piece, number 4, is the straight line past the edge: over q it would run away from small, soft droplets.
    past = 2 * (squared.clamp(min=1.0).sqrt() - 1)
    t = torch.where(piece == len(KNOTS) - 1, past, squared - piece * step)
    curve = torch.ones_like(squared)
    for p in range(len(KNOTS)):
        cubic = sum(powers[..., p, c] * t**c for c in range(4))
        curve = torch.where(piece == p, 1 + cubic, curve)
    return disc.height(squared, r, shape) * curve


@lru_cache(maxsize=1)
def curve_basis() -> Array:
    """Coefficients of the curve: shape (pieces, 4, knots), float64.

    On piece p, with t = q - KNOTS[p], the curve less 1 is sum_c t^c sum_k basis[p, c, k] v_k. The last piece reaches
    from the edge to infinity and is straight, with t = 2 (q^(1/2) - 1).
    """
    from scipy.interpolate import CubicSpline

    knots = np.array(KNOTS)
    basis = np.zeros((len(knots), 4, len(knots)))
    for k, heights in enumerate(np.eye(len(knots))):
        spline = CubicSpline(knots, heights, bc_type="natural")
        basis[:-1, :, k] = spline.c[::-1].T
        basis[-1, :2, k] = spline(1.0), spline(1.0, 1)
        basis[:, 0, k] -= spline.integrate(0.0, 1.0)
    basis.flags.writeable = False
    return basis


def half_radius_px(r: Array, shape: Array) -> Array:
    """Half of the mean height of the core, so that a dome does not read smaller for its top; see ``rim``.

    Of a flat curve it is the disc's.
    """
    return rim_half_radius(disc.heights_at, _curve_at, r, shape)


def outer_radius_px(r: Array, shape: Array) -> Array:
    """Where the rim around a core ends, NaN without one; see ``rim``."""
    return outer_edge(disc.heights_at, _curve_at, r, shape)


def sharp_radius_px(r: Array, shape: Array) -> Array:
    """Half of the height, of the same curve over a sharp disc, but no further out than optics hide of a disc."""
    return np.minimum(half_radius_px(r, _sharp(r, shape)), half_radius_px(r, shape) + _hidden(r, shape))


def sharp_outer_radius_px(r: Array, shape: Array) -> Array:
    """The end of the rim, of the same curve over a sharp disc, but no further out than optics hide of a disc."""
    return np.minimum(outer_radius_px(r, _sharp(r, shape)), outer_radius_px(r, shape) + _hidden(r, shape))


def _hidden(r: Array, shape: Array) -> Array:
    """By how much optics bend the outline of a disc inwards, px, (N,): about w^2 / 2r. That of a rim they bend less, or
    outwards; what is more is a curve that does not describe the droplets.
    """
    return np.asarray(r - disc.half_radius_px(r, shape))


def _sharp(r: Array, shape: Array) -> Array:
    least = _SHARP * float(r.min(initial=np.inf))
    return np.concatenate([np.minimum(shape[..., :1], least), shape[..., 1:]], -1)


def _curve_at(distance: Array, r: Array, shape: Array) -> Array:
    """Curve over the disc at distances (N, K) in px."""
    squared = np.square(distance / r[:, None])
    # Of the curve of all, or of each droplet, (N or 1, pieces, 4).
    powers = np.einsum("pck,nk->npc", curve_basis(), shape[..., 1:].reshape(-1, len(KNOTS)))
    own = np.arange(len(powers))[:, None]
    piece = np.minimum(squared / KNOTS[1], len(KNOTS) - 1).astype(int)
    t = np.where(piece == len(KNOTS) - 1, 2 * (np.sqrt(np.maximum(squared, 1.0)) - 1), squared - piece * KNOTS[1])
    return np.asarray(1 + sum(powers[own, piece, c] * t**c for c in range(4)))


class RadialShape(NamedTuple):
    """The width of the edge in px, the curve's coefficients (pieces, 4), and their basis (pieces, 4, knots)."""

    edge: float
    curve: Array
    basis: Array


def _pack(shape: Array) -> RadialShape:
    return RadialShape(float(shape[0]), curve_basis() @ shape[1:], curve_basis())


_ROOT_HALF, _ROOT_2PI = math.sqrt(0.5), math.sqrt(2 * math.pi)


def _height(squared: float, r: float, shape: RadialShape) -> float:
    curve = shape.curve
    far, ratio = squared / (shape.edge * shape.edge), r / shape.edge
    median = math.sqrt(far + 1.0 + MEDIAN_A / (1.0 + MEDIAN_B * far))
    u = (median - ratio) / (1.0 - SPREAD_C / (1.0 + SPREAD_D * far))
    value = 0.5 * math.erfc(u * _ROOT_HALF) if u > -9.0 else 1.0
    q = squared / (r * r)
    p = min(int(q * (curve.shape[0] - 1)), curve.shape[0] - 1)
    t = q - p / (curve.shape[0] - 1) if p < curve.shape[0] - 1 else 2.0 * (math.sqrt(q) - 1.0)
    return float(value * (1.0 + curve[p, 0] + t * (curve[p, 1] + t * (curve[p, 2] + t * curve[p, 3]))))


def _point(dx: float, dy: float, r: float, shape: RadialShape, out: Any) -> None:
    w, curve, basis = shape.edge, shape.curve, shape.basis
    squared = dx * dx + dy * dy
    far, ratio = squared / (w * w), r / w
    of_median = 1.0 / (1.0 + MEDIAN_B * far)
    of_spread = 1.0 / (1.0 + SPREAD_D * far)
    median, spread = math.sqrt(far + 1.0 + MEDIAN_A * of_median), 1.0 - SPREAD_C * of_spread
    u = (median - ratio) / spread
    if abs(u) < 9.0:
        value = 0.5 * math.erfc(u * _ROOT_HALF)
        bell = math.exp(-0.5 * u * u) / _ROOT_2PI
    else:
        value = 1.0 if u < 0.0 else 0.0
        bell = 0.0
    by_far = 0.5 * (1.0 - MEDIAN_A * MEDIAN_B * of_median * of_median) / median
    by_far = (by_far - u * SPREAD_C * SPREAD_D * of_spread * of_spread) / spread
    slope = -bell * by_far / (w * w)
    q = squared / (r * r)
    pieces = curve.shape[0] - 1
    p = min(int(q * pieces), pieces)
    t = q - p / pieces if p < pieces else 2.0 * (math.sqrt(q) - 1.0)
    g = 1.0 + curve[p, 0] + t * (curve[p, 1] + t * (curve[p, 2] + t * curve[p, 3]))
    rise = curve[p, 1] + t * (2.0 * curve[p, 2] + 3.0 * t * curve[p, 3])
    if p == pieces:
        rise /= math.sqrt(q)
    for k in range(basis.shape[2]):
        cubic = basis[p, 0, k] + t * (basis[p, 1, k] + t * (basis[p, 2, k] + t * basis[p, 3, k]))
        out[5 + k] = value * cubic
    slope = slope * g + value * rise / (r * r)
    out[0] = value * g
    out[1] = -2.0 * dx * slope
    out[2] = -2.0 * dy * slope
    out[3] = bell * ratio / spread * g - 2.0 * q * value * rise
    out[4] = bell * (2.0 * far * by_far - ratio / spread) * g


def _columns(left: float, top: float, r: float, shape: RadialShape, support: float, out: Any) -> None:
    """As ``_point``, without a branch, so that the processor does several pixels at a time.

    Up to q = 1 a cubic spline is the cubic of its first piece and, of each knot that is passed, the jump of the third
    coefficient times the cube of what lies beyond; then it is its value there and a straight line over sqrt(q) - 1.
    """
    (high, wide), curve, basis = out.shape[1:], shape.curve, shape.basis
    window = window_of_edge(left, top, r, shape.edge, support, high, wide)
    pieces, size, by_squared = curve.shape[0] - 1, high * wide, 1.0 / (shape.edge * shape.edge)
    # At each pixel q up to 1, the root of q from 1 on, height within the support, a spline, and its derivative by q.
    at = np.empty((5, size))
    for n in range(size):
        q = window[0, n] / (r * r)
        at[0, n], at[1, n], at[2, n] = min(q, 1.0), math.sqrt(max(q, 1.0)), window[1, n] * window[2, n]
    flat = out.reshape(out.shape[0], size)
    for k in range(basis.shape[2]):
        c = basis[:, :, k]
        for n in range(size):
            q = at[0, n]
            at[3, n] = c[0, 0] + q * (c[0, 1] + q * (c[0, 2] + q * c[0, 3])) + 2.0 * c[pieces, 1] * (at[1, n] - 1.0)
        for m in range(1, pieces):
            jump = c[m, 3] - c[m - 1, 3]
            for n in range(size):
                beyond = max(at[0, n] - m / pieces, 0.0)
                at[3, n] += jump * (beyond * beyond * beyond)
        for n in range(size):
            flat[5 + k, n] = at[2, n] * at[3, n]
    for n in range(size):
        q = at[0, n]
        at[3, n] = 1.0 + curve[0, 0] + q * (curve[0, 1] + q * (curve[0, 2] + q * curve[0, 3]))
        at[3, n] += 2.0 * curve[pieces, 1] * (at[1, n] - 1.0)
        at[4, n] = curve[0, 1] + q * (2.0 * curve[0, 2] + 3.0 * q * curve[0, 3])
    for m in range(1, pieces):
        jump = curve[m, 3] - curve[m - 1, 3]
        for n in range(size):
            beyond = max(at[0, n] - m / pieces, 0.0)
            at[3, n] += jump * (beyond * beyond * beyond)
            at[4, n] += 3.0 * jump * (beyond * beyond)
    for j in range(high):
        for i in range(wide):
            n = j * wide + i
            g, rise = window[1, n] * at[3, n], at[2, n] * at[4, n] / (at[1, n] * r * r)
            slope = window[3, n] * by_squared * g + rise
            out[0, j, i] = window[2, n] * g
            out[1, j, i] = -2.0 * (left + i) * slope
            out[2, j, i] = -2.0 * (top + j) * slope
            out[3, j, i] = window[4, n] * g - 2.0 * window[0, n] * rise
            out[4, j, i] = window[5, n] * g


RADIAL = Profile(
    name="radial",
    height=height,
    parameters=(disc.EDGE, ShapeParameter("curve", sd=1.0, entries=len(KNOTS))),
    left_out=disc.LEFT_OUT,
    automatic=True,
    support_px=disc.support_px,
    half_radius_px=half_radius_px,
    sharp_radius_px=sharp_radius_px,
    other_radius_px=(outer_radius_px, sharp_outer_radius_px),
    compiled=CompiledProfile(RadialShape, _pack, _height, _point, _columns),
)
