"""What a measurement is made of: the image, its candidate droplets, and the model that was fitted."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pyrodrop.models.prior_scales import PriorScales

if TYPE_CHECKING:  # a saved measurement is read without the recognition
    from pyrodrop.recognition.candidates import Candidates


class MeasuredImage(NamedTuple):
    """What was measured.

    channels: (C, H, W), float32, hot pixels filled from those beside them. names: of the channels, C of them.
    pixel_size_um: side of a pixel in micrometres, None where it is not known. hot_pixels: channel, row and column of
    each pixel that was filled, (n, 3), int64. looked_at: pixels that count, (H, W), bool; None for all. The others
    have the values that they had, and where they had none, what is around them. others: what the network alone counts
    in each channel of the file that was not measured, by name: the 5 %, 50 % and 95 % quantiles, (3,), int64.
    """

    channels: Tensor
    names: tuple[str, ...]
    pixel_size_um: float | None
    hot_pixels: Tensor = torch.zeros((0, 3), dtype=torch.int64)
    looked_at: Tensor | None = None
    others: Mapping[str, Tensor] = MappingProxyType({})


class CandidateDroplets(NamedTuple):
    """Droplets that may be there, N of them: first those that are counted, then the less probable ones.

    draws: posterior draws x_px, y_px, radius_px (of half height), for Gaussians sigma_px, (draws, N), and amplitude,
    (draws, C, N). presence: probability that each is there, (N,). at_bounds: those that the fit held back at an edge of
    where they may lie, (N,). ids: their numbers, which edits leave as they are, (N,), int64. decided: those that a
    person has said are there, (N,). unfitted: how many circles are too improbable to be candidates, and how many of
    those are expected to be droplets, (2,).
    """

    draws: dict[str, Tensor]
    presence: Tensor
    at_bounds: Tensor
    ids: Tensor
    decided: Tensor
    unfitted: Tensor = torch.zeros(2, dtype=torch.float64)


class FoundDroplets(NamedTuple):
    """What is known of M droplets beside their fit, and edits go on from.

    circles: x, y and radius of half height in px that each was found with, (M, 3). proposed: the network's probability
    that there is such a droplet, 0 for what it has not proposed, (M,). sd: standard deviations of x and y in px and of
    log radius as the network has them, (M, 3), 0 for what it has not proposed. own_edges: whether the droplets were
    seen to have edges of their own.
    """

    circles: Tensor
    proposed: Tensor
    sd: Tensor
    own_edges: bool

    @classmethod
    def of(cls, candidates: "Candidates", own_edges: bool) -> "FoundDroplets":
        """Of candidates, in their order."""
        circles = np.stack([candidates.x, candidates.y, candidates.radius], 1)
        parts = (circles, candidates.proposed, np.nan_to_num(candidates.sd))
        tensors = [torch.from_numpy(np.array(part, np.float64)) for part in parts]
        return cls(tensors[0], tensors[1], tensors[2], own_edges)


class FittedModel(NamedTuple):
    """The model that was fitted to the image.

    profile: its name. scales: those of the priors. sites: values of the model's sites at the mode, float64; the first N
    droplets are the candidates, those after them are too improbable to be reported, or lie beyond the image. shape_sd:
    standard deviations of the profile's shape parameters. evidence: log evidence of each profile that was tried.
    residual: channels less all that the model says, (C, H, W), float32. reduced_chi_square: mean squared residual over
    the square of the white noise that the image itself shows, (C,). losses: negative log density at the initial state
    of the last joint fit and after each of its steps, (steps + 1,). found: what else is known of the sites' droplets;
    None in a file from before this was noted.
    """

    profile: str
    scales: PriorScales
    sites: dict[str, Tensor]
    shape_sd: Tensor
    evidence: dict[str, float]
    residual: Tensor
    reduced_chi_square: Tensor
    losses: Tensor
    found: FoundDroplets | None = None
