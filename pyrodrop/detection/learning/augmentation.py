"""Copies of simulated patches that are as likely as the patches themselves: turned, mirrored, inverted, cut off."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.detection.learning.targets import COLUMN
from pyrodrop.detection.network.channels import image_statistics, input_channels

CUT_SHARE = 0.25  # of patches that are smaller than the batch's, padded with nothing
FOREIGN_SHARE = 0.5  # of patches seen as part of a larger image, whose median, spread and noise differ


class Batch(NamedTuple):
    """What a step of training needs."""

    channels: Tensor  # (B, 4, S, S)
    image: Tensor  # (n,) int64, the image of each circle
    circles: Tensor  # (n, 8)


def turned(
    image: NDArray[np.float32], circles: NDArray[np.float32], transpose: bool, flip_x: bool, flip_y: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """An image (H, W) and its circles (n, 8), transposed first, then mirrored."""
    circles = circles.copy()
    if transpose:
        image = image.T
        circles[:, [COLUMN.x, COLUMN.y]] = circles[:, [COLUMN.y, COLUMN.x]]
        circles[:, COLUMN.angle] = np.pi / 2 - circles[:, COLUMN.angle]
    height, width = image.shape
    if flip_x:
        image = image[:, ::-1]
        circles[:, COLUMN.x] = width - 1 - circles[:, COLUMN.x]
        circles[:, COLUMN.angle] *= -1
    if flip_y:
        image = image[::-1]
        circles[:, COLUMN.y] = height - 1 - circles[:, COLUMN.y]
        circles[:, COLUMN.angle] *= -1
    return image, circles


def make_batch(
    images: NDArray[np.float32], circles: list[NDArray[np.float32]], rng: np.random.Generator | None = None
) -> Batch:
    """The channels and circles of patches (B, S, S), NaN where unknown, as they are or changed at random with `rng`."""
    size = images.shape[-1]
    pixels, tables, statistics, inside = [], [], [], np.ones(images.shape, np.float32)
    for k, (image, table) in enumerate(zip(images, circles, strict=True)):
        if rng is not None:
            transpose, flip_x, flip_y, invert, cut, foreign = rng.random(6) < [
                0.5,
                0.5,
                0.5,
                0.5,
                CUT_SHARE,
                FOREIGN_SHARE,
            ]
            image, table = turned(image, table, transpose, flip_x, flip_y)
            if invert:
                image = -image
                table[:, COLUMN.sign] *= -1
            height, width = rng.integers(size // 2, size, 2) if cut else (size, size)
            inside[k, height:] = 0
            inside[k, :, width:] = 0
            outside = (table[:, COLUMN.x] >= width - 0.5) | (table[:, COLUMN.y] >= height - 0.5)
            table[outside, COLUMN.detectability] = 0
            seen = image_statistics(image[:height, :width])
            if foreign:
                shift, spread, noise = rng.normal(size=3) * [0.1, 0.4, 0.2]
                seen = seen._replace(
                    median=seen.median + shift * seen.spread,
                    spread=seen.spread * np.exp(spread),
                    noise=seen.noise * np.exp(noise),
                )
        else:
            seen = image_statistics(image)
        inside[k] *= np.isfinite(image)
        pixels.append(image)
        tables.append(table)
        statistics.append(seen)
    median, spread, noise = torch.tensor(np.array(statistics, np.float32)).T
    channels = input_channels(torch.tensor(np.stack(pixels)), median, spread, noise, torch.tensor(inside))
    owner = np.repeat(np.arange(len(tables)), [len(t) for t in tables])
    return Batch(channels, torch.tensor(owner), torch.tensor(np.concatenate(tables)))
