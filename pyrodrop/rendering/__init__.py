"""Droplets to pixels: pure functions of tensors, no Pyro."""

from pyrodrop.render.profiles import HALF_RADIUS, PROFILES, SHAPES, half_radius
from pyrodrop.render.renderer import log_likelihood, render

__all__ = ["HALF_RADIUS", "PROFILES", "SHAPES", "half_radius", "log_likelihood", "render"]
