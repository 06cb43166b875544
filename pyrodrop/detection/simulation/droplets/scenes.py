"""A scene: which droplets lie where and how they look, before anything is painted."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..chance import choose
from .arrangements import ARRANGEMENTS, Circles, distinct, inside
from .columns import COLUMN, LARGER, PRODUCT, SMALLER, Droplets
from .dressing import uneven
from .looks import LOOKS, Look

Rng = np.random.Generator
HEIGHTS = [COLUMN[name] for name in ("body", "core", "ring1", "ring2", "ring3", "fringe", "spot1", "spot2", "texture")]
# How often a look is arranged otherwise than the rest; the rest are as likely as written in ``COMMON``.
COMMON = {"scattered": 1.5, "apart": 2.0, "packed": 1.2, "lattice": 0.8, "clusters": 1.2, "single": 1.0, "graded": 0.8}
OWN = {
    "star": {"scattered": 4.0, "apart": 1.0},
    "cone": {"packed": 3.0, "lattice": 2.0, "scattered": 0.5},
    "sphere": {"packed": 2.0, "graded": 2.0, "scattered": 1.0, "apart": 1.0, "clusters": 1.5},
    "coin": {"lattice": 2.0, "apart": 2.0, "single": 1.0},
    "condensed": {"packed": 1.0, "apart": 1.5, "graded": 2.5},
    "redcell": {"scattered": 2.0, "apart": 1.0, "clusters": 1.0},
}
OUTER = ("ring", "rimmed", "disc", "dome", "shell", "lens", "defocused")
SOFT = ("gaussian", "star", "cone")
INNER = ("ring", "rimmed", "disc", "dome", "gaussian", "lens", "nucleus", "highlight")


class Scene(NamedTuple):
    """Droplets, how many others each lies in, shape (n,), and the name of the look."""

    droplets: Droplets
    depth: NDArray[np.int64]
    kind: str


def pick(rng: Rng, weights: dict[str, float]) -> str:
    """One of the names, as often as its weight says."""
    names = list(weights)
    shares = np.array([weights[name] for name in names])
    return names[int(rng.choice(len(names), p=shares / shares.sum()))]


def outlined(rng: Rng, circles: Circles) -> Droplets:
    """Droplets on these circles; in a fifth of scenes they are ellipses, in a fifth uneven."""
    d = Droplets(len(circles.x))
    d.x, d.y, d.r = circles.x, circles.y, circles.r
    if rng.random() < 0.2:
        strength = rng.uniform(0.05, 0.5)
        d.ratio = 1 - strength * rng.random(len(d))
        d.angle = rng.uniform(0, math.pi) + rng.uniform(0, 1.5) * rng.standard_normal(len(d))
    if rng.random() < 0.2:
        uneven(rng, d, choose(rng, 0.01, 0.06))
    return d


def unequal(rng: Rng, d: Droplets, kind: str) -> None:
    """Give each droplet its brightness and its sign: alike, log-normal, or a few far brighter than the rest."""
    n = len(d)
    wide = kind in ("star", "cone", "gaussian")
    draw = rng.random()
    if draw < (0.25 if wide else 0.65):
        factor = np.exp(rng.uniform(0, 0.15) * rng.standard_normal(n))
    elif draw < 0.9:
        factor = np.exp(rng.uniform(0.2, 1.1 if wide else 0.7) * rng.standard_normal(n))
    else:
        factor = np.where(rng.random(n) < rng.uniform(0.05, 0.4), 1.0, choose(rng, 0.05, 0.5))
    if rng.random() < 0.12:
        factor = factor * np.where(rng.random(n) < rng.uniform(0.1, 0.9), 1.0, -1.0)
    d.rows[:, HEIGHTS] *= factor[:, None]


def dressed(rng: Rng, d: Droplets, kind: str, blur: float) -> None:
    """Dress droplets in a look and give them their brightness and the way they mix."""
    LOOKS[kind].dress(rng, d, blur)
    unequal(rng, d, kind)
    if not d.opacity.any() and not d.light.any():
        draw = rng.random()
        if draw < 0.12:
            d.mix = LARGER if d.body.sum() + d.core.sum() >= 0 else SMALLER
        elif draw < 0.2:
            d.mix = PRODUCT


def radius(rng: Rng, size: int, smallest: float, largest: float) -> float:
    """A radius in px of the final image, every octave as likely, with more of middle ones."""
    low, high = max(1.0, smallest), max(largest, 1.2 * smallest)
    return choose(rng, low, high) if rng.random() < 0.6 else choose(rng, low, min(high, max(4 * low, 14.0)))


def plain(rng: Rng, width: float, factor: float, blur: float, size: int) -> Scene:
    """Droplets of one look, or one time in eight of two."""
    kind = pick(rng, {name: look.weight for name, look in LOOKS.items()})
    look: Look = LOOKS[kind]
    largest = size / 3 / factor
    r = radius(rng, size, look.smallest * factor, 3.5 * max(factor, 1) if kind == "star" else size / 3) / factor
    spread = choose(rng, 0.02, 0.1 if kind == "star" else 0.6)
    arrangement = pick(rng, OWN.get(kind, COMMON))
    if arrangement == "packed" and r < 2.5:
        r = 2.5 * rng.uniform(1, 2)
    circles = ARRANGEMENTS[arrangement](rng, width, r, spread, largest)
    circles = circles.take(circles.r > 0.7 * look.smallest)
    # Spots nearer than two standard deviations, 1.7 half-height radii, have one maximum (Sparrow's limit) and are one
    # to everybody; those with an edge can be told apart.
    soft = kind in SOFT or blur > 0.7 * r
    closest = rng.uniform(1.7, 2.1) if soft else rng.uniform(0.4, 0.7)
    circles = circles.take(distinct(circles.x, circles.y, np.hypot(circles.r, 1.18 * blur), closest))
    d = outlined(rng, circles)
    if rng.random() < 0.12 and len(d) > 1:
        other = pick(rng, {name: o.weight for name, o in LOOKS.items() if o.smallest <= max(0.7 * r, 0.8)})
        second = rng.random(len(d)) < rng.uniform(0.1, 0.6)
        for name, which in ((kind, ~second), (other, second)):
            part = d.take(which)
            dressed(rng, part, name, blur)
            d.put(which, part)
        kind = "mixture"
    else:
        dressed(rng, d, kind, blur)
    return Scene(d, np.zeros(len(d), np.int64), kind)


def nested(rng: Rng, width: float, factor: float, blur: float, size: int) -> Scene:
    """Droplets within droplets: one or several in each, at times with others in those."""
    r = choose(rng, max(7.0, 7 * factor), size / 2.6) / factor
    spread = choose(rng, 0.02, 0.3)
    arrangement = pick(rng, {"apart": 2.0, "packed": 1.0, "lattice": 1.0, "single": 1.0, "clusters": 1.0})
    layers = [ARRANGEMENTS[arrangement](rng, width, r, spread, size / 2.4 / factor)]
    while len(layers) < 3 and len(layers[-1].x) and (len(layers) == 1 or rng.random() < 0.2):
        several = bool(rng.random() < 0.5)
        share = rng.uniform(0.12, 0.5) if several else rng.uniform(0.3, 0.72)
        circles, _ = inside(rng, layers[-1], share, several)
        circles = circles.take((circles.r > 1.5) & (rng.random(len(circles.x)) < rng.uniform(0.6, 1.3)))
        layers.append(circles)
    tables, depth = [], []
    for k, circles in enumerate(layers):
        d = Droplets(len(circles.x))
        d.x, d.y, d.r = circles.x, circles.y, circles.r
        smallest = float(circles.r.min()) if len(circles.x) else 0.0
        names = [name for name in (INNER if k else OUTER) if LOOKS[name].smallest <= smallest] or ["disc"]
        LOOKS[str(rng.choice(names))].dress(rng, d, blur)
        unequal(rng, d, "nested")
        d.rows[:, HEIGHTS] *= rng.choice([-1, 1]) * (rng.uniform(0.5, 1.5) if k else 1.0)
        tables.append(d.rows)
        depth.append(np.full(len(d), k))
    d = Droplets(0)
    d.rows = np.concatenate(tables)
    return Scene(d, np.concatenate(depth), "nested")


def scene(rng: Rng, width: float, factor: float, blur: float, size: int) -> Scene:
    """Any scene.

    Args:
        rng: numbers.
        width: side of the painted grid in px.
        factor: px of the final image a px of the painted grid.
        blur: standard deviation of the blur that follows, in px of the painted grid.
        size: side of the final image in px.
    """
    build = nested if rng.random() < 0.12 else plain
    return build(rng, width, factor, blur, size)
