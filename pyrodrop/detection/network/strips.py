"""What a folded network says, strip by strip of rows and without gradients: to the last digit what it says as a whole.

The features of a large image take as long to be given memory as to be computed. In a strip the convolutions of a level
follow each other, and only what the last of them gives is kept for the whole image. A convolution loses a row on either
side, so a strip begins with as many more; rows beyond the image are 0 before each convolution, which pads the image.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from pyrodrop.detection.network.architecture import CellOutputs, CircleNetwork, ConvNorm, Pair, split_outputs
from pyrodrop.detection.network.cells import STRIDES

STRIP = 2**15  # cells of a strip, about: a few megabytes of features


class Strip(NamedTuple):
    """What is said in all columns of some rows of cells of a level; row: the number of the first of these."""

    level: int
    row: int
    outputs: CellOutputs


class Rows(NamedTuple):
    """Features of some rows; top: the number of the first of these, of so many rows that the image has."""

    features: Tensor
    top: int
    height: int

    def after(self, conv: nn.Module) -> "Rows":
        """What a convolution and its normalisation make of all rows but the first and the last."""
        return Rows(_valid(conv, self.features), self.top + 1, self.height)

    def rectified(self) -> "Rows":
        """Rectified in place, and 0 beyond the image."""
        return Rows(self.features.relu_(), self.top, self.height).inside()

    def inside(self) -> "Rows":
        """Made 0 beyond the image, in place."""
        above, below = -self.top, self.top + self.features.shape[2] - self.height
        if above > 0:
            self.features[:, :, :above] = 0
        if below > 0:
            self.features[:, :, -below:] = 0
        return self


def strips_of(network: CircleNetwork, channels: Tensor, cells: int = STRIP) -> Iterator[Strip]:
    """What a folded network says of channels (1, 4, H, W): the last level first, each from above down.

    cells: of a strip, about. Where the first level has no more than two, all is said at once.
    """
    with torch.no_grad():
        if channels.shape[2] * channels.shape[3] <= 2 * cells * STRIDES[0] ** 2:
            yield from (Strip(level, 0, outputs) for level, outputs in enumerate(network(channels)))
            return
        features = [channels]
        for level in range(len(network.level)):
            features.append(_whole(network, level, features[-1], cells))
        del features[0]
        above = features.pop()
        yield Strip(len(features), 0, _said(network, len(features), above))
        while features:
            level, own = len(features) - 1, features.pop()
            whole = torch.empty_like(own) if level else None
            for top, bottom in _strips(own, cells):
                strip = _upwards(network, level, own, above, (top, bottom))
                if whole is not None:
                    whole[:, :, top:bottom] = strip
                yield Strip(level, top, _said(network, level, strip))
            above = own if whole is None else whole


def _said(network: CircleNetwork, level: int, features: Tensor) -> CellOutputs:
    return split_outputs(network.head[level](features).float())


def _whole(network: CircleNetwork, level: int, below: Tensor, cells: int) -> Tensor:
    """What a level makes on the way down of the features below it, or of the channels."""
    height, width = below.shape[2] // 2, below.shape[3] // 2
    shape = (1, network.widths[level], height, width)
    whole = torch.empty(shape, device=below.device, memory_format=torch.channels_last)
    for top, bottom in _strips(whole, cells):
        whole[:, :, top:bottom] = _downwards(network, level, below, (top, bottom))
    return whole


def _downwards(network: CircleNetwork, level: int, below: Tensor, rows: tuple[int, int]) -> Tensor:
    """Some rows of that."""
    parts = network.level[level]
    assert isinstance(parts, nn.Sequential)
    lost = sum(2 if isinstance(part, Pair) else isinstance(part, ConvNorm) for part in parts)
    top, bottom = rows[0] - lost, rows[1] + lost
    if level:
        first = _valid(network.down[level - 1], _rows(below, 2 * top - 1, 2 * bottom))
    else:
        first = _valid(network.stem, functional.pixel_unshuffle(_rows(below, 2 * top - 2, 2 * bottom + 2), 2))
    seen = Rows(first, top, below.shape[2] // 2).rectified()
    for part in parts:
        if isinstance(part, ConvNorm):
            seen = seen.after(part).rectified()
        elif isinstance(part, Pair):
            between = seen.after(part.first).rectified().after(part.second)
            between.features.add_(seen.features[:, :, 2:-2])
            seen = between.rectified()
    return seen.features


def _upwards(network: CircleNetwork, level: int, own: Tensor, above: Tensor, rows: tuple[int, int]) -> Tensor:
    """Some rows of a level's features on the way up, the first of an even number, from those on the way down and the
    features of the level above.
    """
    top, bottom = rows
    coarse = _rows(above, top // 2 - 1, bottom // 2 + 1)
    fine = functional.interpolate(network.lateral[level](coarse), scale_factor=2.0, mode="nearest")[:, :, 1:-1]
    added = Rows(fine.add_(_rows(own, top - 1, bottom + 1)), top - 1, own.shape[2]).inside()
    return added.after(network.up[level]).rectified().features


def _valid(layer: nn.Module, features: Tensor) -> Tensor:
    """A convolution and its normalisation, of all rows but those that would need one beyond the features."""
    assert isinstance(layer, ConvNorm)
    conv = layer.conv
    return layer.norm(functional.conv2d(features, conv.weight, conv.bias, conv.stride, padding=(0, 1)))


def _rows(features: Tensor, top: int, bottom: int) -> Tensor:
    """Rows of an image's features, those beyond the image 0."""
    height = features.shape[2]
    rows = features[:, :, max(top, 0) : min(bottom, height)]
    above, below = max(-top, 0), max(bottom - height, 0)
    return functional.pad(rows, (0, 0, above, below)) if above or below else rows


def _strips(features: Tensor, cells: int) -> Iterator[tuple[int, int]]:
    """First rows, which are even, and those after the last, of strips of so many cells, about."""
    height, width = features.shape[2:]
    step = max(2, cells // width // 2 * 2)
    for top in range(0, height, step):
        yield top, min(top + step, height)
