"""Droplets to pixels: pure functions of tensors, no Pyro."""

from pyrodrop.rendering.profiles import PROFILES, Profile, profile_named
from pyrodrop.rendering.renderer import log_likelihood, render

__all__ = ["PROFILES", "Profile", "log_likelihood", "profile_named", "render"]
