"""What a measurement is made of: the image, its candidate droplets, and the model that was fitted."""

from typing import NamedTuple

import torch
from torch import Tensor

from pyrodrop.models.prior_scales import PriorScales


class MeasuredImage(NamedTuple):
    """What was measured.

    channels: (C, H, W), float32, hot pixels filled from those beside them. names: of the channels, C of them.
    pixel_size_um: side of a pixel in micrometres, None where it is not known. hot_pixels: channel, row and column of
    each pixel that was filled, (n, 3), int64. looked_at: pixels that count, (H, W), bool; None for all. The others
    have the values that they had, and where they had none, what is around them.
    """

    channels: Tensor
    names: tuple[str, ...]
    pixel_size_um: float | None
    hot_pixels: Tensor = torch.zeros((0, 3), dtype=torch.int64)
    looked_at: Tensor | None = None


class CandidateDroplets(NamedTuple):
    """Droplets that may be there, N of them: first those that are counted, then the less probable ones.

    draws: posterior draws x_px, y_px, radius_px (of half height), for Gaussians sigma_px, (draws, N), and amplitude,
    (draws, C, N). presence: probability that each is there, (N,). at_bounds: those that the fit held back at an edge of
    where they may lie, (N,).
    """

    draws: dict[str, Tensor]
    presence: Tensor
    at_bounds: Tensor


class FittedModel(NamedTuple):
    """The model that was fitted to the image.

    profile: its name. scales: those of the priors. sites: values of the model's sites at the mode, float64; the first N
    droplets are the candidates, those after them are too improbable to be reported, or lie beyond the image. shape_sd:
    standard deviations of the profile's shape parameters. evidence: log evidence of each profile that was tried.
    residual: channels less all that the model says, (C, H, W), float32. reduced_chi_square: mean squared residual over
    the square of the white noise that the image itself shows, (C,). losses: negative log density at the initial state
    of the last joint fit and after each of its steps, (steps + 1,).
    """

    profile: str
    scales: PriorScales
    sites: dict[str, Tensor]
    shape_sd: Tensor
    evidence: dict[str, float]
    residual: Tensor
    reduced_chi_square: Tensor
    losses: Tensor
