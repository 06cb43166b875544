"""Patches: simulated images of round things with what is in them, each from a seed of its own."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .camera.exposure import exposed, noise_level
from .camera.light import ground, vignette
from .camera.sensor import hot, noise
from .chance import choose
from .clutter.kinds import CLUTTER
from .droplets.detectability import detectability, sign, spectrum, surviving
from .droplets.rims import rim_after
from .filters import blurred
from .staging import laid, painted_scene, plan

# Columns of a patch's circles.
X, Y, R, AXIS_RATIO, ANGLE, DETECTABILITY, DEPTH, SIGN = range(8)
Picture = NDArray[np.float32]
ABOVE = ("lettering", "furniture", "specks", "lines")  # clutter that may lie over droplets


class Patches(NamedTuple):
    """Simulated patches.

    images: shape (n, size, size), float32, in any units: neither their zero nor their scale means anything.
    circles: for each patch (m, 8), float32: x, y and r in px (pixel centres on integers; r is the geometric mean of
        the half axes of the outer rim, where the outermost edge is at half its height), minor over major axis, angle
        of the major axis in radians from x towards y in [0, pi), detectability (the signal-to-noise ratio of a
        matched filter, ``droplets/detectability.py``), depth (0, or how many droplets it lies in) and sign (1 brighter
        than what is around, -1 darker, 0 both or a rim only). Only droplets whose centre is in the patch.
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


def simulate_patch(seed: np.random.SeedSequence, size: int) -> Patch:
    """One patch of size px, from its seed.

    Two images go all the way, with droplets and without, under the same light and noise: the second is what each
    droplet has to be seen against.
    """
    rng = np.random.default_rng(seed)
    p = plan(rng, size)
    image = ground(rng, p.width)
    if p.empty and p.clutter:
        image *= np.float32(0.3)
    above = p.clutter in ABOVE and rng.random() < 0.7
    height = choose(rng, 0.15, 3) * rng.choice([-1, 1])
    layer = CLUTTER[p.clutter][0](rng, p.width, p.blur) if p.clutter else None
    if layer is not None and not above:
        image = laid(image, layer, height)
    bare = image.copy()
    droplets, painted, depth, kind = painted_scene(rng, p, image, layer, size)
    change = image - bare
    if layer is not None and above:
        image, bare = laid(image, layer, height), laid(bare, layer, height)
    if rng.random() < 0.2:
        shade = vignette(rng, p.width)
        pedestal = np.float32(choose(rng, 0.5, 10))
        image, bare = shade * (image + pedestal), shade * (bare + pedestal)
    # What lettering covers and shadows dim is the less seen.
    shown, _, _ = surviving(change, image - bare, droplets.x, droplets.y, droplets.r)
    image, bare = blurred(image, p.blur), blurred(bare, p.blur)
    sd = noise_level(rng, droplets, bool(p.clutter) and p.empty)
    grain = noise(rng, image, sd)
    if rng.random() < 0.06:
        hot(rng, grain, choose(rng, 1, 10))
    image, bare = image + grain, bare + grain
    variance = spectrum(bare)
    x, y = rng.uniform(0, p.width - size / p.factor, 2)
    if p.factor == 1.0:
        x, y = np.rint((x, y))
    final, left, added, contrast = exposed(rng, p, (image, bare), np.array([x, y]), sd, droplets, size)
    circles = np.zeros((len(droplets), 8))
    circles[:, X] = (droplets.x + 0.5 - x) * p.factor - 0.5
    circles[:, Y] = (droplets.y + 0.5 - y) * p.factor - 0.5
    circles[:, R] = p.factor * rim_after(droplets, p.blur)
    circles[:, AXIS_RATIO], circles[:, ANGLE] = droplets.ratio, droplets.angle % math.pi
    circles[:, DETECTABILITY] = (
        shown.clip(0, 1) * left * detectability(droplets, painted, variance, p.blur, added, contrast)
    )
    circles[:, DEPTH], circles[:, SIGN] = depth, sign(painted)
    within = ((circles[:, [X, Y]] > -0.5) & (circles[:, [X, Y]] < size - 0.5)).all(1)
    final, circles = turned(rng, final, circles[within])
    return Patch(final, circles.astype(np.float32), f"{kind}+{p.clutter}" if p.clutter else kind)


def turned(
    rng: np.random.Generator, image: Picture, circles: NDArray[np.float64]
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
