"""Pictures of circles that may all be misplaced alike, and where the circles would have to lie for better ones.

Each pixel is that of the droplet nearest to it, in radii: with basis functions Phi at a droplet's pixels, what is seen
y and its pictures' weights w, |y - Phi Z w|^2 needs no more of it than Phi' Phi and Phi' y. Pictures and weights are
fitted by turns; how much of the image they explain tells one place of all circles, in units of their radii, from
another: with the whole of a droplet within them K pictures explain the most, and with more than the whole no more.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from pyrodrop.joint.appearance.pictures import flat_picture
from pyrodrop.joint.appearance.state import Data, Look, background
from pyrodrop.rendering.appearance import COEFFICIENTS, half_windows, outlines, smooth_parts, windows

_TURNS = 3
_SHIFTS, _GROWTHS = (0.25, 0.12, 0.06), (1.25, 1.12, 1.06)
_CLIMB = 4  # moves of one size at most
# Right, down, growth: along each, and grown towards a side, as from a half to the whole.
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1))
_MOVES = [(a, b, grown) for grown in (0, 1) for a, b in _SIDES] + [(0, 0, 1), (0, 0, -1)]


class Shared(NamedTuple):
    """Pictures (K, D, J), weights (N, K, E), and how much of the squared image in units of the noise they explain."""

    pictures: Tensor
    weights: Tensor
    explained: Tensor


class Placed(NamedTuple):
    """Circles: x, y, r in px, (N,) each, and the width of their edges in px, ()."""

    x: Tensor
    y: Tensor
    r: Tensor
    edge: Tensor

    def all_moved(self, right: float, down: float, growth: float) -> "Placed":
        """All circles moved by so many of their radii, and grown by a factor."""
        return Placed(self.x + right * self.r, self.y + down * self.r, self.r * growth, self.edge)

    def some(self, of: Tensor) -> "Placed":
        """Those of these numbers."""
        return Placed(self.x[of], self.y[of], self.r[of], self.edge)


def shared_pictures(circles: Placed, seen: Tensor, data: Data, noise: Tensor, number: int) -> Shared:
    """The pictures that explain best what is seen in circles, each by itself.

    Args:
        circles: N of them.
        seen: the image less its background, (C, H, W).
        data: what the image is of.
        noise: standard deviation of a pixel, (C,).
        number: K, of pictures.
    """
    inner, right = _products(circles, seen, data, noise)  # (N, J, J) and (N, C, J)
    return _by_turns(inner, right, data, noise, number)


def _by_turns(inner: Tensor, right: Tensor, data: Data, noise: Tensor, number: int) -> Shared:
    """Pictures and weights by turns, from principal components of what is seen in each droplet alone."""
    unit = data.amplitude
    strength = (unit / noise).square()  # prior precision of a coefficient is 1 in units of the amplitude
    eye = torch.eye(COEFFICIENTS, dtype=inner.dtype, device=inner.device)
    along = right * strength.sqrt()[:, None]
    ridge = torch.linalg.solve(inner[:, None] * strength[:, None, None] + eye, along[..., None])[..., 0]
    # Principal components of the coefficients, in the metric of the mean droplet.
    root = torch.linalg.cholesky(inner.mean(0) + 1e-9 * eye)
    count = len(unit)
    metric = ridge @ root
    metric = metric.reshape(len(ridge), -1) if data.in_colour else metric.reshape(-1, COEFFICIENTS)
    _, _, axes = torch.linalg.svd(metric, full_matrices=False)
    d = count if data.in_colour else 1
    flat = flat_picture(inner)
    if len(axes) < number:
        random = torch.randn(number, axes.shape[1], generator=torch.Generator().manual_seed(0))
        axes = torch.cat([axes, random.to(axes)])
    pictures = torch.linalg.solve(root.mT, axes[:number].reshape(-1, COEFFICIENTS).mT).mT.reshape(number, d, -1)
    pictures = pictures * (flat.norm() / pictures.norm(dim=(1, 2), keepdim=True))
    weights, explained = _weights(pictures, inner, right, strength, data.in_colour)
    for _ in range(_TURNS):
        pictures = _pictures(weights, inner, right, strength, data.in_colour)
        weights, explained = _weights(pictures, inner, right, strength, data.in_colour)
    return Shared(pictures, weights if data.in_colour else weights * unit, explained)


def better_placed(state: Look, data: Data, number: int) -> Look:
    """The state with all circles moved and grown alike, in units of their radii, to where pictures explain most."""
    seen = data.channels - background(state, data)
    noise = state.log_noise.exp()
    all_ = Placed(state.x, state.y, state.log_r.exp(), state.log_edge.exp())

    def explained(move: tuple[float, float, float]) -> float:
        return float(shared_pictures(all_.all_moved(*move), seen, data, noise, number).explained)

    here = (0.0, 0.0, 1.0)
    best = explained(here)
    for shift, growth in zip(_SHIFTS, _GROWTHS, strict=True):
        for _ in range(_CLIMB):
            right, down, grown = here
            around = [(right + shift * a * grown, down + shift * b * grown, grown * growth**c) for a, b, c in _MOVES]
            scores = [explained(move) for move in around]
            if max(scores) <= best:
                break
            best = max(scores)
            here = around[scores.index(best)]
    x, y, r, _ = all_.all_moved(*here)
    return state._replace(x=x, y=y, log_r=r.log())


def _products(circles: Placed, seen: Tensor, data: Data, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Phi' Phi, (N, J, J), and Phi' y in units of the noise, (N, C, J)."""
    x, y, r, edge = circles
    flat = (seen / noise[:, None, None]).reshape(len(seen), -1).mT
    inner = x.new_zeros(len(x), COEFFICIENTS, COEFFICIENTS)
    right = x.new_zeros(len(x), len(seen), COEFFICIENTS)
    eye = torch.eye(COEFFICIENTS, dtype=x.dtype, device=x.device)
    halves = half_windows(r, edge, data.size)
    nearest = torch.full((len(flat),), torch.inf, dtype=x.dtype, device=x.device)
    bins = []
    for half in halves.unique().tolist():
        of = (halves == half).nonzero()[:, 0]
        columns, rows, inside = windows(x[of], y[of], half, data.size)
        u, v = ((p - c[of][:, None]) / r[of][:, None] for p, c in ((columns, x), (rows, y)))
        place = (rows * data.size[1] + columns).clamp(0, len(flat) - 1)
        q = torch.where(inside, u * u + v * v, torch.inf)
        nearest = nearest.scatter_reduce(0, place.reshape(-1), q.reshape(-1), "amin")
        bins.append((of, u, v, q, place))
    for of, u, v, q, place in bins:
        own = (q <= nearest[place]) & q.isfinite()
        edged = outlines(torch.where(own, q, 0.0), r[of][:, None], edge) * own
        basis = smooth_parts(u, v, eye) * edged[..., None]
        inner[of] = basis.mT @ basis
        right[of] = (basis.mT @ flat[place]).mT
    return inner, right


def _weights(
    pictures: Tensor, inner: Tensor, right: Tensor, strength: Tensor, in_colour: bool
) -> tuple[Tensor, Tensor]:
    """Weights (N, K, E) in units of the amplitude, given pictures, and what they explain."""
    k = len(pictures)
    eye = torch.eye(k, dtype=inner.dtype, device=inner.device)
    if in_colour:
        gram = torch.einsum("kcj,nji,lci,c->nkl", pictures, inner, pictures, strength)[:, None] + eye
        along = torch.einsum("kcj,ncj,c->nk", pictures, right, strength.sqrt())[:, None]
    else:
        flat = pictures[:, 0]
        gram = (flat @ inner @ flat.mT)[:, None] * strength[:, None, None] + eye
        along = right @ flat.mT * strength.sqrt()[:, None]
    weights = torch.linalg.solve(gram, along[..., None])[..., 0]
    return weights.mT.contiguous(), (weights * along).sum()


def _pictures(weights: Tensor, inner: Tensor, right: Tensor, strength: Tensor, in_colour: bool) -> Tensor:
    """Pictures (K, D, J) given weights (N, K, E) in units of the amplitude."""
    k = weights.shape[1]
    if in_colour:
        shared = torch.einsum("nk,nl,nij->kilj", weights[..., 0], weights[..., 0], inner)
        whole = shared * strength[:, None, None, None, None]
        along = torch.einsum("nk,ncj,c->ckj", weights[..., 0], right, strength.sqrt())
    else:
        whole = torch.einsum("nkc,nlc,nij,c->kilj", weights, weights, inner, strength)[None]
        along = torch.einsum("nkc,ncj,c->kj", weights, right, strength.sqrt())[None]
    side = k * COEFFICIENTS
    eye = torch.eye(side, dtype=inner.dtype, device=inner.device)
    z = torch.linalg.solve(whole.reshape(-1, side, side) + eye, along.reshape(-1, side, 1))
    return z.reshape(-1, k, COEFFICIENTS).movedim(0, 1)
