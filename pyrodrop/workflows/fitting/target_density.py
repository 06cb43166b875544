"""The density that a fit approximates: that of the model ``channel_fit`` for one image and the settings of the fit."""

from typing import Any

import torch
from torch import Tensor

from pyrodrop.inference.density import Density, flatten
from pyrodrop.models import channel_fit
from pyrodrop.workflows.fit_settings import FitSettings


def model_arguments(channel: Tensor, settings: FitSettings) -> tuple[int, int, int, Tensor, float]:
    """What ``channel_fit`` is called with for a channel (H, W)."""
    height, width = channel.shape
    return width, height, settings.n_droplets, channel, settings.error_scale


def assumed(settings: FitSettings) -> dict[str, Any]:
    """What ``channel_fit`` is called with by keyword: priors and noise that are not its own."""
    own: dict[str, Any] = {"priors": settings.priors} if settings.priors else {}
    return own if settings.noise is None else own | {"noise": settings.noise}


def density_of(channel: Tensor, settings: FitSettings) -> Density:
    """The density of ``channel_fit`` for a channel (H, W), on the device of the settings."""
    device = torch.device(settings.device)
    arguments = (*model_arguments(channel.to(device), settings), False)
    return flatten(channel_fit, arguments, assumed(settings), device=device)
