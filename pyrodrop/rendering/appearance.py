"""Pictures of a droplet, shared by many: smooth functions on the disc of radius 1, and droplets drawn with them.

In units of the radius about its centre, u = (p - centre) / r, with q = |u|^2 and the angle t, a picture is

    P(u) = W(q) * sum_m sum_j (a_mj cos(m t) + b_mj sin(m t)) |u|^m B_j(q),    m = 0 to ``HIGHEST``,

with B_j the uniform cubic B-splines over q in [0, 1], and W the height of a hard disc of radius r behind optics of
width ``edge`` px (``profiles.disc``). So a picture can be round or rimmed (order 0), shaded from a side (1), across (2)
and parted in two halves (with order 3); every picture is smooth at the centre; equal distances in q are equal areas, so
that the splines are finest at the rim. Beyond it the smooth part keeps its value, and only the optics let it fall.

**What fixes centre and radius.** W ends every picture at |u| = 1, in every direction, within the few px of the optics,
while the smooth part cannot fall within less than a knot: the outline of each droplet is the circle of its centre and
radius, whatever is inside. Moving a droplet moves its outline, and no weights of smooth pictures undo that.

The coefficients are measured along axes in which the prior of smooth pictures is the unit normal: coefficients
a = T z with T T' = (G + l^4 D)^-1, where z' T' G T z is the mean square of the smooth part over the disc and D that of
its Laplacian, so that -log p(z) = (mean square of P + l^4 mean square of its Laplacian) / 2 + const, l = ``SMOOTH``.
"""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.rendering.profiles import disc

Array = NDArray[np.float64]

PIECES = 4  # of a radial spline: 7 splines, the last knots at 0.71, 0.87 and 1 radii
SPLINES = PIECES + 3
HIGHEST = 4  # angular order
ORDERS = (0, *(m for m in range(1, HIGHEST + 1) for _ in range(2)))  # cos and sin of each
ANGULAR = len(ORDERS)
COEFFICIENTS = ANGULAR * SPLINES
SMOOTH = 0.15  # length, in radii, below which the prior holds pictures smooth
# Beyond the rim by so many widths of the edge a picture is no longer drawn: it is below 3e-5 of its rim there.
REACH = 4.0


def radial_splines(q: Tensor) -> Tensor:
    """The uniform cubic B-splines at squared distances q in units of the squared radius, (..., SPLINES).

    They add up to one. q beyond 1 is taken as 1.
    """
    centres = torch.arange(-1, SPLINES - 1, dtype=q.dtype, device=q.device)
    away = (PIECES * q.clamp(max=1.0)[..., None] - centres).abs()
    near = (4 - 6 * away**2 + 3 * away**3) / 6
    return torch.where(away < 1, near, (2 - away).clamp(min=0.0) ** 3 / 6)


def radial_spline_slopes(q: Tensor) -> Tensor:
    """Derivatives of ``radial_splines`` by q, (..., SPLINES); 0 from the rim on."""
    centres = torch.arange(-1, SPLINES - 1, dtype=q.dtype, device=q.device)
    away = PIECES * q[..., None] - centres
    size = away.abs()
    slope = torch.where(size < 1, 1.5 * size**2 - 2 * size, -((2 - size).clamp(min=0.0) ** 2) / 2)
    return torch.where(q[..., None] < 1, PIECES * away.sign() * slope, torch.zeros_like(away))


def angular_factors(u: Tensor, v: Tensor) -> Tensor:
    """|u|^m cos(m t) and |u|^m sin(m t) of each order m, in the order of ``ORDERS``, (..., ANGULAR).

    They are the real and imaginary parts of (u + i v)^m. Beyond the rim they are those of the rim.
    """
    scale = (u * u + v * v).clamp(min=1.0).rsqrt()
    return torch.stack(_powers(u * scale, v * scale), -1)


def _powers(u: Tensor, v: Tensor) -> list[Tensor]:
    """1, and the real and imaginary part of (u + i v)^m for m from 1 to ``HIGHEST``."""
    real, imaginary = [torch.ones_like(u)], [torch.zeros_like(u)]
    for _ in range(HIGHEST):
        real, imaginary = (
            [*real, real[-1] * u - imaginary[-1] * v],
            [*imaginary, real[-1] * v + imaginary[-1] * u],
        )
    return [real[0], *(part for pair in zip(real[1:], imaginary[1:], strict=True) for part in pair)]


def _power_slopes(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of ``_powers`` by u and by v, (..., ANGULAR): those of z^m are m z^(m - 1) and i m z^(m - 1)."""
    powers = [torch.ones_like(u), torch.zeros_like(u), *_powers(u, v)[1:]]  # real and imaginary parts from m = 0 on
    by_u, by_v = [torch.zeros_like(u)], [torch.zeros_like(u)]
    for m in range(1, HIGHEST + 1):
        real, imaginary = powers[2 * m - 2], powers[2 * m - 1]
        by_u += [m * real, m * imaginary]
        by_v += [-m * imaginary, m * real]
    return torch.stack(by_u, -1), torch.stack(by_v, -1)


def smooth_parts(u: Tensor, v: Tensor, pictures: Tensor) -> Tensor:
    """The smooth part of pictures, without their edge, at points u, v: (..., *pictures.shape[:-1]).

    Args:
        u, v: in units of the radius from the centre, any shape.
        pictures: coefficients z, (..., COEFFICIENTS).
    """
    into = torch.as_tensor(np.array(whitening()), dtype=u.dtype, device=u.device)
    lead = pictures.shape[:-1]
    a = (pictures.reshape(-1, COEFFICIENTS) @ into.mT).reshape(-1, ANGULAR, SPLINES)
    radial = radial_splines(u * u + v * v) @ a.permute(2, 1, 0).reshape(SPLINES, -1)
    radial = radial.reshape(*u.shape, ANGULAR, a.shape[0])
    return (radial * angular_factors(u, v)[..., None]).sum(-2).reshape(*u.shape, *lead)


def smooth_slopes(u: Tensor, v: Tensor, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The smooth part of pictures and its derivatives by u and v, each (..., *pictures.shape[:-1]), as above."""
    into = torch.as_tensor(np.array(whitening()), dtype=u.dtype, device=u.device)
    lead = pictures.shape[:-1]
    a = (pictures.reshape(-1, COEFFICIENTS) @ into.mT).reshape(-1, ANGULAR, SPLINES)
    flat = a.permute(2, 1, 0).reshape(SPLINES, -1)
    q = u * u + v * v
    radial = (radial_splines(q) @ flat).reshape(*u.shape, ANGULAR, a.shape[0])
    steeper = (radial_spline_slopes(q) @ flat).reshape(radial.shape)
    angular = angular_factors(u, v)
    order = u.new_tensor(ORDERS)
    scale = q.clamp(min=1.0)[..., None] ** (-order / 2)
    beyond = torch.where(q > 1, 1 / q.clamp(min=1.0), torch.zeros_like(q))[..., None] * order * angular
    by_u, by_v = (
        slope * scale - beyond * across[..., None] for slope, across in zip(_power_slopes(u, v), (u, v), strict=True)
    )
    swept = (steeper * angular[..., None]).sum(-2)
    parts = (
        (radial * angular[..., None]).sum(-2),
        (radial * by_u[..., None]).sum(-2) + 2 * u[..., None] * swept,
        (radial * by_v[..., None]).sum(-2) + 2 * v[..., None] * swept,
    )
    values, along, down = (part.reshape(*u.shape, *lead) for part in parts)
    return values, along, down


def outlines(squared: Tensor, r: Tensor, edge: Tensor) -> Tensor:
    """W: the height of a hard disc behind optics at squared distances in units of the squared radius."""
    return disc.height(squared, r, edge[..., None])


def picture_values(
    x: Float[Tensor, " n"],
    y: Float[Tensor, " n"],
    r: Float[Tensor, " n"],
    edge: Float[Tensor, ""],
    columns: Tensor,
    rows: Tensor,
    pictures: Tensor,
) -> Tensor:
    """Values of pictures at pixels of their droplets: (n, p, *pictures.shape[:-1]).

    Args:
        x, y, r: centres and radii in px, (n,).
        edge: width of the optics in px.
        columns, rows: pixels of each droplet, (n, p).
        pictures: coefficients z, (..., COEFFICIENTS).
    """
    u, v = (columns - x[:, None]) / r[:, None], (rows - y[:, None]) / r[:, None]
    edged = outlines(u * u + v * v, r[:, None], edge)
    values = smooth_parts(u, v, pictures)
    return edged.reshape(*edged.shape, *[1] * (values.dim() - 2)) * values


def windows(x: Tensor, y: Tensor, half: int, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Columns, rows and whether they are of the image, of the pixels within ``half`` px of each centre, (n, p) each.

    half: of the side, in px. size: height and width of the image.
    """
    h, w = size
    step = torch.arange(-half, half + 1, device=x.device)
    down, along = torch.meshgrid(step, step, indexing="ij")
    # A centre that is no number, as where a sampler diverges, lies nowhere.
    row, column = (torch.nan_to_num(c.detach(), -1e6).round().clamp(-1e6, 1e6).long() for c in (y, x))
    rows, columns = row[:, None] + down.reshape(-1), column[:, None] + along.reshape(-1)
    inside = (rows >= 0) & (rows < h) & (columns >= 0) & (columns < w)
    return columns, rows, inside


def half_windows(r: Tensor, edge: Tensor, size: tuple[int, int]) -> Tensor:
    """Half of the side of the window that holds each droplet, in px, (n,), whole: at least 2, at most the image's."""
    reach = torch.nan_to_num(r.detach() + REACH * edge.detach(), 0.0).clamp(0, max(size) + 1).ceil() + 1
    step = (reach / 4).floor().clamp(min=1)  # of few sizes, so that many droplets have windows of one
    return ((reach / step).ceil() * step).clamp(2, max(size) + 1).long()


def draw_appearances(
    x: Float[Tensor, " n"],
    y: Float[Tensor, " n"],
    r: Float[Tensor, " n"],
    edge: Float[Tensor, ""],
    weights: Float[Tensor, "n k c"],
    pictures: Float[Tensor, "k d j"],
    size: tuple[int, int],
) -> Tensor:
    """The image of droplets that add up, (C, H, W), differentiable by every tensor.

    Args:
        x, y, r: centres and radii in px.
        edge: width of the optics in px, positive.
        weights: of each droplet's pictures, (N, K, C), or (N, K, 1) where all channels share them.
        pictures: coefficients z of the pictures, (K, C, COEFFICIENTS), or (K, 1, COEFFICIENTS) where all channels share
            them.
        size: height and width (H, W) in px.
    """
    h, w = size
    count = max(weights.shape[-1], pictures.shape[-2])
    canvas = torch.zeros(h * w, count, dtype=x.dtype, device=x.device)
    halves = half_windows(r, edge, size)
    for half in halves.unique().tolist():
        of = (halves == half).nonzero()[:, 0]
        columns, rows, inside = windows(x[of], y[of], half, size)
        values = picture_values(x[of], y[of], r[of], edge, columns, rows, pictures)
        drawn = (values * weights[of][:, None]).sum(2) * inside[..., None]
        place = (rows * w + columns).clamp(0, h * w - 1)
        canvas = canvas.index_add(0, place.reshape(-1), drawn.reshape(-1, count))
    return canvas.mT.reshape(count, h, w)


@lru_cache(maxsize=1)
def whitening() -> Array:
    """T: from coefficients z, whose prior is the unit normal, to those of the splines, (COEFFICIENTS,) * 2."""
    factor = np.linalg.cholesky(np.linalg.inv(mean_squares() + SMOOTH**4 * mean_squares(laplacian=True)))
    factor.flags.writeable = False
    return np.asarray(factor)


@lru_cache(maxsize=2)
def mean_squares(laplacian: bool = False) -> Array:
    """Means over the disc of the products of two basis functions, or of their Laplacians, (COEFFICIENTS,) * 2.

    Of |u|^m cos(m t) B(q), with q = |u|^2, the Laplacian is |u|^m cos(m t) (4 q B'' + 4 (m + 1) B'). The mean over the
    angle is that of cos^2, 1/2 for m > 0, and over the disc the integral over q from 0 to 1.
    """
    from scipy.interpolate import BSpline

    knots = np.arange(-3.0, PIECES + 4) / PIECES
    nodes, share = np.polynomial.legendre.leggauss(8)
    q = ((np.arange(PIECES)[:, None] + (nodes + 1) / 2) / PIECES).ravel()
    share = np.tile(share / 2 / PIECES, PIECES)
    spline = BSpline(knots, np.eye(SPLINES), 3)
    whole = np.zeros((COEFFICIENTS, COEFFICIENTS))
    for place, m in enumerate(ORDERS):
        values = spline(q)
        if laplacian:
            values = 4 * q[:, None] * spline.derivative(2)(q) + 4 * (m + 1) * spline.derivative()(q)
        weighted = values * (share * q**m * (0.5 if m else 1.0))[:, None]
        block = slice(place * SPLINES, (place + 1) * SPLINES)
        whole[block, block] = values.T @ weighted
    return whole
