"""The precision of the posterior by blocks: of each droplet's place and weights, of the pictures, of the background.

What blocks leave out, how parts go together, conjugate gradients find (``newton``). By Fischer's inequality the
determinant of the whole is no larger than the product of the blocks' (``evidence``).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from pyrodrop.joint.appearance.state import Step
from pyrodrop.joint.appearance.tangent import Tangent
from pyrodrop.models.appearance import EDGE


class Blocks(NamedTuple):
    """Cholesky factors of the blocks.

    droplets: place and weights of each, (N, 3 + K E, 3 + K E). pictures: (G, M, M), in colour one group G for each
    channel, else one. bg: (C, M, M). edge: (1, 1, 1).
    """

    droplets: Tensor
    pictures: Tensor
    bg: Tensor
    edge: Tensor


def blocks_of(tangent: Tangent) -> Blocks:
    """The blocks of the precision at a state; what is not fitted has the unit matrix, or nearly so."""
    softer = (tangent.softer.square() * tangent.precision[:, None, None]).sum() + EDGE[1] ** -2
    wholes = (_droplets(tangent), _pictures(tangent), _background(tangent), softer.reshape(1, 1, 1))
    return Blocks(*(torch.linalg.cholesky(whole) for whole in wholes))


def solved(blocks: Blocks, step: Step) -> Step:
    """The inverse of the blocks times a step."""
    n, count = len(step.place), len(step.bg)
    own = torch.cat([step.place, step.weights.reshape(n, -1)], 1)[..., None]
    own = torch.cholesky_solve(own, blocks.droplets)[..., 0]
    groups = len(blocks.pictures)
    pictures = step.pictures.movedim(1, 0).reshape(groups, -1, 1)
    pictures = torch.cholesky_solve(pictures, blocks.pictures)
    k, d, j = step.pictures.shape
    bg = torch.cholesky_solve(step.bg.reshape(count, -1, 1), blocks.bg)
    return Step(
        own[:, :3],
        own[:, 3:].reshape(step.weights.shape),
        pictures.reshape(d, k, j).movedim(0, 1),
        bg.reshape(step.bg.shape),
        torch.cholesky_solve(step.edge[:, None, None], blocks.edge).reshape(1),
    )


def _droplets(tangent: Tangent) -> Tensor:
    state, data = tangent.state, tangent.data
    n, k, e = state.weights.shape
    count = len(data.channels)
    whole = state.x.new_zeros(n, 3 + k * e, 3 + k * e)
    diagonal = torch.ones(3 + k * e, dtype=whole.dtype, device=whole.device)
    if tangent.free[0]:
        diagonal[:3] = whole.new_tensor([1e-9, 1e-9, 1.0])  # x and y have a flat prior
    if tangent.free[1]:
        spread = whole.new_ones(k, 1) if data.in_colour else data.amplitude.expand(k, e)
        diagonal[3:] = (1 / spread**2).reshape(-1)
    for bin_ in tangent.windows:
        weights = state.weights[bin_.of]
        block = whole.new_zeros(len(bin_.of), *whole.shape[1:])
        for c in range(count):
            own, colour = (0, c) if data.in_colour else (c, 0)
            values = bin_.values[..., colour] if tangent.free[1] else 0 * bin_.values[..., colour]
            columns = values.new_zeros(*values.shape[:2], 3)
            if tangent.free[0]:
                columns = torch.einsum("anpk,nk->npa", bin_.slopes[..., colour], weights[..., own])
            columns = torch.cat([columns, values], -1)
            product = columns.mT @ columns * tangent.precision[c]
            where = torch.cat([torch.arange(3), 3 + own + e * torch.arange(k)]).to(block.device)
            block[:, where[:, None], where] += product
        whole[bin_.of] = block
    return whole + torch.diag(diagonal)


def _pictures(tangent: Tangent) -> Tensor:
    state, data = tangent.state, tangent.data
    k, d, j = state.pictures.shape
    prior = tangent.prior.precision.movedim(1, 0)
    size = k * j
    if not tangent.free[2]:
        return torch.eye(size, dtype=state.x.dtype, device=state.x.device).repeat(d, 1, 1)
    whole = state.x.new_zeros(d, k, j, k, j)
    for bin_ in tangent.windows:
        gram = bin_.basis.mT @ bin_.basis
        weights = state.weights[bin_.of]
        if data.in_colour:
            by = torch.einsum("nk,nl->nkl", weights[..., 0], weights[..., 0])
            shared = torch.einsum("nkl,nij->kilj", by, gram)
            whole += shared * (tangent.precision * data.amplitude**2)[:, None, None, None, None]
        else:
            by = torch.einsum("nkc,nlc,c->nkl", weights, weights, tangent.precision)
            whole += torch.einsum("nkl,nij->kilj", by, gram)
    return whole.reshape(d, size, size) + torch.diag_embed(prior.reshape(d, size))


def _background(tangent: Tangent) -> Tensor:
    data = tangent.data
    spread = data.channels.new_tensor(data.scales.spread.copy())
    if not tangent.free[3]:
        side = data.down.shape[1] * data.along.shape[1]
        return torch.eye(side, dtype=spread.dtype, device=spread.device).repeat(len(spread), 1, 1)
    gram = torch.kron(data.down.mT @ data.down, data.along.mT @ data.along)
    eye = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    return gram * tangent.precision[:, None, None] + eye / spread[:, None, None] ** 2
