"""The density that a fit approximates: that of the model ``channel_fit`` for one image and the settings of the fit."""

import torch
from torch import Tensor

from pyrodrop.inference.density import Density, flatten
from pyrodrop.models import channel_fit
from pyrodrop.workflows.fit_settings import FitSettings


def model_arguments(channel: Tensor, settings: FitSettings) -> tuple[int, int, int, Tensor, float]:
    """What ``channel_fit`` is called with for a channel (H, W)."""
    height, width = channel.shape
    return width, height, settings.n_droplets, channel, settings.error_scale


def density_of(channel: Tensor, settings: FitSettings) -> Density:
    """The density of ``channel_fit`` for a channel (H, W), on the device of the settings."""
    device = torch.device(settings.device)
    return flatten(channel_fit, (*model_arguments(channel.to(device), settings), False), device=device)
