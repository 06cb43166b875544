"""Lines, curves and polygons, drawn as masks at twice the size."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ..chance import choose

Rng = np.random.Generator
Picture = NDArray[np.float32]


class Stencil:
    """A mask from 0 to 1 that lines and polygons are drawn into, at twice the size."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.image = Image.new("L", (2 * size, 2 * size), 0)
        self.draw = ImageDraw.Draw(self.image)

    def line(self, points: NDArray[np.float64], width: float, tone: float = 1.0) -> None:
        """A chain of lines through points (n, 2), in px of the patch."""
        xy = [tuple(p) for p in (2 * points + 0.5).tolist()]
        self.draw.line(xy, fill=int(255 * tone), width=max(1, round(2 * width)), joint="curve")

    def polygon(self, points: NDArray[np.float64], tone: float = 1.0) -> None:
        """A filled polygon of points (n, 2), in px of the patch."""
        self.draw.polygon([tuple(p) for p in (2 * points + 0.5).tolist()], fill=int(255 * tone))

    def mask(self) -> Picture:
        """The mask, reduced."""
        return np.asarray(self.image.reduce(2), dtype=np.float32) / np.float32(255)


def straight(rng: Rng, size: int, reach: float = 1.5) -> NDArray[np.float64]:
    """Two ends of a line across the patch."""
    angle = rng.uniform(0, math.pi) if rng.random() < 0.6 else rng.choice([0.0, math.pi / 2])
    middle = rng.uniform(0, size, 2)
    step = reach * size * np.array([math.cos(angle), math.sin(angle)])
    return np.stack([middle - step, middle + step])


def curve(rng: Rng, size: int) -> NDArray[np.float64]:
    """A smooth curve across the patch: an arc of a large circle or a wandering line, 40 points."""
    if rng.random() < 0.5:
        radius = choose(rng, 0.45, 3) * size
        angle = rng.uniform(0, 2 * math.pi)
        centre = rng.uniform(0, size, 2) - radius * np.array([math.cos(angle), math.sin(angle)])
        turn = angle + np.linspace(-1, 1, 40) * min(math.pi / 2, 1.5 * size / radius)
        return centre + radius * np.stack([np.cos(turn), np.sin(turn)], 1)
    turn = rng.uniform(0, 2 * math.pi) + np.cumsum(rng.normal(0, choose(rng, 0.02, 0.4), 40))
    steps = np.stack([np.cos(turn), np.sin(turn)], 1) * size / 25
    path = np.cumsum(steps, 0)
    return path - path[20] + rng.uniform(0, size, 2)


def bend(rng: Rng, size: int, width: float) -> NDArray[np.float64]:
    """The middle of a channel that goes straight, turns back on itself in half a circle and goes straight, (n, 2)."""
    radius = max(width * rng.uniform(0.6, 1.5), 0.1 * size)
    turn = np.linspace(0, math.pi, 30)
    arc = radius * np.stack([np.cos(turn), np.sin(turn)], 1)
    far = np.linspace(2 * size, 0, 4)[:, None] * [[0.0, -1.0]]
    path = np.concatenate([far + arc[0], arc[1:-1], far[::-1] + arc[-1]])
    a = rng.integers(4) * math.pi / 2 if rng.random() < 0.6 else rng.uniform(0, 2 * math.pi)
    return path @ np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]) + rng.uniform(0, size, 2)


def corners(rng: Rng, size: float, n: int) -> NDArray[np.float64]:
    """A convex polygon of n corners about the origin, of this half width, its axes unequal, (n, 2).

    Small ones have fewer corners, at least three: a heptagon of a few px is a disc to everybody.
    """
    n = min(n, 3 + int(size / 4))
    turn = np.sort(rng.uniform(0, 2 * math.pi, n)) if rng.random() < 0.5 else np.arange(n) * 2 * math.pi / n
    points = np.stack([np.cos(turn), rng.uniform(0.35, 1) * np.sin(turn)], 1) * size
    a = rng.uniform(0, 2 * math.pi)
    return points @ np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
