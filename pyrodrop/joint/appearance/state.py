"""A state of the model of droplets as they look, the data it is held against, and a step away from it."""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pyrodrop.models.bspline_background import spline_basis
from pyrodrop.models.prior_scales import PriorScales
from pyrodrop.rendering.appearance import draw_appearances

LOG_EDGES = (math.log(0.2), math.log(20.0))  # as for the disc


class PicturePrior(NamedTuple):
    """Normal priors of the pictures' coefficients z, of mean and precision (K, D, J) each."""

    mean: Tensor
    precision: Tensor


class Data(NamedTuple):
    """What a state is held against.

    channels: (C, H, W), float64. scales: of the priors. down, along: basis of the background, (H, rows) and
    (W, columns). in_colour: whether droplets have one set of weights, of pictures in colour.
    """

    channels: Float[Tensor, "c h w"]
    scales: PriorScales
    down: Tensor
    along: Tensor
    in_colour: bool

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in px."""
        return self.channels.shape[1], self.channels.shape[2]

    @property
    def amplitude(self) -> Tensor:
        """Standard deviation of an amplitude, (C,)."""
        return self.channels.new_tensor(np.array(self.scales.amplitude))


class Look(NamedTuple):
    """A state: N droplets, K pictures in D colours, weights in E channels; D or E is 1, and the other C.

    x, y, log_r: (N,), px. log_edge: (). weights: (N, K, E). pictures: coefficients z, (K, D, J), in units of the
    channel where they are in colour, as the model has them. bg: (C, rows, columns). log_noise: (C,).
    """

    x: Tensor
    y: Tensor
    log_r: Tensor
    log_edge: Tensor
    weights: Tensor
    pictures: Tensor
    bg: Tensor
    log_noise: Tensor


class Step(NamedTuple):
    """A step, or a gradient, by the parameters that are fitted together.

    place: x and y in units of the radius, and log r, (N, 3). weights: (N, K, E). pictures: (K, D, J). bg:
    (C, rows, columns). edge: log of the width of the optics, (1,).
    """

    place: Tensor
    weights: Tensor
    pictures: Tensor
    bg: Tensor
    edge: Tensor

    def plus(self, other: "Step", factor: Tensor | float = 1.0) -> "Step":
        """Its sum with ``factor`` times another."""
        return Step(*(mine + factor * theirs for mine, theirs in zip(self, other, strict=True)))

    def dot(self, other: "Step") -> Tensor:
        """Its inner product with another."""
        parts = [(mine * theirs).sum() for mine, theirs in zip(self, other, strict=True)]
        return torch.stack(parts).sum()


def data_of(channels: Tensor, scales: PriorScales, in_colour: bool) -> Data:
    """What states are held against, of an image (C, H, W), in its dtype and on its device."""
    down, along = (channels.new_tensor(spline_basis(side, scales.spacing)) for side in channels.shape[1:])
    return Data(channels, scales, down, along, in_colour)


def picture_units(state: Look, data: Data) -> Tensor:
    """The coefficients as they are drawn: in colour in the units of their channel, (K, D, J)."""
    return state.pictures * data.amplitude[:, None] if data.in_colour else state.pictures


def background(state: Look, data: Data) -> Tensor:
    """The image of the background, (C, H, W)."""
    return data.down @ state.bg @ data.along.mT


def predicted(state: Look, data: Data) -> Tensor:
    """The image without noise, (C, H, W)."""
    drawn = draw_appearances(
        state.x,
        state.y,
        state.log_r.exp(),
        state.log_edge.exp(),
        state.weights,
        picture_units(state, data),
        data.size,
    )
    return background(state, data) + drawn


def moved(state: Look, step: Step) -> Look:
    """The state after a step."""
    r = state.log_r.exp()
    return state._replace(
        x=state.x + r * step.place[:, 0],
        y=state.y + r * step.place[:, 1],
        log_r=state.log_r + step.place[:, 2],
        weights=state.weights + step.weights,
        pictures=state.pictures + step.pictures,
        bg=state.bg + step.bg,
        log_edge=(state.log_edge + step.edge[0]).clamp(*LOG_EDGES),
    )


def sites_of(state: Look) -> dict[str, Tensor]:
    """Values of the sites of ``models.appearance``, by their names and in their shapes."""
    colour = state.weights.shape[-1] == 1 and state.pictures.shape[1] > 1
    return {
        "x": state.x,
        "y": state.y,
        "r": state.log_r.exp(),
        "edge": state.log_edge.exp(),
        "weights": state.weights[..., 0] if colour else state.weights.movedim(-1, 0),
        "pictures": state.pictures if colour else state.pictures[:, 0],
        "bg": state.bg,
        "noise": state.log_noise.exp(),
    }
