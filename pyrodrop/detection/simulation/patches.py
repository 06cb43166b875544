"""Patches: simulated images of round things with what is in them, each from a seed of its own."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import camera, light
from .clutter import CLUTTER, Clutter
from .columns import Droplets
from .detectability import detectability, sign, spectrum
from .fields import bank
from .filters import blurred
from .looks import choose
from .painting import paint
from .scenes import pick, scene

# Columns of a patch's circles.
X, Y, R, AXIS_RATIO, ANGLE, DETECTABILITY, DEPTH, SIGN = range(8)
EMPTY = 0.18  # share of patches without droplets
CLUTTERED = 0.24  # share of the others that have clutter too
BLANK = 0.2  # share of the empty patches that have no clutter either


class Patches(NamedTuple):
    """Simulated patches.

    images: shape (n, size, size), float32, in any units: neither their zero nor their scale means anything.
    circles: for each patch (m, 8), float32: x, y and r in px (pixel centres on integers; r is the geometric mean of
        the half axes of the outer rim, where the outermost edge is at half its height), minor over major axis, angle
        of the major axis in radians from x towards y in [0, pi), detectability (the signal-to-noise ratio of a
        matched filter, ``detectability.py``), depth (0, or how many droplets it lies in) and sign (1 brighter than
        what is around, -1 darker, 0 both or a rim only). Only droplets whose centre is in the patch.
    kinds: for each patch a short name, as "rimmed", "nested+walls", "empty" or "empty+lettering".
    """

    images: NDArray[np.float32]
    circles: list[NDArray[np.float32]]
    kinds: list[str]


class Patch(NamedTuple):
    """One of ``Patches``."""

    image: NDArray[np.float32]
    circles: NDArray[np.float32]
    kind: str


def laid(image: NDArray[np.float32], layer: Clutter, height: float) -> NDArray[np.float32]:
    """The image with clutter on it."""
    value = np.float32(height) * layer.value
    if layer.opacity is None:
        return image + value
    return image + layer.opacity * (value - image)


def magnification(rng: np.random.Generator) -> float:
    """Px of the final image a px of the painted grid: 1, or more where an image is sampled finer than it is sharp."""
    draw = rng.random()
    if draw < 0.62:
        return 1.0
    if draw < 0.95:
        return choose(rng, 1.2, 4.0)
    return rng.uniform(0.6, 1.0)


def simulate_patch(seed: np.random.SeedSequence, size: int) -> Patch:
    """One patch of size px, from its seed."""
    rng = np.random.default_rng(seed)
    factor = magnification(rng)
    width = math.ceil(size / factor) + 2
    blur = rng.choice([0.0, choose(rng, 0.3, 2.5)])
    empty = rng.random() < EMPTY
    clutter = pick(rng, {name: weight for name, (_, weight) in CLUTTER.items()})
    if rng.random() > (1 - BLANK if empty else CLUTTERED):
        clutter = ""
    image = light.ground(rng, width)
    bare = None  # the same image without droplets, where they were painted before the clutter
    if empty:
        droplets, depth, kind = Droplets(0), np.zeros(0, np.int64), "empty"
        image *= np.float32(0.3)
    else:
        droplets, depth, kind = scene(rng, float(width), factor, blur, size)
    above = clutter in ("lettering", "furniture", "specks", "lines") and rng.random() < 0.7
    height = choose(rng, 0.15, 3) * rng.choice([-1, 1])
    layer = CLUTTER[clutter][0](rng, width) if clutter else None
    if layer is not None and not above:
        image = laid(image, layer, height)
    bare = image.copy()
    painted = paint(image, droplets, bank()[rng.integers(0, 7), rng.integers(0, 8)])
    if layer is not None and above:
        image, bare = laid(image, layer, height), laid(bare, layer, height)
    if rng.random() < 0.2:
        shade = light.vignette(rng, width)
        pedestal = np.float32(choose(rng, 0.5, 10))
        image, bare = shade * (image + pedestal), shade * (bare + pedestal)
    image, bare = blurred(image, blur), blurred(bare, blur)
    sd = noise_level(rng, droplets)
    grain = camera.noise(rng, image, sd)
    image, bare = image + grain, bare + grain
    if rng.random() < 0.06:
        camera.hot(rng, image, choose(rng, 1, 10))
    x, y = rng.uniform(0, width - size / factor, 2)
    if factor == 1.0:
        x, y = np.rint((x, y))
    way = camera.RESAMPLINGS[rng.integers(4)] if factor > 1 else camera.RESAMPLINGS[1]
    final = image[int(y) : int(y) + size, int(x) : int(x) + size]
    if factor != 1.0:
        final = camera.resized(image, size, x, y, factor, way)
        if rng.random() < 0.4:
            final = final + np.float32(sd * choose(rng, 0.05, 0.7)) * rng.standard_normal((size, size), np.float32)
    final, added = camera.developed(rng, final, sd)
    circles = np.zeros((len(droplets), 8))
    circles[:, X] = (droplets.x + 0.5 - x) * factor - 0.5
    circles[:, Y] = (droplets.y + 0.5 - y) * factor - 0.5
    circles[:, R] = factor * rim_after(droplets, blur)
    circles[:, AXIS_RATIO], circles[:, ANGLE] = droplets.ratio, droplets.angle % math.pi
    circles[:, DETECTABILITY] = detectability(droplets, painted, spectrum(bare), blur, added, factor)
    circles[:, DEPTH], circles[:, SIGN] = depth, sign(painted)
    within = ((circles[:, [X, Y]] > -0.5) & (circles[:, [X, Y]] < size - 0.5)).all(1)
    final, circles = turned(rng, final, circles[within])
    return Patch(final, circles.astype(np.float32), f"{kind}+{clutter}" if clutter else kind)


def rim_after(droplets: Droplets, blur: float) -> NDArray[np.float64]:
    """The outer rim after the blur, in px of the painted grid: bodies small beside the blur spread.

    A Gaussian of half width r becomes one of sqrt(r^2 + 2 log 2 blur^2). A disc far larger than the blur keeps its
    rim, one far smaller becomes a Gaussian whose variance is r^2 / 4 + blur^2. Between, the sum of fourth powers of
    both is used. Rings have been placed so that their rim is at r after the blur.
    """
    r = droplets.r
    spot = np.hypot(r, 1.17741 * blur)
    small = 1.17741 * np.hypot(0.5 * r, blur)
    body = np.where(small < r, r, (r**4 + small**4 - np.minimum(r, small) ** 4) ** 0.25)
    return np.where(droplets.ring1 != 0, r, droplets.gauss * spot + (1 - droplets.gauss) * body)


def noise_level(rng: np.random.Generator, droplets: Droplets) -> float:
    """Standard deviation of the noise for contrast 1: a ratio from 1.5 to 100, less noise where droplets are small."""
    small = len(droplets) > 0 and float(np.median(droplets.r)) < 2.5
    return 1 / choose(rng, 4.0 if small else 1.5, 100)


def turned(
    rng: np.random.Generator, image: NDArray[np.float32], circles: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The patch turned, mirrored and with its sign changed, each at random; the circles with it."""
    last = image.shape[0] - 1
    if rng.random() < 0.5:
        image = image[:, ::-1]
        circles[:, X], circles[:, ANGLE] = last - circles[:, X], -circles[:, ANGLE] % math.pi
    if rng.random() < 0.5:
        image = image[::-1]
        circles[:, Y], circles[:, ANGLE] = last - circles[:, Y], -circles[:, ANGLE] % math.pi
    if rng.random() < 0.5:
        image = image.T
        circles[:, [X, Y]] = circles[:, [Y, X]]
        circles[:, ANGLE] = (math.pi / 2 - circles[:, ANGLE]) % math.pi
    if rng.random() < 0.5:
        image = -image
        circles[:, SIGN] = -circles[:, SIGN]
    return np.ascontiguousarray(image, dtype=np.float32), circles


def simulate_patches(n: int, size: int = 128, seed: int | np.random.SeedSequence = 0) -> Patches:
    """Simulated images of round things of every look, of things that are none, and of nothing at all.

    Patch k depends on the seed and on k alone: the first of a hundred is the first of ten.

    Args:
        n: number of patches.
        size: their side in px, at least 32.
        seed: a number, or a seed sequence, which is left as it is.

    Raises:
        ValueError: if n is negative or size is below 32.
    """
    if n < 0 or size < 32:
        raise ValueError(f"{n} patches of {size} px were asked for; give a number from 0 and a side of at least 32 px.")
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    children = [np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, k)) for k in range(n)]
    patches = [simulate_patch(child, size) for child in children]
    images = np.stack([p.image for p in patches]) if patches else np.zeros((0, size, size), np.float32)
    return Patches(images, [p.circles for p in patches], [p.kind for p in patches])
