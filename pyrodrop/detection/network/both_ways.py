"""An image seen twice, as it is and turned round and inverted: what both say is better than what either says.

Where it is torn the network sees a droplet one way round and not the other. The mean of both probabilities is nearer to
the truth (of 250 simulated patches average precision .804 against .791), and is the same for the image turned by half a
turn and inverted, by construction.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch import Tensor

from pyrodrop.detection.network.architecture import CellOutputs, CircleNetwork
from pyrodrop.detection.network.cells import STRIDES
from pyrodrop.detection.network.channels import N_CHANNELS
from pyrodrop.detection.network.parts import Window
from pyrodrop.detection.network.peaks import Cells, cells_of, joined
from pyrodrop.detection.network.strips import STRIP, Strip, strips_of


class Part(NamedTuple):
    """Channels (1, 4, H, W) of a window with what surrounds it, H and W multiples of the last stride.

    top, left: where in the image the channels begin, in px, so that cells fall on cells of the image.
    """

    channels: Tensor
    window: Window
    top: int = 0
    left: int = 0


def cells_of_both(network: CircleNetwork, part: Part, at_once: bool = False, strip: int = STRIP) -> Cells:
    """The cells in a window by both ways, each of half its presence: those that speak of one circle are summed.

    network: folded. at_once: on two threads of one processor each, in half the time; what is said is the same to the
    last digit. strip: cells that are computed together, about.
    """
    if not at_once:
        ways = [_seen(network, part, strip), _seen_turned(network, part, strip)]
    else:
        with ThreadPoolExecutor(1) as beside:
            turned = beside.submit(_seen_turned, network, part, strip)
            ways = [_seen(network, part, strip), turned.result()]
    cells = joined(ways)
    return cells._replace(presence=cells.presence / 2)


def _seen(network: CircleNetwork, part: Part, strip: int) -> Cells:
    return joined([_inside(some, part) for some in strips_of(network, part.channels, strip)])


def _seen_turned(network: CircleNetwork, part: Part, strip: int) -> Cells:
    """What is said of the channels turned by half a turn and inverted, turned back."""
    # The last channel says where the image is, which is the same whatever its sign.
    sign = torch.tensor([-1.0] * (N_CHANNELS - 1) + [1.0], device=part.channels.device)[:, None, None]
    turned = (part.channels * sign).flip(-2, -1).contiguous(memory_format=torch.channels_last)
    height = turned.shape[2]
    return joined([_inside(_turned_back(some, height), part) for some in strips_of(network, turned, strip)])


def _turned_back(strip: Strip, height: int) -> Strip:
    """A strip of a turned image, so many px high, as one of the image."""
    outputs = CellOutputs(*(values.flip(-2, -1) for values in strip.outputs))
    outputs = outputs._replace(offset=-outputs.offset, brightness=-outputs.brightness)
    row = height // STRIDES[strip.level] - strip.row - outputs.logit.shape[-2]
    return Strip(strip.level, row, outputs)


def _inside(strip: Strip, part: Part) -> Cells:
    """The cells of a strip that lie in the window."""
    stride, window = STRIDES[strip.level], part.window
    first, left = part.top // stride + strip.row, part.left // stride  # cells of the image
    rows = slice(max(window.top // stride - first, 0), max(-(-window.bottom // stride) - first, 0))
    columns = slice(window.left // stride - left, -(-window.right // stride) - left)
    outputs = CellOutputs(*(values[..., rows, columns] for values in strip.outputs))
    return cells_of(outputs, strip.level, row=first + rows.start, column=left + columns.start)
