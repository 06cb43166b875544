"""Droplets to pixels: pure functions of tensors, no Pyro."""

from pyrodrop.rendering.profiles.registry import HALF_RADIUS, PROFILES, SHAPES, half_radius
from pyrodrop.rendering.renderer import log_likelihood, render

__all__ = ["HALF_RADIUS", "PROFILES", "SHAPES", "half_radius", "log_likelihood", "render"]
