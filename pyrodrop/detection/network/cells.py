"""The cells in which the network looks for centres, by place and by size.

A droplet of radius r is looked for at the level whose stride s suits it, 3/4 s <= r < 3/2 s, so that a cell is about
as large as the droplet, whatever its size. Each level has two bins of half an octave: a circle inside another that is
1.4 times as large has a bin of its own. A cell of a bin holds at most one centre.

Levels and bins are numbered by one index, bin = 0 ... 9, growing with the radius; level = bin // 2.
"""

import math

import torch
from torch import Tensor

STRIDES = (2, 4, 8, 16, 32)  # pixels from one cell to the next, by level
BINS_PER_LEVEL = 2
N_BINS = BINS_PER_LEVEL * len(STRIDES)
SMALLEST_RADIUS = 0.75 * STRIDES[0]  # px, the lower edge of the first bin, which also takes what is smaller
BIN_WIDTH = math.log(2.0) / BINS_PER_LEVEL  # of log radius


def bin_of(radius: Tensor) -> Tensor:
    """The bin (int64, 0 ... 9) of each radius in px; the first and the last bin are open to their sides."""
    position = torch.log(radius.clamp(min=1e-3) / SMALLEST_RADIUS) / BIN_WIDTH
    return position.floor().long().clamp(0, N_BINS - 1)


def bin_centre(index: Tensor) -> Tensor:
    """The logarithm of the radius in the middle of each bin."""
    return math.log(SMALLEST_RADIUS) + (index + 0.5) * BIN_WIDTH


def cell_of(position: Tensor, stride: Tensor) -> Tensor:
    """The cell (int64) of each coordinate in px: cell i covers i s - 1/2 to (i + 1) s - 1/2."""
    return torch.floor((position + 0.5) / stride).long()


def cell_centre(cell: Tensor, stride: Tensor | int) -> Tensor:
    """The coordinate in px of the middle of each cell."""
    return (cell + 0.5) * stride - 0.5
