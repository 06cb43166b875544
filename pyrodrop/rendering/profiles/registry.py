"""The profiles of a droplet: how its height falls with the distance from its centre.

A profile is a function f(q; r, shape) of the squared distance over the squared radius q, smooth everywhere, the centre
included. ``shape`` holds what all droplets of an image share:

- ``gaussian``: none. f = exp(-q / 2).
- ``disc``: the width w of the edge in px. f = erfc(u / sqrt 2) / 2 with u = (q - 1) r / (2 w), which is half exactly
  at the distance r and falls there as a step does that is blurred by a Gaussian of standard deviation w: u is
  (distance - r) / w to first order. As a function of q it has no kink at the centre, however soft the edge.
- ``radial``: w, then the heights v_0 ... v_4 of a curve over q at ``KNOTS``. f = disc * (1 + s(q) - mean of s over the
  disc), s being the natural cubic spline through the heights, continued linearly past the edge. Equal distances in q
  are equal areas, so the knots are densest near the rim. v = 0 is the disc; heights that rise make a rim, heights
  that fall a dome. The mean over the disc is 1, so that the amplitude is the mean height of the droplet within r; a
  constant added to all heights changes nothing.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

KNOTS = (0.0, 0.25, 0.5, 0.75, 1.0)
# Numbers in ``shape``.
SHAPES = {"gaussian": 0, "disc": 1, "radial": 1 + len(KNOTS)}
# Distance in radii at which a profile has fallen to half its height at the centre; of radial, for a flat curve.
HALF_RADIUS = {"gaussian": math.sqrt(2 * math.log(2)), "disc": 1.0, "radial": 1.0}


def gaussian(squared: Tensor, r: Tensor, shape: Tensor | None = None) -> Tensor:
    """Gaussian profile exp(-q / 2) of the squared distance over squared radius q, as in the post."""
    return torch.exp(-squared / 2)


def disc(squared: Tensor, r: Tensor, shape: Tensor) -> Tensor:
    """Flat disc with a soft edge of width shape[..., 0] px; r and shape broadcast against squared."""
    return torch.special.erfc((squared - 1) * r / (2 * math.sqrt(2) * shape[..., 0])) / 2


def radial(squared: Tensor, r: Tensor, shape: Tensor) -> Tensor:
    """Disc times the curve through the heights shape[..., 1:], whose mean over the disc is 1."""
    basis = torch.tensor(curve_basis(), dtype=shape.dtype, device=shape.device)
    powers = torch.einsum("pck,...k->...pc", basis, shape[..., 1:])
    step = KNOTS[1]
    # The last piece, number 4, is the straight line past the edge.
    piece = (squared.detach() / step).floor().clamp(0, len(KNOTS) - 1).long()
    t = squared - piece * step
    curve = torch.ones_like(squared)
    for p in range(len(KNOTS)):
        cubic = sum(powers[..., p, c] * t**c for c in range(4))
        curve = torch.where(piece == p, 1 + cubic, curve)
    return disc(squared, r, shape) * curve


PROFILES: dict[str, Callable[..., Tensor]] = {"gaussian": gaussian, "disc": disc, "radial": radial}


def half_radius(profile: str, r: NDArray[np.float64], shape: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance in px at which a droplet falls to half its height: the radius that a person reads.

    The height is the mean over the core, which ends half the rim's width before the steepest place: all of a flat
    disc, the very middle of a dome, so that a dome does not read smaller for its top. Around a droplet whose rim dips
    below the background, as light bent by it does, the edge is where the background is passed; between no dip and one
    of half the height, in between. For "disc" with an edge that is sharp beside the radius this is r, and for
    "gaussian" r sqrt(2 log 2). Where edge and curve of "radial" can stand for each other, as on soft droplets, r
    alone says little, and this is what is seen.

    Args:
        profile: name of the profile.
        r: radii in px, shape (N,).
        shape: the renderer's shape parameters, shape (S,).
    """
    radii = np.asarray(r, dtype=np.float64)
    if profile == "gaussian":
        return radii * HALF_RADIUS[profile]
    distance = np.sqrt(radii**2 + 10 * radii * float(shape[0]))[:, None] * np.linspace(0, 1, _SAMPLES)
    squared = np.square(distance / radii[:, None])
    return np.array(
        [_half(*each) for each in zip(distance, _heights(profile, squared, radii, shape), radii, strict=True)]
    )


def _heights(
    profile: str, squared: NDArray[np.float64], r: NDArray[np.float64], shape: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Profile with an edge at (N, K) squared distances over squared radius; torch's erfc is slow on one thread."""
    from scipy.special import erfc

    flat = erfc((squared - 1) * r[:, None] / (2 * math.sqrt(2) * shape[0])) / 2
    if profile == "disc":
        return np.asarray(flat)
    powers = curve_basis() @ shape[1:]
    piece = np.minimum(squared / KNOTS[1], len(KNOTS) - 1).astype(int)
    t = squared - piece * KNOTS[1]
    return np.asarray(flat * (1 + sum(powers[piece, c] * t**c for c in range(4))))


# Least and most radii of the rim over which a droplet's height is averaged, and the dip below the background, in
# heights, of a rim that is nothing but a fringe.
_CORE, _FRINGE = (0.25, 0.85), 0.5
_SAMPLES = 600


def _half(distance: NDArray[np.float64], heights: NDArray[np.float64], radius: float) -> float:
    """Where heights sampled at distances from the centre fall to half; the radius where there is no height."""
    falling = -np.gradient(heights, distance)
    steepest = int(np.argmax(falling))
    rim = float(distance[steepest])
    height = float(heights[distance <= _CORE[0] * rim].mean())
    if height <= 0 or falling[steepest] <= 0:
        return radius
    core = distance <= rim * min(max(1 - height / (2 * rim * falling[steepest]), _CORE[0]), _CORE[1])
    height = float(np.average(heights[core], weights=distance[core] + distance[1]))
    dip = max(-float(heights[steepest:].min()) / height, 0.0)
    over = heights - height / 2 * max(0.0, 1 - dip / _FRINGE)
    crossings = np.flatnonzero((over[:-1] > 0) & (over[1:] <= 0))
    if not len(crossings):
        return radius
    at = distance[crossings] + distance[1] * over[crossings] / (over[crossings] - over[crossings + 1])
    return float(at[np.argmin(np.abs(at - rim))])


@lru_cache(maxsize=1)
def curve_basis() -> NDArray[np.float64]:
    """Coefficients of the curve: shape (pieces, 4, knots), float64.

    On piece p, with t = q - KNOTS[p], the curve less 1 is sum_c t^c sum_k basis[p, c, k] v_k. The last piece reaches
    from the edge to infinity and is straight.
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
