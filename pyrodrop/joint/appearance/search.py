"""Droplets that sit on a part of themselves, as on the dark half of a half-moon, moved onto the whole.

A descent cannot take them there: halfway the image is explained worse. So places around each droplet are compared by
the evidence of the droplet at each, its weights integrated over, with all others held where they are.
"""

import math
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from pyrodrop.joint.appearance.state import Data, Look, picture_units, predicted
from pyrodrop.rendering.appearance import half_windows, picture_values, windows

# Moves in radii, and factors of the radius; the last but one ring of them takes a half-moon's half to the whole.
SHIFTS = [(0.0, 0.0)] + [
    (d * math.cos(k * math.pi / 4), d * math.sin(k * math.pi / 4)) for d in (0.25, 0.5) for k in range(8)
]
GROWTHS = (0.7, 0.85, 1.0, 1.2, 1.45)


class Places(NamedTuple):
    """Where droplets may better lie: (N,) each, and by how much the evidence of each is larger there, (N,)."""

    x: Tensor
    y: Tensor
    log_r: Tensor
    weights: Tensor
    gain: Tensor


def best_places(state: Look, data: Data) -> Places:
    """The best place of each droplet among those around it, all others being where they are."""
    residual = (data.channels - predicted(state, data)).reshape(len(data.channels), -1).mT
    precision = (-2 * state.log_noise).exp()
    pictures, edge = picture_units(state, data), state.log_edge.exp()
    r = state.log_r.exp()
    prior = 1.0 if data.in_colour else 1 / data.amplitude**2
    out = [state.x.clone(), state.y.clone(), state.log_r.clone(), state.weights.clone(), torch.zeros_like(state.x)]
    halves = half_windows(r * (max(GROWTHS) + 0.5), edge, data.size)
    for half in halves.unique().tolist():
        of = (halves == half).nonzero()[:, 0]
        columns, rows, inside = windows(state.x[of], state.y[of], half, data.size)
        place = (rows * data.size[1] + columns).clamp(0, data.size[0] * data.size[1] - 1)
        known = inside[..., None]

        def values_at(x: Tensor, y: Tensor, log_r: Tensor, at: tuple[Tensor, ...] = (columns, rows, known)) -> Tensor:
            return picture_values(x, y, log_r.exp(), edge, at[0], at[1], pictures) * at[2][..., None]

        here = (state.x[of], state.y[of], state.log_r[of])
        own = (values_at(*here) * state.weights[of][:, None]).sum(2)
        seen = (residual[place] + own) * known
        best = None
        for (dx, dy), growth in product(SHIFTS, GROWTHS):
            at = (here[0] + dx * r[of], here[1] + dy * r[of], here[2] + math.log(growth))
            score, weights = _evidence(values_at(*at), seen, precision, prior, data.in_colour)
            score = score - (at[2] - math.log(data.scales.radius_px)) ** 2 / 2
            if (dx, dy, growth) == (0.0, 0.0, 1.0):
                stay = score
            if best is None:
                best = [*at, weights, score]
                continue
            better = score > best[4]
            for k, new in enumerate((*at, weights, score)):
                best[k] = torch.where(better.reshape(-1, *[1] * (new.dim() - 1)), new, best[k])
        assert best is not None
        for whole, part in zip(out, [*best[:4], best[4] - stay], strict=True):
            whole[of] = part
    return Places(*out)


def _evidence(
    values: Tensor, seen: Tensor, precision: Tensor, prior: Tensor | float, in_colour: bool
) -> tuple[Tensor, Tensor]:
    """Log evidence of droplets against none, (n,), and their best weights (n, K, E).

    Weights w ~ Normal(0, 1 / prior): with A = P' P / s^2 + prior and b = P' y / s^2 it is (b' A^-1 b - log |A| + log
    |prior|) / 2.
    """
    n, _, k, _ = values.shape
    eye = torch.eye(k, dtype=values.dtype, device=values.device)
    if in_colour:
        gram = torch.einsum("npkc,nplc,c->nkl", values, values, precision)[:, None] + eye * prior
        right = torch.einsum("npkc,npc,c->nk", values, seen, precision)[:, None]
        own = torch.ones(1, dtype=values.dtype, device=values.device)
    else:
        flat = values[..., 0]
        own = torch.as_tensor(prior, dtype=values.dtype, device=values.device)
        gram = (flat.mT @ flat)[:, None] * precision[:, None, None] + eye * own[:, None, None]
        right = (flat.mT @ (seen * precision)).mT
    factor = torch.linalg.cholesky(gram)
    weights = torch.cholesky_solve(right[..., None], factor)[..., 0]
    half_logs = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1) - 0.5 * k * own.log()
    return ((right * weights).sum(-1) / 2 - half_logs).sum(-1), weights.mT.reshape(n, k, -1)
