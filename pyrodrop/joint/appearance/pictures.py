"""Pictures as such: a flat one, how large they are, and which of all mixes of them is shown."""

import numpy as np
import torch
from torch import Tensor

from pyrodrop.joint.appearance.state import Data, Look
from pyrodrop.rendering.appearance import ANGULAR, SPLINES, mean_squares, whitening


def flat_picture(like: Tensor) -> Tensor:
    """Coefficients z of a picture that is 1 all over, (COEFFICIENTS,)."""
    a = np.zeros((ANGULAR, SPLINES))
    a[0] = 1
    return like.new_tensor(np.linalg.solve(whitening(), a.ravel()))


def gram(like: Tensor) -> Tensor:
    """G with z' G z the mean square of a picture over its disc, (COEFFICIENTS,) * 2."""
    into = whitening()
    return like.new_tensor(into.T @ mean_squares() @ into)


def canonical(state: Look, data: Data) -> Look:
    """The same image from pictures of mean square 1, at right angles, the one that explains most first.

    Pictures A P with weights w A^-1 draw the same. Of all these, the pictures are taken that are orthogonal over the
    disc while the weights, each droplet counted by its area, are uncorrelated about zero: principal components. The
    sign is that with which the weights' sum is positive.
    """
    n, k, e = state.weights.shape
    d = state.pictures.shape[1]
    unit = data.amplitude if data.in_colour else state.x.new_ones(1)
    root = torch.linalg.cholesky(gram(state.x))
    flat = ((state.pictures @ root) * unit[:, None]).reshape(k, -1)
    area = state.log_r.exp()
    weighted = (state.weights * area[:, None, None]).movedim(1, 2).reshape(-1, k)
    left_q, left_r = torch.linalg.qr(weighted)
    right_q, right_r = torch.linalg.qr(flat.mT)
    u, s, vh = torch.linalg.svd(left_r @ right_r.mT)
    axes = vh @ right_q.mT * d**0.5
    weights = left_q @ u * s / d**0.5
    weights = weights.reshape(n, e, k).movedim(2, 1) / area[:, None, None]
    sign = torch.where(weights.sum((0, 2)) < 0, -1.0, 1.0).to(weights)
    # weights of 1 are an amplitude of the channel's unit in colour; else they are in units of the channel
    pictures = torch.linalg.solve(root.mT, (axes.reshape(k, d, -1) / unit[:, None]).movedim(2, 1)).movedim(1, 2)
    return state._replace(weights=weights * sign[:, None], pictures=pictures * sign[:, None, None])
