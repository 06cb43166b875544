"""Droplets to pixels: pure functions of tensors, no Pyro."""

from pyrodrop.render.reference import PROFILES
from pyrodrop.render.renderer import log_likelihood, render

__all__ = ["PROFILES", "log_likelihood", "render"]
