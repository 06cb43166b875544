"""What the network is asked for: which cells hold a centre, and where in the cell.

Not asked for, smoothly, is what lies under the noise or under other droplets: a droplet of detectability d (its
signal over the noise, a matched filter's) weighs clip((d - 3) / 3, 0, 1) in the loss, and so do the cells around it.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from pyrodrop.detection.network.cells import BINS_PER_LEVEL, STRIDES, bin_centre, bin_of, cell_centre, cell_of

HIDDEN, PLAIN = 3.0, 6.0  # detectabilities at which a droplet starts to weigh, and weighs fully


class CircleColumns(NamedTuple):
    """The columns of a simulated circle."""

    x: int = 0
    y: int = 1
    radius: int = 2
    axis_ratio: int = 3
    angle: int = 4
    detectability: int = 5
    depth: int = 6
    sign: int = 7


COLUMN = CircleColumns()


class LevelTargets(NamedTuple):
    """The targets of a level, for images of a batch."""

    presence: Tensor  # (B, 2, h, w), 1 where a cell holds a centre
    weight: Tensor  # (B, 2, h, w), of the cell's presence in the loss
    cell: Tensor  # (n, 4) int64: image, bin, row, column of the cells that hold a centre
    values: Tensor  # (n, 6): offset x, y, log radius, ellipse (2), brighter as 0, 1, or 1/2 for neither
    value_weight: Tensor  # (n,), of those values in the loss


def detectability_weight(detectability: Tensor) -> Tensor:
    """How much a droplet counts, 0 ... 1, from its signal over the noise."""
    return ((detectability - HIDDEN) / (PLAIN - HIDDEN)).clamp(0, 1)


def ellipse_of(axis_ratio: Tensor, angle: Tensor) -> Tensor:
    """The vector (2, n) log(major / minor) (cos 2a, sin 2a) of ellipses with minor / major = axis_ratio."""
    elongation = -torch.log(axis_ratio.clamp(0.05, 1))
    return elongation * torch.stack([torch.cos(2 * angle), torch.sin(2 * angle)])


def encode(image: Tensor, circles: Tensor, n_images: int, height: int, width: int) -> list[LevelTargets]:
    """Targets for each level.

    image: (n,) int64, the image of each circle. circles: (n, 8), see `CircleColumns`.
    height, width: of the images in px, multiples of 32. Circles whose centre is outside are not asked for.
    """
    circles = circles.float()
    x, y, radius = circles[:, COLUMN.x], circles[:, COLUMN.y], circles[:, COLUMN.radius]
    weight = detectability_weight(circles[:, COLUMN.detectability])
    index = bin_of(radius)
    inside = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    ellipse = ellipse_of(circles[:, COLUMN.axis_ratio], circles[:, COLUMN.angle])
    targets = []
    for level, stride in enumerate(STRIDES):
        shape = (n_images, BINS_PER_LEVEL, height // stride, width // stride)
        cell_weight = torch.ones(shape)
        _lower_weights(cell_weight, level, image[inside], circles[inside], weight[inside])
        at = inside & (index // BINS_PER_LEVEL == level)
        # Of several centres in a cell the last written stays: the one that weighs most.
        order = torch.nonzero(at)[:, 0]
        order = order[torch.argsort(weight[order], stable=True)]
        step = torch.tensor(stride)
        row, column = cell_of(y[order], step), cell_of(x[order], step)
        own_bin = index[order] % BINS_PER_LEVEL
        flat = ((image[order] * BINS_PER_LEVEL + own_bin) * shape[2] + row) * shape[3] + column
        owner = torch.full((shape[0] * shape[1] * shape[2] * shape[3],), -1)
        owner = owner.scatter_reduce(0, flat, torch.arange(len(order)), "amax").view(shape)
        cell = torch.nonzero(owner >= 0)
        chosen = order[owner[owner >= 0]]
        presence = (owner >= 0).float()
        cell_weight[owner >= 0] = weight[chosen]
        values = torch.stack(
            [
                (x[chosen] - cell_centre(cell[:, 3], stride)) / stride,
                (y[chosen] - cell_centre(cell[:, 2], stride)) / stride,
                torch.log(radius[chosen]) - bin_centre(index[chosen]),
                *ellipse[:, chosen],
                (circles[chosen, COLUMN.sign] + 1) / 2,
            ],
            1,
        )
        targets.append(LevelTargets(presence, cell_weight, cell, values, weight[chosen]))
    return targets


def _lower_weights(cell_weight: Tensor, level: int, image: Tensor, circles: Tensor, weight: Tensor) -> None:
    """Let the cells around a droplet that is hardly visible weigh as little as it does, in its bin and those beside."""
    n_images, _, height, width = cell_weight.shape
    index = bin_of(circles[:, COLUMN.radius])
    for own_bin in range(BINS_PER_LEVEL):
        near = (weight < 1) & ((index - (level * BINS_PER_LEVEL + own_bin)).abs() <= 1)
        step = torch.tensor(STRIDES[level])
        row, column = cell_of(circles[near, COLUMN.y], step), cell_of(circles[near, COLUMN.x], step)
        flat = cell_weight[:, own_bin].flatten().clone()
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                r, c = row + down, column + right
                ok = (r >= 0) & (r < height) & (c >= 0) & (c < width)
                at = (image[near][ok] * height + r[ok]) * width + c[ok]
                flat.scatter_reduce_(0, at, weight[near][ok], "amin")
        cell_weight[:, own_bin] = flat.view(n_images, height, width)
