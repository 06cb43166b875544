"""How the image answers to a step: the Jacobian of droplets as they look, window by window, and its transpose.

The image is linear in weights, in pictures and in the background; for centres and radii the pictures' derivatives are
taken at the state. A step changes the pictures' values F = (n, p, k, d) at a droplet's pixels by

    dF = phi dz + dP/dplace . dplace,    and the image by sum_k (P dw + dF w).

Everything runs over windows of like size, so that it is a few large products of tensors on any device.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from pyrodrop.joint.appearance.state import Data, Look, PicturePrior, Step, picture_units
from pyrodrop.models.appearance import EDGE
from pyrodrop.rendering.appearance import (
    COEFFICIENTS,
    half_windows,
    outlines,
    smooth_parts,
    smooth_slopes,
    windows,
)

# Whether places and the edge, weights, pictures, and the background are fitted.
Free = tuple[bool, bool, bool, bool]
EVERYTHING: Free = (True, True, True, True)


class Windows(NamedTuple):
    """Droplets of windows of one size.

    of: their numbers, (n,). place: their pixels' numbers in the image, (n, p). basis: values of the basis functions,
    (n, p, J). values: of the pictures, (n, p, K, D). slopes: of those by x and y in radii and log r, (3, n, p, K, D).
    All are 0 at pixels that are not of the image.
    """

    of: Tensor
    place: Tensor
    basis: Tensor
    values: Tensor
    slopes: Tensor


class Tangent(NamedTuple):
    """The Jacobian at a state.

    windows: of all droplets. softer: derivative of the image by log edge, (C, H, W). precision: of a pixel, (C,).
    prior: of the pictures. free: whether places and the edge, weights, pictures, and the background are fitted.
    """

    state: Look
    data: Data
    windows: list[Windows]
    softer: Tensor
    precision: Tensor
    prior: PicturePrior
    free: Free


def tangent_at(state: Look, data: Data, prior: PicturePrior, free: Free = EVERYTHING) -> Tangent:
    """The Jacobian at a state."""
    r, edge = state.log_r.exp(), state.log_edge.exp()
    pictures = picture_units(state, data)
    halves = half_windows(r, edge, data.size)
    eye = torch.eye(COEFFICIENTS, dtype=r.dtype, device=r.device)
    bins = []
    softer = r.new_zeros(data.size[0] * data.size[1], len(data.channels))
    for half in halves.unique().tolist():
        of = (halves == half).nonzero()[:, 0]
        columns, rows, inside = windows(state.x[of], state.y[of], half, data.size)
        u, v = ((p - c[of][:, None]) / r[of][:, None] for p, c in ((columns, state.x), (rows, state.y)))
        edged, by_q, by_r, by_edge = outline_slopes(u * u + v * v, r[of], edge)
        basis = (smooth_parts(u, v, eye) * edged[..., None]) * inside[..., None]
        values = (basis @ pictures.reshape(-1, COEFFICIENTS).mT).reshape(*basis.shape[:2], *pictures.shape[:2])
        slopes = values.new_zeros((0, *values.shape))
        if free[0]:
            smooth, along, down = smooth_slopes(u, v, pictures)
            u, v, edged, by_q, by_r, by_edge, known = (
                t[..., None, None] for t in (u, v, edged, by_q, by_r, by_edge, inside)
            )
            across = edged * along + 2 * u * by_q * smooth
            downwards = edged * down + 2 * v * by_q * smooth
            outwards = u * across + v * downwards - by_r * smooth
            slopes = -torch.stack([across, downwards, outwards]) * known
            drawn = (by_edge * smooth * known * state.weights[of][:, None]).sum(2)
            softer.index_add_(
                0, (rows * data.size[1] + columns).clamp(0, len(softer) - 1).reshape(-1), drawn.flatten(0, 1)
            )
        place = (rows * data.size[1] + columns).clamp(0, data.size[0] * data.size[1] - 1)
        bins.append(Windows(of, place, basis, values, slopes))
    return Tangent(state, data, bins, softer.mT.reshape(data.channels.shape), (-2 * state.log_noise).exp(), prior, free)


def outline_slopes(squared: Tensor, r: Tensor, edge: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The outline W at squared distances (n, p), and its derivatives by them, by log r and by log edge."""
    with torch.enable_grad():
        q = squared.detach().requires_grad_()
        log_r = r.detach().log()[:, None].expand_as(q).clone().requires_grad_()
        log_edge = edge.detach().log().expand_as(q).clone().requires_grad_()
        height = outlines(q, log_r.exp(), log_edge.exp())
        by_q, by_r, by_edge = torch.autograd.grad(height.sum(), (q, log_r, log_edge))
    return height.detach(), by_q, by_r, by_edge


def forward(tangent: Tangent, step: Step) -> Tensor:
    """How the image changes by a step, (C, H, W)."""
    data = tangent.data
    count, h, w = data.channels.shape
    dz = step.pictures * data.amplitude[:, None] if data.in_colour else step.pictures
    image = data.channels.new_zeros(h * w, count)
    for bin_ in tangent.windows:
        weights = tangent.state.weights[bin_.of][:, None]
        changed = bin_.values * step.weights[bin_.of][:, None]
        if tangent.free[2]:
            within = (bin_.basis @ dz.reshape(-1, COEFFICIENTS).mT).reshape(bin_.values.shape)
            changed = changed + within * weights
        if tangent.free[0]:
            shift = torch.einsum("anpkd,na->npkd", bin_.slopes, step.place[bin_.of])
            changed = changed + shift * weights
        image.index_add_(0, bin_.place.reshape(-1), changed.sum(2).reshape(-1, count))
    return image.mT.reshape(count, h, w) + data.down @ step.bg @ data.along.mT + tangent.softer * step.edge


def backward(tangent: Tangent, image: Tensor) -> Step:
    """The transpose of ``forward``: what an image (C, H, W) says of each parameter."""
    state, data = tangent.state, tangent.data
    flat = image.reshape(len(image), -1).mT
    place, weights = torch.zeros_like(state.x)[:, None].repeat(1, 3), torch.zeros_like(state.weights)
    pictures = torch.zeros_like(state.pictures)
    for bin_ in tangent.windows:
        seen = flat[bin_.place][:, :, None]  # (n, p, 1, C)
        by_weights = bin_.values * seen
        weights[bin_.of] = by_weights.sum((1, 3), keepdim=True)[:, 0] if data.in_colour else by_weights.sum(1)
        field = seen * state.weights[bin_.of][:, None]  # (n, p, K, C)
        if not data.in_colour:
            field = field.sum(3, keepdim=True)
        if tangent.free[2]:
            pictures += torch.einsum("npj,npkd->kdj", bin_.basis, field)
        if tangent.free[0]:
            place[bin_.of] = torch.einsum("anpkd,npkd->na", bin_.slopes, field)
    if data.in_colour:
        pictures = pictures * data.amplitude[:, None]
    softer = (image * tangent.softer).sum()[None]
    return _kept(Step(place, weights, pictures, data.down.mT @ image @ data.along, softer), tangent.free)


def prior_pull(tangent: Tangent, step: Step | None = None) -> Step:
    """The prior's precision times a step; without one, times the way from the state to the prior's means.

    That of x and y is flat, and that of log r has a standard deviation of 1.
    """
    state, scales = tangent.state, tangent.data.scales
    of = state.x.new_tensor
    spread = 1.0 if tangent.data.in_colour else tangent.data.amplitude
    if step is None:
        level = of(scales.level.copy())[:, None, None]
        way = Step(
            torch.stack([0 * state.x, 0 * state.x, of(scales.radius_px).log() - state.log_r], 1),
            -state.weights,
            tangent.prior.mean - state.pictures,
            level - state.bg,
            (EDGE[0] - state.log_edge)[None],
        )
    else:
        way = step
    return _kept(
        Step(
            way.place * of([0.0, 0.0, 1.0]),
            way.weights / spread**2,
            way.pictures * tangent.prior.precision,
            way.bg / of(scales.spread.copy())[:, None, None] ** 2,
            way.edge / EDGE[1] ** 2,
        ),
        tangent.free,
    )


def curvature(tangent: Tangent, step: Step) -> Step:
    """The precision of the posterior, J' N^-1 J and the prior's, times a step."""
    image = forward(tangent, step) * tangent.precision[:, None, None]
    return backward(tangent, image).plus(prior_pull(tangent, step))


def _kept(step: Step, free: Free) -> Step:
    kept = (*free, free[0])
    return Step(*(part if is_free else torch.zeros_like(part) for part, is_free in zip(step, kept, strict=True)))
