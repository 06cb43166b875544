"""Broad and fast simulations of round things in images, and of all that is none: what the network learns from.

``simulate_patches`` is the door; droplets/, clutter/ and camera/ hold what it puts together. Nothing here knows the
network; no image from outside enters.
"""

from .patches import Patch, Patches, simulate_patch, simulate_patches

__all__ = ["Patch", "Patches", "simulate_patch", "simulate_patches"]
