"""An image fitted by droplets as they look, from circles: picture after picture, as long as the evidence rises."""

from typing import NamedTuple

import torch
from torch import Tensor

from pyrodrop.joint.appearance.blocks import blocks_of
from pyrodrop.joint.appearance.low_rank import Placed, better_placed, shared_pictures
from pyrodrop.joint.appearance.newton import Mode, descend, loss_of, with_noise
from pyrodrop.joint.appearance.outline import on_outline
from pyrodrop.joint.appearance.pictures import flat_picture
from pyrodrop.joint.appearance.search import best_places
from pyrodrop.joint.appearance.state import Data, Look, PicturePrior, background
from pyrodrop.joint.appearance.tangent import EVERYTHING, Free, tangent_at

LINEAR: Free = (False, True, True, True)
FROZEN: Free = (True, True, False, True)
_FIRST_STEPS, _LAST_STEPS = 6, 25
_SEARCHES, _ROUNDS = 2, 2


class Fitted(NamedTuple):
    """The mode with as many pictures as have the greatest evidence, and the log evidence of each number of them."""

    mode: Mode
    evidence: list[float]


def unit_prior(pictures: Tensor) -> PicturePrior:
    """The prior of pictures that nothing is known of."""
    return PicturePrior(torch.zeros_like(pictures), torch.ones_like(pictures))


def initial(data: Data, x: Tensor, y: Tensor, r: Tensor) -> Look:
    """Flat discs of no height on a level background."""
    channels = data.channels
    count = len(channels)
    e, d = (1, count) if data.in_colour else (count, 1)
    level = channels.new_tensor(data.scales.level.copy())[:, None, None]
    return Look(
        x,
        y,
        r.log(),
        channels.new_zeros(()),
        channels.new_zeros(len(x), 1, e),
        flat_picture(channels).expand(1, d, -1).clone(),
        level.expand(count, data.down.shape[1], data.along.shape[1]).clone(),
        channels.new_tensor(data.scales.noise.copy()).log(),
    )


def fit_from(state: Look, data: Data, most: int) -> Fitted:
    """Fit an image from flat discs as of ``initial``, with up to ``most`` pictures."""
    state = descend(state, data, unit_prior(state.pictures), 2, (False, True, False, True)).state
    for _ in range(_ROUNDS):
        # One picture only: two can also be the whole of a droplet within a circle that is too large.
        state = better_placed(state, data, 1)
        state = with_pictures(state, data, 1)
        state = settle_places(state, data, unit_prior(state.pictures))
    state = on_outline_if_better(state, data, _FIRST_STEPS)
    best, evidence = None, []
    for number in range(1, most + 1):
        state = with_pictures(state, data, number)
        prior = unit_prior(state.pictures)
        mode = descend(on_outline_if_better(state, data, _FIRST_STEPS), data, prior, _LAST_STEPS)
        evidence.append(log_evidence(mode.state, data, prior))
        if best is not None and evidence[-1] <= evidence[-2]:
            break
        best = mode
        state = mode.state
    assert best is not None
    return Fitted(best, evidence)


def fit_with(state: Look, data: Data, pictures: Tensor, prior: PicturePrior | None) -> Fitted:
    """Fit an image from flat discs with pictures that are known, (K, D, J): frozen, or with a prior about them."""
    n, _, e = state.weights.shape
    state = state._replace(pictures=pictures, weights=state.weights.new_zeros(n, len(pictures), e))
    free = EVERYTHING if prior is not None else FROZEN
    own = unit_prior(pictures) if prior is None else prior
    state = descend(state, data, own, _FIRST_STEPS, (False, True, False, True)).state
    state = settle_places(state, data, own, FROZEN)
    mode = descend(state, data, own, _LAST_STEPS, free)
    return Fitted(mode, [log_evidence(mode.state, data, own, free)])


def on_outline_if_better(state: Look, data: Data, steps: int) -> Look:
    """The state after a few steps, or that of circles on their pictures' own outline where it is then the better."""
    prior, number = unit_prior(state.pictures), len(state.pictures)
    here = descend(state, data, prior, steps)
    there = descend(with_pictures(on_outline(here.state, data), data, number), data, prior, steps)
    return there.state if there.losses[-1] < here.losses[-1] else here.state


def with_pictures(state: Look, data: Data, number: int) -> Look:
    """The state with so many pictures, the best at its places, weights and background fitted with them."""
    circles = Placed(state.x, state.y, state.log_r.exp(), state.log_edge.exp())
    seen = data.channels - background(state, data)
    shared = shared_pictures(circles, seen, data, state.log_noise.exp(), number)
    state = state._replace(pictures=shared.pictures, weights=shared.weights)
    return descend(state, data, unit_prior(state.pictures), _FIRST_STEPS, LINEAR).state


def settle_places(state: Look, data: Data, prior: PicturePrior, free: Free = EVERYTHING) -> Look:
    """Move droplets onto the whole of themselves, as long as the image is the better for it."""
    for _ in range(_SEARCHES):
        loss = loss_of(state, data, prior)
        places = best_places(state, data)
        moves = places.gain > 1
        if not bool(moves.any()):
            break
        changed = state._replace(
            x=torch.where(moves, places.x, state.x),
            y=torch.where(moves, places.y, state.y),
            log_r=torch.where(moves, places.log_r, state.log_r),
            weights=torch.where(moves[:, None, None], places.weights, state.weights),
        )
        changed = descend(with_noise(changed, data), data, prior, 3, (False, *free[1:])).state
        if loss_of(changed, data, prior) >= loss:
            break
        state = changed
    return state


def log_evidence(state: Look, data: Data, prior: PicturePrior, free: Free = EVERYTHING) -> float:
    """Laplace's log evidence, up to what does not depend on the number of pictures.

    log p(data, mode) + (log |prior precision| - log |H|) / 2, all normal factors of 2 pi cancelling; log |H| is that of
    the blocks, which is no smaller (Fischer), so that this is a lower bound of Laplace's. Pixels whose noise goes
    together are fewer: that is left to the noise.
    """
    blocks = blocks_of(tangent_at(state, data, prior, free))
    half_logs = sum(float(part.diagonal(dim1=-2, dim2=-1).log().sum()) for part in blocks)
    n, k, _ = state.weights.shape
    spread = 0.0 if data.in_colour else float(data.amplitude.log().sum())
    half_prior = float(prior.precision.log().sum()) / 2 * free[2] - n * k * spread
    return -loss_of(state, data, prior) + half_prior - half_logs
