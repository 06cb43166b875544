"""Images of known truth that nothing of pyrodrop has drawn: hard outlines on a grid four times as fine, or edges of
another form, then optics, light, noise and files as cameras have them. NumPy, SciPy and Pillow alone.

The true radius is where the height of the droplet, before any blur, has fallen to half at its outermost edge; the true
amplitude is its height over the background as the image has it, NaN where a droplet has no one height.
"""

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import convolve, gaussian_filter

Array = NDArray[np.float64]
Random = np.random.Generator

SIDE, FINE, LEVEL, NOISE, SPREAD = 256, 4, 0.35, 0.02, 0.7
_RADII, _HEIGHTS = (4.0, 10.0), (0.15, 0.4)


class Droplets(NamedTuple):
    """x, y, radius (px) and height over the background, which is negative for dark ones, (N,) each."""

    x: Array
    y: Array
    radius: Array
    height: Array


class Scene(NamedTuple):
    """An image (H, W) and what is in it."""

    image: Array
    truth: Droplets


def scatter(random: Random, gap: float, touching: float = 0.0) -> Droplets:
    """40 to 60 droplets in random places, all bright or all dark, at least gap px apart, but for a share of them that
    each overlap an earlier one: their centres are 0.7 to 1 sums of radii apart.
    """
    wanted, kept = int(random.integers(40, 61)), np.zeros((0, 3))
    for _ in range(20_000):
        r, overlaps = random.uniform(*_RADII), len(kept) > 0 and random.random() < touching
        x, y = random.uniform(1.3 * r, SIDE - 1 - 1.3 * r, 2)
        if overlaps:
            other, angle = kept[random.integers(len(kept))], random.uniform(0, 2 * np.pi)
            apart = random.uniform(0.7, 1.0) * (other[2] + r)
            x, y = other[0] + apart * np.cos(angle), other[1] + apart * np.sin(angle)
            if not 1.3 * r < min(x, y, SIDE - 1 - x, SIDE - 1 - y):
                continue
        least = 0.7 * (kept[:, 2] + r) if overlaps else kept[:, 2] + r + gap
        if (np.hypot(kept[:, 0] - x, kept[:, 1] - y) >= least - 1e-9).all():
            kept = np.vstack([kept, [x, y, r]])
        if len(kept) == wanted:
            break
    height = random.uniform(*_HEIGHTS, len(kept)) * random.choice([1.0, -0.6])
    return Droplets(*kept.T, height)


def within(distance: Array, r: float) -> Array:
    """How much of each pixel of the fine grid lies within r: a quarter of a pixel's edge alone is 0.01 px of centre."""
    return np.clip((r - distance) * FINE + 0.5, 0, 1)


def painted(
    droplets: Droplets, height_at: Callable[[Array, float], Array], opaque: bool = False, reach: float = 1.0
) -> Array:
    """Droplets on a ground of 0, on the fine grid; height_at takes distances and the radius, in px."""
    side = SIDE * FINE
    image = np.zeros((side, side))
    place = (np.arange(side) + 0.5) / FINE - 0.5
    for x, y, r, height in zip(*droplets, strict=True):
        far = reach * r + 1
        down, along = np.abs(place - y) < far, np.abs(place - x) < far
        distance = np.hypot(place[down][:, None] - y, place[along] - x)
        window = np.ix_(down, along)
        if opaque:
            image[window] += within(distance, r) * (height - image[window])
        else:
            image[window] += height * height_at(distance, r)
    return image


def seen(fine: Array, spread: float = SPREAD) -> Array:
    """Through optics of a Gaussian point spread (px), onto square pixels."""
    blurred = gaussian_filter(fine, spread * FINE, mode="nearest") if spread else fine
    return np.asarray(blurred.reshape(SIDE, FINE, SIDE, FINE).mean((1, 3)))


def ground(random: Random) -> Array:
    """A background that slopes a little."""
    row, column = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    a, b = random.uniform(-0.04, 0.04, 2)
    return np.asarray(LEVEL + a * row + b * column)


def with_noise(clean: Array, random: Random, noise: float = NOISE) -> Array:
    """White normal noise on it."""
    return np.asarray(clean + random.normal(0, noise, clean.shape))


def point_spread(random: Random, spread: float) -> Scene:
    """Hard discs behind a Gaussian point spread, in white noise."""
    droplets = scatter(random, 4 * spread)
    return Scene(with_noise(ground(random) + seen(painted(droplets, within), spread), random), droplets)


def logistic(random: Random) -> Scene:
    """Edges of 0.7 px of a logistic form, and no optics."""
    droplets = scatter(random, 5)

    def soft(distance: Array, r: float) -> Array:
        return np.asarray(1 / (1 + np.exp(np.clip((distance - r) / 0.7, -40, 40))))

    return Scene(with_noise(ground(random) + seen(painted(droplets, soft, reach=2.5), 0), random), droplets)


def eight_bits(random: Random) -> Scene:
    """Rounded to 8 bits, with noise of a quarter of a level before."""
    droplets = scatter(random, 3)
    image = with_noise(ground(random) + seen(painted(droplets, within)), random, 0.25 / 255)
    return Scene(np.round(image.clip(0, 1) * 255) / 255, droplets)


def jpeg(random: Random) -> Scene:
    """A JPEG of quality 80."""
    droplets = scatter(random, 3)
    image = with_noise(ground(random) + seen(painted(droplets, within)), random, 0.01)
    file = io.BytesIO()
    Image.fromarray((image.clip(0, 1) * 255).round().astype(np.uint8)).save(file, "JPEG", quality=80)
    return Scene(np.asarray(Image.open(file), dtype=np.float64) / 255, droplets)


def bayer(random: Random) -> Scene:
    """Behind a Bayer mosaic of red, green and blue, filled in bilinearly, as gray."""
    droplets = scatter(random, 3)
    clean = ground(random) + seen(painted(droplets, within))
    gains = (0.8, 1.0, 0.7)
    row, column = np.mgrid[:SIDE, :SIDE] % 2
    places = ((row == 0) & (column == 0), row != column, (row == 1) & (column == 1))
    cross = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    square = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    gray = np.zeros_like(clean)
    mosaic = sum(gain * clean * place for gain, place in zip(gains, places, strict=True))
    mosaic = with_noise(np.asarray(mosaic), random)
    for place, kernel, share in zip(places, (square, cross, square), (0.299, 0.587, 0.114), strict=True):
        gray += share * convolve(mosaic * place, kernel, mode="mirror")
    gain = float(np.dot(gains, (0.299, 0.587, 0.114)))
    return Scene(gray, droplets._replace(height=droplets.height * gain))


def poisson(random: Random) -> Scene:
    """Photons, a thousand for white."""
    droplets = scatter(random, 3)
    return Scene(random.poisson(1000 * (ground(random) + seen(painted(droplets, within)))) / 1000, droplets)


def vignette(random: Random) -> Scene:
    """Light that falls by 45 % towards the corners, on background and droplets."""
    droplets = scatter(random, 3)
    clean = LEVEL + seen(painted(droplets, within))
    middle = (SIDE - 1) / 2

    def light(x: Array, y: Array) -> Array:
        return np.asarray(1 - 0.45 * ((x - middle) ** 2 + (y - middle) ** 2) / (2 * middle**2))

    row, column = np.mgrid[:SIDE, :SIDE].astype(float)
    image = with_noise(clean * light(column, row), random, NOISE / 2)
    return Scene(image, droplets._replace(height=droplets.height * light(droplets.x, droplets.y)))


def correlated(random: Random) -> Scene:
    """Noise that has been through a Gaussian filter of 1 px."""
    droplets = scatter(random, 3)
    noise = gaussian_filter(random.normal(size=(SIDE, SIDE)), 1.0, mode="wrap")
    return Scene(ground(random) + seen(painted(droplets, within)) + NOISE * noise / noise.std(), droplets)


def rim(random: Random) -> Scene:
    """A bright core within a dark rim that ends at the radius."""
    droplets = scatter(random, 3)
    height = np.abs(droplets.height)

    def ringed(distance: Array, r: float) -> Array:
        return np.asarray(1.4 * within(distance, 0.72 * r) - 0.7 * within(distance, r))

    clean = ground(random) + seen(painted(droplets._replace(height=height), ringed))
    return Scene(with_noise(clean, random), droplets._replace(height=np.full(len(height), np.nan)))


def lens(random: Random) -> Scene:
    """Darker towards the outline, as a ball that bends light, with a bright highlight off its middle."""
    droplets = scatter(random, 3)
    height = np.abs(droplets.height)

    def ball(distance: Array, r: float) -> Array:
        return within(distance, r) * (0.35 + 0.65 * np.minimum(distance / r, 1) ** 2)

    dark = painted(droplets._replace(height=-height), ball)
    x, y, r, _ = droplets
    spots = Droplets(x - 0.25 * r, y - 0.25 * r, r / 4, height)
    clean = ground(random) + seen(dark + painted(spots, within))
    return Scene(with_noise(clean, random), droplets._replace(height=np.full(len(height), np.nan)))


def out_of_focus(random: Random) -> Scene:
    """Every fourth droplet is blurred by 2.5 px, the others by 0.7 px."""
    droplets = scatter(random, 7)
    away = random.random(len(droplets.x)) < 0.25
    sharp, blurred = (Droplets(*(values[some] for values in droplets)) for some in (~away, away))
    clean = ground(random) + seen(painted(sharp, within)) + seen(painted(blurred, within), 2.5)
    return Scene(with_noise(clean, random), droplets)


def opaque(random: Random) -> Scene:
    """Four of ten droplets hide a part of an earlier one."""
    droplets = scatter(random, 3, touching=0.4)
    clean = ground(random) + seen(painted(droplets, within, opaque=True))
    return Scene(with_noise(clean, random), droplets)


KINDS: dict[str, Callable[[Random], Scene]] = {
    "point spread 0.7 px": lambda random: point_spread(random, 0.7),
    "point spread 2 px": lambda random: point_spread(random, 2.0),
    "logistic edge": logistic,
    "8 bits": eight_bits,
    "JPEG 80": jpeg,
    "Bayer": bayer,
    "Poisson": poisson,
    "vignette": vignette,
    "correlated noise": correlated,
    "rim": rim,
    "lens": lens,
    "some out of focus": out_of_focus,
    "opaque overlap": opaque,
}
