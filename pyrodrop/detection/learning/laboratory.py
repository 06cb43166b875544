"""A laboratory's own images, whose droplets are known, as patches that the network learns from.

An image is looked at in several scales (``network.scales``), so it teaches in all of them: its patches are cut out of
it and of what it is reduced to, most of them around a droplet, some a little larger or smaller than they were.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrodrop.detection.learning.patches import Block, Simulator, block_of, make_chunk
from pyrodrop.detection.learning.targets import COLUMN, PLAIN
from pyrodrop.detection.network.scales import HANDOVER, REDUCTION, scales_of

Picture = NDArray[np.float32]
Circles = NDArray[np.float32]

KIND = "laboratory"
AROUND_A_DROPLET = 0.7  # share of patches; the others lie anywhere
RESIZED, LOG_SIZE = 0.5, 0.15  # share of patches that are resized, and the standard deviation of the log of the factor
LEAST_RADIUS = 1.0  # px of a scale: smaller droplets are not asked for in it, as in the broad simulations
LEAST_SHARE = 0.1  # of an image's patches that each scale has at least
RING = (1.15, 1.6)  # radii between which a droplet's surroundings are looked at


class MarkedImage(NamedTuple):
    """An image whose droplets are known.

    name: for messages. pixels: (H, W), float32, any units, NaN where unknown. circles: (m, 8), float32, see
    ``targets.CircleColumns``, of all droplets whose centres are in the image.
    """

    name: str
    pixels: Picture
    circles: Circles


def marked_image(
    name: str, pixels: Picture, places: NDArray[np.float64], detectability: NDArray[np.float64] | None = None
) -> MarkedImage:
    """An image with round droplets at these places.

    Args:
        name: for messages.
        pixels: (H, W).
        places: x, y and radius in px, (m, 3).
        detectability: of each, (m,); None where a person saw them all.
    """
    circles = np.zeros((len(places), len(COLUMN)), np.float32)
    circles[:, : COLUMN.radius + 1] = places
    circles[:, COLUMN.axis_ratio] = 1.0
    circles[:, COLUMN.detectability] = 2 * PLAIN if detectability is None else detectability
    circles[:, COLUMN.sign] = [_sign(pixels, *place) for place in places]
    return MarkedImage(name, np.asarray(pixels, np.float32), circles)


def _sign(pixels: Picture, x: float, y: float, r: float) -> float:
    """1 for a droplet that is brighter than what surrounds it, -1 for a darker one, 0 where that cannot be told."""
    reach = math.ceil(RING[1] * r) + 1
    top, left = max(0, round(y) - reach), max(0, round(x) - reach)
    part = pixels[top : round(y) + reach + 1, left : round(x) + reach + 1]
    rows, columns = np.indices(part.shape)
    distance = np.hypot(columns + left - x, rows + top - y) / r
    inside = part[(distance < 1) & np.isfinite(part)]
    around = part[(distance > RING[0]) & (distance < RING[1]) & np.isfinite(part)]
    return float(np.sign(np.median(inside) - np.median(around))) if len(inside) and len(around) else 0.0


class _Scene(NamedTuple):
    """One scale of a marked image. share: of all patches that are cut out of it."""

    pixels: Picture
    circles: Circles
    share: float


@dataclass(frozen=True)
class LaboratoryPatches:
    """A simulator whose patches are parts of marked images: a call with number, side and seed gives them."""

    scenes: tuple[_Scene, ...]

    @classmethod
    def of(cls, images: Sequence[MarkedImage]) -> "LaboratoryPatches":
        """Of these images, of each as many patches."""
        return cls(tuple(scene for image in images for scene in _scenes_of(image, 1 / len(images))))

    def __call__(self, n: int, size: int, seed: int) -> Block:
        """Patches (n, size, size); what lies outside of an image is NaN."""
        rng = np.random.default_rng(seed)
        shares = np.array([scene.share for scene in self.scenes])
        chosen = rng.choice(len(self.scenes), n, p=shares / shares.sum())
        cut = [_patch(self.scenes[k], size, rng) for k in chosen]
        images = np.stack([image for image, _ in cut]) if cut else np.zeros((0, size, size), np.float32)
        return Block(images, [circles for _, circles in cut], [KIND] * n)


def _scenes_of(image: MarkedImage, share: float) -> list[_Scene]:
    scenes, asked = [], []
    for scale in scales_of(image.pixels):
        factor = float(REDUCTION**scale.number)
        circles = image.circles.copy()
        circles[:, [COLUMN.x, COLUMN.y]] = (circles[:, [COLUMN.x, COLUMN.y]] + 0.5) / factor - 0.5
        circles[:, COLUMN.radius] /= factor
        radius = circles[:, COLUMN.radius]
        seen = (radius >= LEAST_RADIUS) & ((radius < HANDOVER[1]) | scale.is_last)
        circles[~seen, COLUMN.detectability] = 0.0
        scenes.append(_Scene(np.asarray(scale.pixels), circles, 0.0))
        asked.append(seen.sum())
    shares = np.maximum(np.array(asked, float) / max(sum(asked), 1), LEAST_SHARE)
    shares *= share / shares.sum()
    return [scene._replace(share=float(part)) for scene, part in zip(scenes, shares, strict=True)]


def _patch(scene: _Scene, size: int, rng: np.random.Generator) -> tuple[Picture, Circles]:
    """A square of this side, and its circles in px of it."""
    factor = math.exp(LOG_SIZE * rng.normal()) if rng.random() < RESIZED else 1.0
    left, top = _corner(scene, size / factor, rng)
    if factor == 1.0:
        image = _cut(scene.pixels, round(left), round(top), size)
        left, top = round(left), round(top)
    else:
        image = _resampled(scene.pixels, left, top, size, factor)
    circles = scene.circles.copy()
    circles[:, COLUMN.x] = (circles[:, COLUMN.x] + 0.5 - left) * factor - 0.5
    circles[:, COLUMN.y] = (circles[:, COLUMN.y] + 0.5 - top) * factor - 0.5
    circles[:, COLUMN.radius] *= factor
    place = circles[:, [COLUMN.x, COLUMN.y]]
    return image, circles[((place > -0.5) & (place < size - 0.5)).all(1)]


def _corner(scene: _Scene, side: float, rng: np.random.Generator) -> tuple[float, float]:
    """Left and top edge of a square of this side in px; within the image, or around it where that is smaller."""
    height, width = scene.pixels.shape
    within = rng.random(2)
    asked = np.flatnonzero(scene.circles[:, COLUMN.detectability] > 0)
    if len(asked) and rng.random() < AROUND_A_DROPLET:
        centre = scene.circles[rng.choice(asked)]
        corner = centre[[COLUMN.x, COLUMN.y]] + 0.5 - within * side
    else:
        corner = within * (np.array([width, height]) - side)
    room = np.array([width, height]) - side
    left, top = np.clip(corner, np.minimum(room, 0.0), np.maximum(room, 0.0))
    return float(left), float(top)


def _cut(pixels: Picture, left: int, top: int, size: int) -> Picture:
    """Rows and columns from there on, NaN outside of the image."""
    height, width = pixels.shape
    image = np.full((size, size), np.nan, np.float32)
    rows, columns = slice(max(top, 0), min(top + size, height)), slice(max(left, 0), min(left + size, width))
    image[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = pixels[rows, columns]
    return image


def _resampled(pixels: Picture, left: float, top: float, size: int, factor: float) -> Picture:
    """A square of size / factor px from there on, drawn with ``size`` px, by straight lines between pixels."""
    from scipy.ndimage import map_coordinates

    along = (np.arange(size) + 0.5) / factor - 0.5
    places = np.meshgrid(along + top, along + left, indexing="ij")
    return np.asarray(map_coordinates(pixels, places, order=1, cval=np.nan), np.float32)


@dataclass(frozen=True)
class HalfAndHalf:
    """A simulator of which every other patch is of one kind: what is new is learnt, and the rest is not forgotten."""

    own: Simulator
    broad: Simulator

    def __call__(self, n: int, size: int, seed: int) -> Block:
        """Patches of both kinds, (n, size, size)."""
        parts = [(self.own, n - n // 2), (self.broad, n // 2)]
        return block_of([make_chunk(simulator, number, size, seed) for simulator, number in parts if number])
