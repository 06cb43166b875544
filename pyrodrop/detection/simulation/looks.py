"""Looks: how round things appear, from a Gaussian spot to a coin.

A look dresses droplets whose outlines are set: it writes heights, rings, light and the rest into their rows. In each,
``r`` stays the outer rim: the distance at which the outermost edge is at half its height after the blur that follows.
Heights are about 1, the contrast of the patch; brightness from droplet to droplet, and dark or bright, come later.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .columns import LINEAR, SPHERE, STEP, Droplets

Rng = np.random.Generator
HALF = math.sqrt(2 * math.log(2))  # of a Gaussian: from its centre to half its height, in standard deviations


def vary(rng: Rng, n: int, value: float, spread: float) -> NDArray[np.float64]:
    """A positive number for each droplet about the same value, log-normal."""
    return value * np.exp(spread * rng.standard_normal(n))


def choose(rng: Rng, low: float, high: float) -> float:
    """A positive number between two, in any order, every order of magnitude as likely as the next."""
    low, high = min(low, high), max(low, high)
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def rim(rng: Rng, d: Droplets, blur: float, height: float, share: float, inward: float) -> None:
    """Ring 1 along the outline, of a width that is this share of r, its outer half height at r after the blur."""
    n = len(d)
    d.ring1 = height
    d.ring1_w = np.clip(vary(rng, n, share, 0.08) * d.r, 0.35, 0.4 * d.r)
    d.ring1_in = inward
    d.ring1_at = HALF * np.hypot(d.ring1_w, blur)


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
        d.body = rng.uniform(-0.15, 0.25)
        d.edge = np.maximum(0.3, d.ring1_w)


def rimmed(rng: Rng, d: Droplets, blur: float) -> None:
    """A dark rim and a bright core, the commonest picture of a droplet in bright field; with halo or fringes."""
    n = len(d)
    rim(rng, d, blur, -1.0, choose(rng, 0.04, 0.25), choose(rng, 0.8, 3.0))
    d.core = vary(rng, n, rng.uniform(0.05, 1.2), 0.2)
    d.core_r = rng.uniform(0.15, 0.85)
    d.core_edge = np.maximum(0.3, choose(rng, 0.03, 0.35) * d.r)
    if rng.random() < 0.5:
        d.body = rng.uniform(-0.6, 0.4)
        d.edge = np.maximum(0.3, d.ring1_w)
    if rng.random() < 0.5:
        d.ring2 = rng.uniform(0.1, 0.7)
        d.ring2_w = d.ring1_w * rng.uniform(0.5, 1.5)
        d.ring2_at = -HALF * d.ring2_w - rng.uniform(0.2, 1.0) * d.ring1_w
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
        rim(rng, d, blur, rng.uniform(-1.2, -0.3), choose(rng, 0.03, 0.15), choose(rng, 0.8, 2.0))
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
    """A thick wall: bright within its two edges, which may be lines."""
    rim(rng, d, blur, 1.0, choose(rng, 0.02, 0.06), 1.0)
    thickness = choose(rng, 0.12, 0.4)
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
        d.fringe_phase = 0.0
        # The outermost edge is that of the bright ring about r: half height a sixth of a wave further out.
        d.ring1 = d.fringe * 0.5
        d.ring1_w = d.fringe_wave / 6
        d.ring1_at = d.fringe_wave / 6
    else:
        d.gauss = rng.uniform(0.0, 0.7)


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
    rim(rng, d, blur, -rng.uniform(0.2, 1.0), choose(rng, 0.03, 0.15), choose(rng, 1.0, 3.0))
    highlights(rng, d, int(rng.integers(1, 3)))
    if rng.random() < 0.3:
        textured(rng, d, 0.15)


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
    width = choose(rng, 1.0, 3.5)
    d.r = width * np.exp(0.05 * rng.standard_normal(len(d)))
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
    "redcell": Look(redcell, 5.0, 0.7),
    "condensed": Look(condensed, 3.0, 0.7),
    "grainy": Look(grainy, 3.0, 0.8),
    "star": Look(star, 0.8, 0.9),
    "cone": Look(cone, 1.2, 0.7),
}
