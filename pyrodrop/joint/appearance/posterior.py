"""How sure a fit of droplets as they look is: of centres and radii, of weights and pictures.

The posterior is that of Laplace, a normal distribution about the mode whose precision H is never written out. Draws of
it are answers to H d = J' N^(-1/2) e + P^(1/2) e', with white e and e' and the prior's precision P (Papandreou and
Yuille 2010). With B the block of H that is a droplet's own, its mean given all else in a draw is d - B^-1 H d, so that
its variance is that of the block alone and the variance of these means (Siden, Lindgren, Bolin and Villani 2018): few
draws are enough.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from pyrodrop.joint.appearance.blocks import Blocks, blocks_of, solved
from pyrodrop.joint.appearance.newton import conjugate_gradients
from pyrodrop.joint.appearance.pictures import canonical
from pyrodrop.joint.appearance.state import Data, Look, PicturePrior, Step, moved
from pyrodrop.joint.appearance.tangent import Free, Tangent, backward, curvature, prior_pull, tangent_at

_DRAWS = 24
_CG_STEPS, _CG_TOLERANCE = 60, 0.02


class Deviations(NamedTuple):
    """Standard deviations: x, y in px and of log r, (N, 3); of weights (N, K, E) and pictures (K, D, J), canonical."""

    place: Tensor
    weights: Tensor
    pictures: Tensor


def deviations(state: Look, data: Data, prior: PicturePrior, free: Free, seed: int) -> Deviations:
    """Standard deviations at a mode; what is not fitted has none."""
    generator = torch.Generator().manual_seed(seed)
    tangent = tangent_at(state, data, prior, free)
    blocks = blocks_of(tangent)
    means, weights, pictures = [], [], []
    for _ in range(_DRAWS):
        step = _draw(tangent, blocks, generator)
        inner = step.plus(solved(blocks, curvature(tangent, step)), -1.0)
        means.append(inner.place)
        look = moved(state, step._replace(place=torch.zeros_like(step.place)))
        look = canonical(look, data) if free[2] else look
        weights.append(look.weights)
        pictures.append(look.pictures)
    alone = torch.cholesky_inverse(blocks.droplets).diagonal(dim1=-2, dim2=-1)[:, :3]
    place = (alone + torch.stack(means).square().mean(0)).sqrt()
    scale = torch.ones_like(place)
    scale[:, :2] = state.log_r.exp()[:, None]
    return Deviations(place * scale, torch.stack(weights).std(0), torch.stack(pictures).std(0))


def _draw(tangent: Tangent, blocks: Blocks, generator: torch.Generator) -> Step:
    """A step from the mode to a draw of the posterior."""
    channels = tangent.data.channels
    white = torch.randn(channels.shape, generator=generator, dtype=torch.float64).to(channels)
    seen = backward(tangent, white * tangent.precision.sqrt()[:, None, None])
    like = Step(*(torch.ones_like(part) for part in seen))
    roots = Step(*(part.sqrt() for part in prior_pull(tangent, like)))
    noise = Step(*(torch.randn(part.shape, generator=generator, dtype=torch.float64).to(part) * part for part in roots))
    return conjugate_gradients(tangent, blocks, seen.plus(noise), 0.0, _CG_STEPS, _CG_TOLERANCE)
