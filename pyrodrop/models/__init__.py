"""Droplets as Pyro models: ordinary functions that any Pyro handler, guide or kernel takes."""

from pyrodrop.models.appearance import appearance
from pyrodrop.models.assumed.noise_families import CameraNoise, StudentNoise
from pyrodrop.models.channel_fit import channel_fit
from pyrodrop.models.kinds import kinds
from pyrodrop.models.priors import centres, colours, rendered

__all__ = ["CameraNoise", "StudentNoise", "appearance", "centres", "channel_fit", "colours", "kinds", "rendered"]
