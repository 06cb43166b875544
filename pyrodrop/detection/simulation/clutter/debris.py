"""Heaps of small things that are not round: dust, rods, blades and stones."""

import math

import numpy as np
from numpy.typing import NDArray

from ..chance import choose
from ..fields import texture
from .shapes import Stencil, corners

Rng = np.random.Generator
Picture = NDArray[np.float32]


def dust(rng: Rng, size: int, blur: float) -> Picture:
    """Short strokes and chips, none of them round after the blur."""
    s = Stencil(size)
    for _ in range(int(choose(rng, 2, 60))):
        stroke(rng, s, rng.uniform(0, math.pi), (2 + 3 * blur) * rng.uniform(1, 2.5), choose(rng, 0.5, 1.2))
    return s.mask()


def stroke(rng: Rng, s: Stencil, angle: float, length: float, width: float) -> None:
    """A straight piece of line anywhere."""
    step = np.array([math.cos(angle), math.sin(angle)]) * length / 2
    middle = rng.uniform(0, s.size, 2)
    s.line(np.stack([middle - step, middle + step]), width, rng.uniform(0.3, 1))


def rods(rng: Rng, size: int, blur: float) -> Picture:
    """Capsules at least three times as long as wide, as bacteria and fibres cut short are: filled or as outlines."""
    s = Stencil(size)
    width = choose(rng, 1.5 + 1.5 * blur, 0.12 * size)
    turn, order = rng.uniform(0, math.pi), rng.choice([0.1, 3.0])
    hollow = rng.random() < 0.3 and width > 4
    for _ in range(int(min(choose(rng, 1, 60), 1 + 0.1 * (size / width) ** 2))):
        length, angle = width * rng.uniform(3, 8), turn + order * rng.standard_normal()
        along = np.array([math.cos(angle), math.sin(angle)])
        across = np.array([-along[1], along[0]])
        arc = np.linspace(-math.pi / 2, math.pi / 2, 9)[:, None]
        cap = 0.5 * width * (np.cos(arc) * along + np.sin(arc) * across)
        outline = np.concatenate([cap + 0.5 * (length - width) * along, -cap - 0.5 * (length - width) * along])
        outline = outline + rng.uniform(0, size, 2)
        if hollow:
            s.line(np.concatenate([outline, outline[:1]]), choose(rng, 0.6, 1.5), 1.0)
        else:
            s.polygon(outline, rng.uniform(0.5, 1))
    return s.mask()


def blades(rng: Rng, size: int, blur: float) -> Picture:
    """Strokes one over the other until nothing is seen between, mostly in one direction: grass, hair, felt."""
    s = Stencil(size)
    turn, order, width = rng.uniform(0, math.pi), choose(rng, 0.05, 2), choose(rng, 0.7 + 0.5 * blur, 4)
    for _ in range(int(choose(rng, 60, 300))):
        stroke(rng, s, turn + order * rng.standard_normal(), width * rng.uniform(6, 20), width)
    return s.mask()


def stones(rng: Rng, size: int, blur: float) -> Picture:
    """Angular stones, rough, with shadows, one over the other: gravel and rubble."""
    s = Stencil(size)
    half = choose(rng, 3 + 4 * blur, 0.2 * size)
    shadow = rng.uniform(-1, 1, 2) * 0.25 * half
    for _ in range(int(min(250, 1 + 1.5 * (size / half) ** 2))):
        shape = corners(rng, half * rng.uniform(0.4, 1.4), int(rng.integers(4, 8))) + rng.uniform(0, size, 2)
        s.polygon(shape + shadow, 0.0)
        s.polygon(shape, rng.uniform(0.4, 1))
    rough = np.float32(rng.uniform(0.05, 0.5)) * texture(rng, size, choose(rng, 0.7, 3))
    return np.asarray(s.mask() * (1 + rough), dtype=np.float32)
