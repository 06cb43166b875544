"""What a patch is to be, and its droplets and clutter painted: all of it before the camera."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .chance import choose
from .clutter.kinds import CLUTTER, Clutter
from .droplets.columns import Droplets
from .droplets.foam import foam
from .droplets.painting import Painted, paint
from .droplets.scenes import pick, scene
from .fields import bank

Picture = NDArray[np.float32]
EMPTY = 0.24  # share of patches without droplets
CLUTTERED = 0.32  # share of the others that have clutter too
BLANK = 0.2  # share of the empty patches that have no clutter either
FOAMS = 0.03  # share of patches with droplets whose droplets share their walls


class Plan(NamedTuple):
    """What is drawn for a patch before anything else.

    factor: px of the final image a px of the painted grid; width: side of that grid; blur: standard deviation in px
    of it; clutter: its kind, or ""; empty: whether there are no droplets; early: whether the image is developed before
    it is magnified, as files are that were enlarged.
    """

    factor: float
    width: int
    blur: float
    clutter: str
    empty: bool
    early: bool


def plan(rng: np.random.Generator, size: int) -> Plan:
    """Draw a plan for a patch of size px."""
    factor = magnification(rng)
    empty = bool(rng.random() < EMPTY)
    clutter = pick(rng, {name: weight for name, (_, weight) in CLUTTER.items()})
    if rng.random() > (1 - BLANK if empty else CLUTTERED):
        clutter = ""
    blur = rng.choice([0.0, choose(rng, 0.3, 2.5)])
    early = bool(factor > 1 and rng.random() < 0.35)
    return Plan(factor, math.ceil(size / factor) + 2, float(blur), clutter, empty, early)


def painted_scene(
    rng: np.random.Generator, p: Plan, image: Picture, layer: Clutter | None, size: int
) -> tuple[Droplets, Painted, NDArray[np.int64], str]:
    """Paint droplets into the image, in place; returns them, what painting has found of them, their depths, their kind.

    Most of those that would lie on walls are left out, so that channels have droplets within and none across.
    """
    if p.empty:
        droplets = Droplets(0)
        return droplets, paint(image, droplets, bank()[0, 0]), np.zeros(0, np.int64), "empty"
    if rng.random() < FOAMS:
        droplets, painted = foam(rng, image, p.factor, size)
        return droplets, painted, np.zeros(len(droplets), np.int64), "foam"
    droplets, depth, kind = scene(rng, float(p.width), p.factor, p.blur, size)
    if layer is not None and p.clutter in ("walls", "edges", "lines") and rng.random() < 0.7:
        free = clear(layer, droplets)
        droplets, depth = droplets.take(free), depth[free]
    picture = bank()[rng.integers(0, 7), rng.integers(0, 8)]
    return droplets, paint(image, droplets, picture), depth, kind


def clear(layer: Clutter, droplets: Droplets) -> NDArray[np.bool_]:
    """Which droplets lie on no line of a layer: neither the centre nor sixteen points of the outline, shape (n,)."""
    steep = np.hypot(*np.gradient(layer.value)) > 0.15
    turn = np.linspace(0, 2 * math.pi, 16, endpoint=False)[:, None]
    last = layer.value.shape[0] - 1
    on = np.zeros(len(droplets), np.bool_)
    for share in (0.0, 0.5, 0.95):
        x = np.rint(droplets.x + share * droplets.r * np.cos(turn)).astype(np.intp).clip(0, last)
        y = np.rint(droplets.y + share * droplets.r * np.sin(turn)).astype(np.intp).clip(0, last)
        on |= steep[y, x].any(0)
    return ~on


def laid(image: Picture, layer: Clutter, height: float) -> Picture:
    """The image with clutter on it."""
    value = np.float32(height) * layer.value
    if layer.opacity is None:
        return image + value
    return image + layer.opacity * (value - image)


def magnification(rng: np.random.Generator) -> float:
    """Px of the final image a px of the painted grid: 1, or more where an image is sampled finer than it is sharp."""
    draw = rng.random()
    if draw < 0.7:
        return 1.0
    if draw < 0.95:
        return choose(rng, 1.2, 4.0)
    return rng.uniform(0.6, 1.0)
