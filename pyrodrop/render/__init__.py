"""Droplets to pixels: pure functions of tensors, no Pyro."""

from pyrodrop.render.renderer import PROFILES, log_likelihood, render

__all__ = ["PROFILES", "log_likelihood", "render"]
