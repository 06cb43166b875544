"""The windows in which the network looks at an image, so that memory is that of a window, and what it sees in one."""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.detection.network.architecture import FIELD, CellOutputs, CircleNetwork
from pyrodrop.detection.network.both_ways import both_ways, cells_of_both
from pyrodrop.detection.network.cells import STRIDES
from pyrodrop.detection.network.channels import BOX, ImageStatistics, input_channels
from pyrodrop.detection.network.parts import Readable
from pyrodrop.detection.network.peaks import Cells

MARGIN = FIELD + STRIDES[-1] * math.ceil((BOX - 1) / STRIDES[-1])  # px around a window that have an effect on it


class Window(NamedTuple):
    """Rows top to bottom and columns left to right, the last of each left out; top and left on cells of all levels."""

    top: int
    bottom: int
    left: int
    right: int


def windows_of(shape: tuple[int, int], side: int) -> list[Window]:
    """Windows of at most that side in px that an image of this shape (H, W) is looked at in.

    An image that is a little larger than a window is one, for a window is looked at with its margins.
    """
    height, width = shape
    rows = [0] if height <= side + MARGIN else range(0, height, side)
    columns = [0] if width <= side + MARGIN else range(0, width, side)
    return [
        Window(
            top,
            height if len(rows) == 1 else min(top + side, height),
            left,
            width if len(columns) == 1 else min(left + side, width),
        )
        for top in rows
        for left in columns
    ]


@torch.no_grad()
def cells_in(
    image: Readable,
    window: Window,
    statistics: ImageStatistics,
    network: CircleNetwork,
    device: torch.device,
    at_once: bool = False,
) -> Cells:
    """What the cells in a window of an image say, in px of the image.

    statistics: of the whole image. at_once: look at it both ways at the same time.
    """
    y0, x0 = max(0, window.top - MARGIN), max(0, window.left - MARGIN)
    pixels = image[y0 : window.bottom + MARGIN, x0 : window.right + MARGIN]

    def own(level: int, outputs: CellOutputs) -> CellOutputs:
        stride = STRIDES[level]
        r, c = (window.top - y0) // stride, (window.left - x0) // stride
        n_rows, n_columns = -(-(window.bottom - window.top) // stride), -(-(window.right - window.left) // stride)
        return CellOutputs(*(o[..., r : r + n_rows, c : c + n_columns] for o in outputs))

    straight, turned = both_ways(network, _channels(pixels, statistics, device), at_once)
    ways = [own(*each) for each in enumerate(straight)], [own(*each) for each in enumerate(turned)]
    return cells_of_both(ways, row=window.top, column=window.left)


def _channels(pixels: NDArray[np.float32], statistics: ImageStatistics, device: torch.device) -> Tensor:
    """The network's input (1, 4, H, W) for a part of an image, padded with nothing to multiples of the last stride."""
    height, width = (-(-n // STRIDES[-1]) * STRIDES[-1] for n in pixels.shape)
    inside = torch.zeros(1, height, width)
    images = torch.zeros(1, height, width)
    known = np.isfinite(pixels)
    inside[0, : pixels.shape[0], : pixels.shape[1]] = torch.from_numpy(known.astype(np.float32))
    images[0, : pixels.shape[0], : pixels.shape[1]] = torch.from_numpy(np.where(known, pixels, 0))
    median, spread, noise = (torch.tensor([value], dtype=torch.float32, device=device) for value in statistics)
    channels = input_channels(images.to(device), median, spread, noise, inside.to(device))
    return channels.contiguous(memory_format=torch.channels_last)
