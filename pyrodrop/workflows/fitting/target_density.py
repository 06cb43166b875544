"""What a fit is a fit of: the model with its arguments, and its density."""

import torch
from torch import Tensor

from pyrodrop.inference.density import Density, flatten
from pyrodrop.models import channel_fit
from pyrodrop.workflows.settings import Settings


def model_arguments(channel: Tensor, settings: Settings) -> tuple[int, int, int, Tensor, float]:
    """What ``channel_fit`` is called with for a channel (H, W)."""
    height, width = channel.shape
    return width, height, settings.n_droplets, channel, settings.error_scale


def density_of(channel: Tensor, settings: Settings) -> Density:
    """The density of ``channel_fit`` for a channel (H, W), on the device of the settings."""
    device = torch.device(settings.device)
    return flatten(channel_fit, (*model_arguments(channel.to(device), settings), False), device=device)
