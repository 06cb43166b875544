"""Pieces that looks are put together from: rims, highlights, fringes, light from a side, texture, uneven outlines."""

import math

import numpy as np

from pyrodrop.rendering.profiles.gaussian import HALF_SHARE

from ..chance import choose, vary
from .columns import LINEAR, SPHERE, Droplets

Rng = np.random.Generator


def rim(rng: Rng, d: Droplets, blur: float, height: float, share: float, inward: float) -> None:
    """Ring 1 along the outline, of a width that is this share of r, its outer half height at r after the blur."""
    n = len(d)
    d.ring1 = height
    d.ring1_w = np.clip(vary(rng, n, share, 0.08) * d.r, 0.35, 0.4 * d.r)
    d.ring1_in = inward
    d.ring1_at = HALF_SHARE * np.hypot(d.ring1_w, blur)


def within_rim(d: Droplets) -> None:
    """Let the body end where the rim begins, so that a rim of the other sign is not lost in it."""
    d.core, d.core_r = d.body, np.maximum(1 - (d.ring1_at + HALF_SHARE * d.ring1_w) / d.r, 0.2)
    d.core_edge = np.maximum(0.3, 0.7 * d.ring1_w)
    d.body = 0.0


def highlights(rng: Rng, d: Droplets, n: int) -> None:
    """One or two bright spots, at the same place on every droplet but for a little."""
    for name in ("spot1", "spot2")[:n]:
        place, turn = rng.uniform(0.1, 0.7), rng.uniform(0, 2 * math.pi)
        setattr(d, name, vary(rng, len(d), choose(rng, 0.3, 2.0), 0.2))
        setattr(d, f"{name}_x", place * math.cos(turn) + 0.04 * rng.standard_normal(len(d)))
        setattr(d, f"{name}_y", place * math.sin(turn) + 0.04 * rng.standard_normal(len(d)))
        setattr(d, f"{name}_w", np.maximum(vary(rng, len(d), choose(rng, 0.05, 0.22), 0.1), 0.4 / d.r))


def fringes(rng: Rng, d: Droplets, inwards: bool) -> None:
    """Waves about the edge that die away outwards, and inwards too if asked."""
    d.fringe = rng.uniform(0.1, 0.5)
    d.fringe_wave = np.maximum(2.5, choose(rng, 0.15, 0.6) * d.r)
    d.fringe_out = d.fringe_wave * rng.uniform(0.3, 0.9)
    d.fringe_in = d.fringe_wave * rng.uniform(0.5, 2.0) if inwards else 0.0
    d.fringe_phase = rng.uniform(0, 2 * math.pi)


def light_from_a_side(rng: Rng, d: Droplets) -> None:
    """The body a little brighter at one side."""
    d.light = rng.choice([LINEAR, SPHERE])
    d.light_strength = rng.uniform(0.05, 0.6)
    d.light_angle = rng.uniform(0, 2 * math.pi)


def textured(rng: Rng, d: Droplets, strength: float) -> None:
    """A piece of the picture of textures inside, its grain a share of r."""
    n = len(d)
    d.texture = strength
    d.texture_x, d.texture_y = rng.uniform(0, 256, (2, n))
    d.texture_zoom = choose(rng, 10, 80) / np.maximum(d.r, 2)


def uneven(rng: Rng, d: Droplets, height: float) -> None:
    """Outlines with two low waves each, of about this height relative to r."""
    n = len(d)
    d.mode1, d.mode2 = rng.integers(2, 4, n), rng.integers(3, 7, n)
    d.wave1, d.wave2 = height * rng.standard_normal((2, n)).clip(-2, 2) * [[1.0], [0.5]]
    d.phase1, d.phase2 = rng.uniform(0, 2 * math.pi, (2, n))
