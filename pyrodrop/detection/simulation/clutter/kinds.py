"""What is in images and is no droplet: walls, fibres, lettering, crystals, grids, frames and dirt.

Each kind is drawn on a stencil of twice the size, reduced, and mixed in: ``value`` where it is, and how much it
covers.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..chance import choose
from ..fields import SPECKLED, texture
from ..filters import blurred
from .debris import blades, dust, rods, stones
from .lettering import letters
from .shapes import Stencil, bend, corners, curve, straight
from .tilings import tiling

Rng = np.random.Generator
Picture = NDArray[np.float32]


class Clutter(NamedTuple):
    """A layer: its value about 1 and its opacity, both (size, size); an opacity of None adds the value."""

    value: Picture
    opacity: Picture | None = None


def lines(rng: Rng, size: int, blur: float) -> Clutter:
    """Single straight lines, scratches."""
    s = Stencil(size)
    for _ in range(int(rng.integers(1, 5))):
        s.line(straight(rng, size, rng.choice([1.5, rng.uniform(0.1, 0.6)])), choose(rng, 0.5, 6), rng.uniform(0.4, 1))
    return Clutter(s.mask())


def walls(rng: Rng, size: int, blur: float) -> Clutter:
    """Channels: pairs of parallel walls, straight or curved, each a line or two; the space between darker or not."""
    width = choose(rng, 6, 0.7 * size)
    kind = rng.random()
    path = straight(rng, size) if kind < 0.5 else (curve(rng, size) if kind < 0.75 else bend(rng, size, width))
    s, fill = Stencil(size), Stencil(size)
    along = np.gradient(path, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], 1) / np.hypot(along[:, 0], along[:, 1])[:, None]
    thick = choose(rng, 0.6, 5)
    for side in (-1, 1):
        s.line(path + side * width / 2 * normal, thick, 1.0)
        if rng.random() < 0.4:
            s.line(path + side * (width / 2 + 2.5 * thick) * normal, 0.6 * thick, rng.uniform(0.3, 1))
    value = s.mask()
    if rng.random() < 0.4:
        fill.polygon(np.concatenate([path + width / 2 * normal, (path - width / 2 * normal)[::-1]]))
        value = value + np.float32(rng.normal(0, 0.5)) * fill.mask()
    return Clutter(value)


def fibres(rng: Rng, size: int, blur: float) -> Clutter:
    """Hairs, threads, cracks and vessels: many or few curves."""
    s = Stencil(size)
    width = choose(rng, 0.5, 4)
    for _ in range(int(choose(rng, 1, 25))):
        s.line(curve(rng, size), max(0.5, width * rng.uniform(0.6, 1.5)), rng.uniform(0.3, 1))
    return Clutter(s.mask())


def polygons(rng: Rng, size: int, blur: float) -> Clutter:
    """Flat shapes with corners, filled or drawn as outlines, few or many."""
    s, value = Stencil(size), np.zeros((size, size), np.float32)
    half, outline = choose(rng, 2.5 + 4 * blur, 0.4 * size), rng.random() < 0.4
    width = choose(rng, 0.6, 3)
    for _ in range(int(min(choose(rng, 1, 60), 1 + (size / half) ** 2))):
        shape = corners(rng, half * rng.uniform(0.5, 1.5), int(rng.integers(3, 6))) + rng.uniform(0, size, 2)
        if outline:
            s.line(np.concatenate([shape, shape[:2]]), width, rng.uniform(0.5, 1))
        else:
            s.polygon(shape, rng.uniform(0.3, 1))
    value = s.mask()
    return Clutter(value)


def crystals(rng: Rng, size: int, blur: float) -> Clutter:
    """Polyhedra: facets of unequal brightness about a point, with bright or dark edges, over each other."""
    s, cover = Stencil(size), Stencil(size)
    half, edge = choose(rng, 3 + 4 * blur, 0.4 * size), rng.choice([0.0, choose(rng, 0.5, 2)])
    for _ in range(int(min(choose(rng, 1, 80), 1 + 2 * (size / half) ** 2))):
        shape = corners(rng, half * rng.uniform(0.6, 1.4), int(rng.integers(4, 8)))
        apex = rng.uniform(-0.3, 0.3, 2) * half
        middle = rng.uniform(0, size, 2)
        cover.polygon(shape + middle)
        for k in range(len(shape)):
            facet = np.stack([apex, shape[k], shape[(k + 1) % len(shape)]]) + middle
            s.polygon(facet, rng.uniform(0.1, 1))
            if edge:
                s.line(facet[:2], edge, 1.0)
        if edge:
            s.line(np.concatenate([shape, shape[:1]]) + middle, edge, 1.0)
    return Clutter(s.mask(), cover.mask())


def leaves(rng: Rng, size: int, blur: float) -> Clutter:
    """Polygons of all sizes one over the other until nothing is seen between: the statistics of photographs."""
    s = Stencil(size)
    s.image.paste(128, (0, 0, 2 * size, 2 * size))
    for half in choose(rng, 0.3, 0.6) * size / np.linspace(1, 5, 60) ** rng.uniform(0.7, 1.4):
        shape = corners(rng, max(half, 3 + 5 * blur), int(rng.integers(3, 6))) + rng.uniform(0, size, 2)
        s.polygon(shape, rng.random())
    value = s.mask()
    if rng.random() < 0.5:
        value = value + np.float32(choose(rng, 0.03, 0.3)) * texture(rng, size, choose(rng, 0.7, 4))
    return Clutter(value)


def tilings(rng: Rng, size: int, blur: float) -> Clutter:
    """Whatever repeats."""
    return Clutter(tiling(rng, size, blur))


def lettering(rng: Rng, size: int, blur: float) -> Clutter:
    """Words, numerals and lines of text of any size."""
    mask = letters(rng, size)
    return Clutter(mask, mask if rng.random() < 0.6 else None)


def furniture(rng: Rng, size: int, blur: float) -> Clutter:
    """What programs write on images: scale bars with their length, arrows, frames, strips of information."""
    s = Stencil(size)
    bar = rng.uniform(0.15, 0.6) * size
    x, y = rng.uniform(0.02, 0.5) * size, rng.uniform(0.1, 0.95) * size
    thick = choose(rng, 1, 7)
    kind = rng.integers(4)
    backed = np.zeros((size, size), np.float32)
    if kind == 0:
        s.line(np.array([[x, y], [x + bar, y]]), thick)
    elif kind == 1:
        angle = rng.uniform(0, 2 * math.pi)
        tip, step = rng.uniform(0.2, 0.8, 2) * size, np.array([math.cos(angle), math.sin(angle)])
        side = np.array([-step[1], step[0]])
        head = choose(rng, 4, 14)
        s.line(np.stack([tip, tip - bar * step]), max(1, 0.3 * head))
        s.polygon(np.stack([tip, tip - head * step + 0.5 * head * side, tip - head * step - 0.5 * head * side]))
    elif kind == 2:
        inset = rng.uniform(0, 0.2) * size
        low, high = inset, size - inset
        s.line(np.array([[low, low], [high, low], [high, high], [low, high], [low, low]]), thick)
    else:
        edge = int(rng.uniform(0.6, 0.95) * size)
        backed[edge:] = 1.0
    mask = s.mask()
    if rng.random() < 0.7:
        text = letters(rng, size, rows=1)
        shift = int(y - size / 2 - thick - 6) if kind == 0 else (int(0.4 * size) if kind == 3 else 0)
        mask = np.maximum(mask, np.roll(text, shift, 0))
    if kind == 3:
        back = np.float32(rng.choice([-1.0, 0.0, 1.0]))
        return Clutter(np.where(mask > 0.5, -back if back else 1.0, back).astype(np.float32), np.maximum(backed, mask))
    return Clutter(mask, mask)


def tissue(rng: Rng, size: int, blur: float) -> Clutter:
    """Textures of any spectrum, ridged, warped as wood and marble are, or cut at a level into islands."""
    smooth = rng.random() < 0.4
    field = texture(rng, size, choose(rng, 0.25, 5), SPECKLED[rng.integers(2)] if smooth else None)
    kind = 0 if smooth and rng.random() < 0.5 else rng.integers(4)
    if kind == 1:
        field = np.sin(field * np.float32(rng.uniform(2, 8)) + slope_of(rng, size))
    elif kind == 2:
        field = np.tanh(4 * (field - np.float32(rng.normal(0, 0.7))))
    elif kind == 3:
        field = np.exp(0.7 * field.clip(-3, 2.5))
    if rng.random() < 0.3:  # in places only, as cells and films are
        level = np.float32(rng.normal(0, 0.7))
        place = np.tanh(np.float32(choose(rng, 1, 10)) * (texture(rng, size, rng.uniform(2, 8), exponent=6) - level))
        field = field * (0.5 + 0.5 * place) + np.float32(rng.normal(0, 0.5)) * place
    return Clutter(field.astype(np.float32))


def slope_of(rng: Rng, size: int) -> Picture:
    """A plane of a few turns across the patch, for warped stripes."""
    axis = np.arange(size, dtype=np.float32) / size
    a, b = rng.normal(0, 15, 2)
    return (np.float32(a) * axis[:, None] + np.float32(b) * axis[None, :]).astype(np.float32)


def edges(rng: Rng, size: int, blur: float) -> Clutter:
    """One side of the patch brighter than the other: steps, shadows, straight, curved or ragged."""
    s = Stencil(size)
    path = curve(rng, size) if rng.random() < 0.5 else straight(rng, size)
    if rng.random() < 0.4:
        path = path + rng.normal(0, 0.02 * size, path.shape)
    far = rng.choice([-3.0, 3.0]) * size
    s.polygon(np.concatenate([path, path[::-1] + np.array([far, 0.7 * far])]))
    mask = s.mask()
    return Clutter(blurred(mask, choose(rng, 0.3, 12)) if rng.random() < 0.5 else mask)


def specks(rng: Rng, size: int, blur: float) -> Clutter:
    """Dust, rods, blades of grass or stones."""
    kind = (dust, rods, blades, stones, stones)[rng.integers(5)]
    return Clutter(kind(rng, size, blur))


CLUTTER: dict[str, tuple[Callable[[Rng, int, float], Clutter], float]] = {
    "lines": (lines, 0.8),
    "walls": (walls, 1.2),
    "fibres": (fibres, 1.0),
    "polygons": (polygons, 1.0),
    "crystals": (crystals, 1.0),
    "leaves": (leaves, 0.7),
    "tilings": (tilings, 2.4),
    "lettering": (lettering, 2.0),
    "furniture": (furniture, 0.8),
    "tissue": (tissue, 2.5),
    "edges": (edges, 0.8),
    "specks": (specks, 1.6),
}
