"""Looks: how round things appear, from a Gaussian spot to a coin.

A look dresses droplets whose outlines are set: it writes heights, rings, light and the rest into their rows. In each,
``r`` stays the outer rim: the distance at which the outermost edge is at half its height after the blur that follows.
Heights are about 1, the contrast of the patch; brightness from droplet to droplet, and dark or bright, come later.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pyrodrop.rendering.profiles.gaussian import HALF_SHARE

from ..chance import choose, vary
from .columns import LINEAR, SPHERE, STEP, Droplets
from .dressing import fringes, highlights, light_from_a_side, rim, textured, uneven, within_rim

Rng = np.random.Generator


def gaussian(rng: Rng, d: Droplets, blur: float) -> None:
    """A Gaussian spot, or something between one and a disc."""
    d.body = 1.0
    d.gauss = rng.choice([1.0, rng.uniform(0.3, 1.0)])
    d.edge = np.maximum(0.3, rng.uniform(0.05, 0.3) * d.r)


def disc(rng: Rng, d: Droplets, blur: float) -> None:
    """A flat disc, its edge sharp or soft, a little darker or brighter towards the rim."""
    d.body = 1.0
    d.edge = np.maximum(0.3, choose(rng, 0.01, 0.3) * d.r)
    d.bowl = rng.normal(0, 0.15)
    d.opacity = rng.choice([0.0, 1.0])


def dome(rng: Rng, d: Droplets, blur: float) -> None:
    """Bright in the middle, as a fluorescent sphere is."""
    d.body = 1.0
    d.dome = rng.uniform(0.15, 0.9)
    d.opacity = rng.choice([0.0, 0.0, 1.0])


def ring(rng: Rng, d: Droplets, blur: float) -> None:
    """A rim, gray inside as outside, thin or thick."""
    rim(rng, d, blur, 1.0, choose(rng, 0.015, 0.25), choose(rng, 0.7, 2.5))
    if rng.random() < 0.5:
        d.body = rng.uniform(-0.6, 0.4)
        d.edge = np.maximum(0.3, d.ring1_w)
        if rng.random() < 0.3:
            light_from_a_side(rng, d)


def rimmed(rng: Rng, d: Droplets, blur: float) -> None:
    """A dark rim and a bright core, the commonest picture of a droplet in bright field; with halo or fringes."""
    n = len(d)
    rim(rng, d, blur, -1.0, choose(rng, 0.04, 0.25), choose(rng, 0.8, 3.0))
    if rng.random() < 0.85:
        d.core = vary(rng, n, rng.uniform(0.05, 1.2), 0.2)
        d.core_r = rng.uniform(0.15, 0.85)
        d.core_edge = np.maximum(0.3, choose(rng, 0.06, 0.35) * d.r)
    if rng.random() < 0.5:
        d.body = rng.uniform(-0.6, 0.4)
        d.edge = np.maximum(0.3, d.ring1_w)
    if rng.random() < 0.5:
        d.ring2 = rng.uniform(0.1, 0.7)
        d.ring2_w = d.ring1_w * rng.uniform(0.5, 1.5)
        d.ring2_at = -HALF_SHARE * d.ring2_w - rng.uniform(0.2, 1.0) * d.ring1_w
    if rng.random() < 0.2:
        fringes(rng, d, inwards=False)
    if rng.random() < 0.3:
        light_from_a_side(rng, d)


def halfmoon(rng: Rng, d: Droplets, blur: float) -> None:
    """One half light and one dark, sharply divided or shaded over, as oblique light makes them; often with a rim."""
    d.body = 1.0
    d.light = rng.choice([LINEAR, STEP])
    d.light_strength = rng.uniform(0.55, 1.0)
    d.light_angle = rng.uniform(0, 2 * math.pi) + 0.1 * rng.standard_normal(len(d))
    d.light_soft = rng.uniform(0.1, 0.8)
    d.edge = np.maximum(0.3, choose(rng, 0.02, 0.15) * d.r)
    d.bowl = rng.uniform(0, 0.6)
    if rng.random() < 0.6:
        rim(rng, d, blur, rng.uniform(-1.2, -0.5), choose(rng, 0.03, 0.12), choose(rng, 0.8, 2.0))
        within_rim(d)
    if rng.random() < 0.5:
        highlights(rng, d, 1)
    d.opacity = rng.choice([0.0, 0.9])


def lens(rng: Rng, d: Droplets, blur: float) -> None:
    """A droplet that gathers light to a spot in its middle, within a dim body and a rim."""
    n = len(d)
    d.body = rng.uniform(-0.7, 0.3)
    d.edge = np.maximum(0.3, choose(rng, 0.03, 0.12) * d.r)
    d.core = vary(rng, n, rng.uniform(0.7, 2.0), 0.2)
    d.core_r = rng.uniform(0.05, 0.4)
    d.core_edge = np.maximum(0.35, choose(rng, 0.04, 0.2) * d.r)
    rim(rng, d, blur, -rng.uniform(0.4, 1.2), choose(rng, 0.03, 0.12), choose(rng, 0.8, 2.0))


def highlight(rng: Rng, d: Droplets, blur: float) -> None:
    """A body with one or two reflections of the lamp on it."""
    d.body = rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 1.0)
    d.edge = np.maximum(0.3, choose(rng, 0.02, 0.12) * d.r)
    d.dome = rng.choice([0.0, rng.uniform(0.2, 0.6)])
    highlights(rng, d, int(rng.integers(1, 3)))
    if rng.random() < 0.4:
        light_from_a_side(rng, d)
    d.opacity = rng.choice([0.0, 1.0])


def shell(rng: Rng, d: Droplets, blur: float) -> None:
    """A wall of a tenth to a fifth of the radius between two edges; where it is thicker, both edges are droplets."""
    rim(rng, d, blur, 1.0, choose(rng, 0.02, 0.06), 1.0)
    thickness = choose(rng, 0.1, 0.22)
    d.ring2 = rng.uniform(0.4, 1.2)
    d.ring2_w = d.ring1_w
    d.ring2_at = d.ring1_at + thickness * d.r
    d.body = rng.uniform(-0.3, 0.6)
    d.core = -d.body * rng.uniform(0.5, 1.2)
    d.core_r = 1 - thickness
    d.core_edge = np.maximum(0.3, d.ring1_w)
    d.edge = np.maximum(0.3, d.ring1_w)


def nucleus(rng: Rng, d: Droplets, blur: float) -> None:
    """A body mottled inside, as stained nuclei are; some with a bright dot or two."""
    d.body = 1.0
    d.edge = np.maximum(0.4, choose(rng, 0.04, 0.25) * d.r)
    d.dome = rng.choice([0.0, rng.uniform(0.1, 0.5)])
    textured(rng, d, rng.uniform(0.1, 0.4))
    if rng.random() < 0.4:
        highlights(rng, d, 2)
    if rng.random() < 0.5:
        d.ratio = 1 - rng.uniform(0.1, 0.5) * rng.random(len(d))
        d.angle = rng.uniform(0, math.pi, len(d))


def sphere(rng: Rng, d: Droplets, blur: float) -> None:
    """An opaque ball lit from a side, brighter at its edge, as in electron microscopes; smooth or rough."""
    d.body = 1.0
    d.opacity = 1.0
    d.level = rng.uniform(-0.2, 0.3)
    d.edge = np.maximum(0.3, choose(rng, 0.01, 0.06) * d.r)
    d.bowl = rng.uniform(-0.3, 1.0)
    d.light = rng.choice([SPHERE, SPHERE, LINEAR])
    d.light_strength = rng.uniform(0.05, 0.6)
    d.light_angle = rng.uniform(0, 2 * math.pi)
    if rng.random() < 0.6:
        rim(rng, d, blur, rng.uniform(0.2, 1.0), choose(rng, 0.02, 0.1), choose(rng, 1.0, 4.0))
    if rng.random() < 0.5:
        textured(rng, d, choose(rng, 0.03, 0.35))
    if rng.random() < 0.25:
        highlights(rng, d, 1)


def coin(rng: Rng, d: Droplets, blur: float) -> None:
    """Embossed metal: opaque, strongly textured, with a border."""
    d.body = rng.uniform(0.4, 1.0)
    d.opacity = 1.0
    d.edge = np.maximum(0.3, 0.02 * d.r)
    textured(rng, d, rng.uniform(0.2, 0.6))
    rim(rng, d, blur, rng.uniform(0, 0.5), choose(rng, 0.03, 0.1), 1.0)
    light_from_a_side(rng, d)


def defocused(rng: Rng, d: Droplets, blur: float) -> None:
    """Out of focus: a soft edge of its own for each, rings of diffraction within and about it."""
    n = len(d)
    d.body = rng.uniform(-0.3, 1.0)
    d.edge = np.maximum(0.4, vary(rng, n, choose(rng, 0.05, 0.3), 0.4) * d.r)
    if rng.random() < 0.7:
        fringes(rng, d, inwards=True)
        d.fringe = rng.uniform(0.4, 1.0) * rng.choice([-1.0, 1.0])
        # The outermost edge is that of the last full ring: a wave is at half its height a sixth of its length out.
        d.fringe_phase = math.pi / 3
        d.ring1 = d.fringe * 0.5
        d.ring1_w = d.fringe_wave / 6
        d.ring1_at = d.fringe_wave / 6
    else:
        d.gauss = rng.uniform(0.0, 0.7)


def hologram(rng: Rng, d: Droplets, blur: float) -> None:
    """A small body with many rings of interference about it, each weaker: its own edge is the innermost."""
    d.body = rng.choice([-1.0, 1.0])
    d.gauss = 1.0
    d.fringe = rng.uniform(0.15, 0.5)
    d.fringe_wave = np.maximum(2.5, rng.uniform(0.9, 1.8) * d.r)
    d.fringe_out = d.fringe_wave * rng.uniform(0.5, 1.6)
    d.fringe_phase = rng.uniform(0.5, 1.5) * math.pi


def redcell(rng: Rng, d: Droplets, blur: float) -> None:
    """A dark ring-shaped body with a pale middle, its outline a little uneven; seen through each other."""
    n = len(d)
    d.body = -1.0
    d.edge = np.maximum(0.4, choose(rng, 0.02, 0.08) * d.r)
    d.bowl = rng.uniform(-0.2, 0.6)
    d.core = vary(rng, n, rng.uniform(0.2, 0.9), 0.25)
    d.core_r = vary(rng, n, rng.uniform(0.15, 0.5), 0.15)
    d.core_edge = rng.uniform(0.08, 0.25) * d.r
    d.opacity = rng.choice([0.0, 0.5])
    if rng.random() < 0.5:
        rim(rng, d, blur, -rng.uniform(0.1, 0.6), choose(rng, 0.03, 0.08), 1.5)
    uneven(rng, d, 0.04)


def condensed(rng: Rng, d: Droplets, blur: float) -> None:
    """Drops on glass: dark at one side, bright at the other, a highlight at a fixed place."""
    d.body = 1.0
    d.opacity = rng.uniform(0.5, 1.0)
    d.light = rng.choice([LINEAR, SPHERE])
    d.light_strength = rng.uniform(0.7, 1.0)
    d.light_angle = rng.uniform(0, 2 * math.pi)
    d.edge = np.maximum(0.3, choose(rng, 0.02, 0.1) * d.r)
    rim(rng, d, blur, -rng.uniform(0.6, 1.3), choose(rng, 0.03, 0.1), choose(rng, 1.0, 2.0))
    within_rim(d)
    highlights(rng, d, int(rng.integers(1, 3)))
    if rng.random() < 0.5:  # the neighbours' reflections
        textured(rng, d, choose(rng, 0.1, 0.6))


def grainy(rng: Rng, d: Droplets, blur: float) -> None:
    """Particles on a film: weak, grainy, with diffuse edges, through each other darker."""
    n = len(d)
    d.body = vary(rng, n, 1.0, 0.4)
    d.edge = np.maximum(0.5, choose(rng, 0.04, 0.3) * d.r)
    d.dome = rng.choice([0.0, rng.uniform(0.2, 0.5)])
    textured(rng, d, rng.uniform(0.1, 0.5))
    uneven(rng, d, 0.05)


def star(rng: Rng, d: Droplets, blur: float) -> None:
    """The point spread of a point: small, bright and faint ones together; all of one width."""
    d.body = 1.0
    d.gauss = 1.0
    if rng.random() < 0.3:
        d.ring2 = rng.uniform(0.02, 0.1)
        d.ring2_at = -1.3 * d.r
        d.ring2_w = 0.4 * d.r


def cone(rng: Rng, d: Droplets, blur: float) -> None:
    """A bright blob of a mosaic, hugely brighter or fainter than the next."""
    d.body = 1.0
    d.gauss = rng.uniform(0.4, 1.0)
    d.edge = 0.3 * d.r
    d.ratio = np.clip(1 - 0.1 * np.abs(rng.standard_normal(len(d))), 0.6, 1)
    d.angle = rng.uniform(0, math.pi, len(d))


class Look(NamedTuple):
    """A look: what dresses droplets in it, the smallest radius at which it can be seen, in px, and how often."""

    dress: Callable[[Rng, Droplets, float], None]
    smallest: float
    weight: float


LOOKS = {
    "gaussian": Look(gaussian, 0.8, 1.3),
    "disc": Look(disc, 1.0, 1.3),
    "dome": Look(dome, 1.5, 1.0),
    "ring": Look(ring, 2.5, 1.2),
    "rimmed": Look(rimmed, 2.5, 2.2),
    "halfmoon": Look(halfmoon, 2.5, 1.0),
    "lens": Look(lens, 4.0, 0.8),
    "highlight": Look(highlight, 3.0, 0.7),
    "shell": Look(shell, 6.0, 0.6),
    "nucleus": Look(nucleus, 3.0, 0.8),
    "sphere": Look(sphere, 2.5, 1.2),
    "coin": Look(coin, 6.0, 0.5),
    "defocused": Look(defocused, 3.5, 0.8),
    "hologram": Look(hologram, 2.5, 0.3),
    "redcell": Look(redcell, 5.0, 0.7),
    "condensed": Look(condensed, 3.0, 0.7),
    "grainy": Look(grainy, 3.0, 0.8),
    "star": Look(star, 0.8, 0.9),
    "cone": Look(cone, 1.2, 0.7),
}
