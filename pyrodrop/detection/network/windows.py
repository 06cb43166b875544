"""The windows in which the network looks at an image, so that memory is that of a window, and what it sees in one."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.detection.network.architecture import FIELD, CircleNetwork
from pyrodrop.detection.network.both_ways import Part, cells_of_both
from pyrodrop.detection.network.cells import STRIDES
from pyrodrop.detection.network.channels import BOX, N_CHANNELS, ImageStatistics, input_channels
from pyrodrop.detection.network.parts import Readable, Window
from pyrodrop.detection.network.peaks import Cells

MARGIN = FIELD + STRIDES[-1] * math.ceil((BOX - 1) / STRIDES[-1])  # px around a window that have an effect on it
_AT_ONCE = 2**18  # px of which channels are made together, about


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

    statistics: of the whole image. at_once: on two threads.
    """
    y0, x0 = max(0, window.top - MARGIN), max(0, window.left - MARGIN)
    pixels = image[y0 : window.bottom + MARGIN, x0 : window.right + MARGIN]
    part = Part(_channels(pixels, statistics, device, at_once), window, y0, x0)
    return cells_of_both(network, part, at_once)


def _channels(pixels: NDArray[np.float32], statistics: ImageStatistics, device: torch.device, at_once: bool) -> Tensor:
    """The network's input (1, 4, H, W) for a part of an image, padded with nothing to multiples of the last stride.

    Some rows at a time, with those that have an effect on them: what is between is soon forgotten.
    """
    height, width = (-(-n // STRIDES[-1]) * STRIDES[-1] for n in pixels.shape)
    inside, image = np.zeros((1, height, width), np.float32), np.zeros((1, height, width), np.float32)
    known = np.isfinite(pixels)
    inside[0, : pixels.shape[0], : pixels.shape[1]] = known
    image[0, : pixels.shape[0], : pixels.shape[1]] = np.where(known, pixels, 0)
    shown, where = torch.from_numpy(image).to(device), torch.from_numpy(inside).to(device)
    median, spread, noise = (torch.tensor([value], dtype=torch.float32, device=device) for value in statistics)
    channels = torch.empty((1, N_CHANNELS, height, width), device=device, memory_format=torch.channels_last)
    step = max(_AT_ONCE // width, 2 * BOX)

    def make(top: int) -> None:
        first, last = max(top - BOX + 1, 0), min(top + step + BOX - 1, height)
        some = input_channels(shown[:, first:last], median, spread, noise, where[:, first:last])
        channels[:, :, top : top + step] = some[:, :, top - first : top - first + step]

    if at_once:
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(make, range(0, height, step)))
    else:
        for top in range(0, height, step):
            make(top)
    return channels
