"""Droplets to pixels: pure functions of tensors, no Pyro."""

from pyrodrop.render.renderer import PROFILES, render

__all__ = ["PROFILES", "render"]
