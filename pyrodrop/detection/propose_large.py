"""Proposed circles of an image that does not fit into memory, window by window: the same as of the image as a whole.

How the image is looked at (its view, and the statistics of its brightness) is a matter of the whole image, and is found
first. The windows of the image itself can then be looked at in any order and by any process; what it is reduced to
for larger droplets, a third of its pixels in all, is looked at by one.
"""

from pathlib import Path
from typing import NamedTuple

import torch

from pyrodrop.detection.network.canonical import View, Viewed, canonical_view
from pyrodrop.detection.network.channels import ImageStatistics
from pyrodrop.detection.network.parts import Readable, Window
from pyrodrop.detection.network.peaks import Cells
from pyrodrop.detection.network.scales import Scale, placed, scales_of
from pyrodrop.detection.network.streamed_statistics import streamed_statistics
from pyrodrop.detection.network.weights import SHIPPED, TrainedNetwork, network_for_use
from pyrodrop.detection.network.windows import cells_in, windows_of
from pyrodrop.detection.proposals import Proposals, proposals_of
from pyrodrop.detection.propose import one_thread


class Overview(NamedTuple):
    """How the network looks at a whole image.

    view: of it. statistics: of its brightness in that view. is_last: whether it is too small to be reduced. weights:
    the file of the network. device: where it looks.
    """

    view: View
    statistics: ImageStatistics
    is_last: bool
    weights: Path = SHIPPED
    device: str = "cpu"

    @property
    def trained(self) -> TrainedNetwork:
        """The network, on the device."""
        return network_for_use(self.weights, self.device)


def overview_of(image: Readable, weights: Path = SHIPPED, device: str = "cpu") -> Overview:
    """How the network is to look at an image of which parts are read, and where."""
    statistics = streamed_statistics(image)
    view = canonical_view(image, statistics.median)
    return Overview(view, statistics.in_view(view.sign), next(scales_of(image)).is_last, weights, device)


def windows_to_look_at(image: Readable, overview: Overview, side: int) -> list[Window]:
    """Windows of at most that side in px, a multiple of 32; none of an image of one brightness."""
    return windows_of(Viewed(image, overview.view).shape, side) if overview.statistics.spread else []


def look_at_window(image: Readable, overview: Overview, window: Window) -> Cells:
    """What the network's cells say in a window of the image."""
    seen, network = Viewed(image, overview.view), overview.trained.network
    with one_thread():
        cells = cells_in(seen, window, overview.statistics, network, torch.device(overview.device))
    return placed(cells, Scale(seen, 0, overview.is_last))


def look_at_reduced(image: Readable, overview: Overview, side: int) -> list[Cells]:
    """What the network's cells say of all that the image is reduced to."""
    cells, network = [], overview.trained.network
    with one_thread():
        for scale in scales_of(Viewed(image, overview.view)):
            statistics = streamed_statistics(scale.pixels) if scale.number else overview.statistics
            if not scale.number or not statistics.spread:
                continue
            for window in windows_of(scale.pixels.shape, side):
                seen = cells_in(scale.pixels, window, statistics, network, torch.device(overview.device))
                cells.append(placed(seen, scale))
    return cells


def proposals_of_all(image: Readable, overview: Overview, cells: list[Cells], least_presence: float) -> Proposals:
    """The circles that all windows and scales propose, each once, the likeliest first."""
    shape = (image.shape[0], image.shape[1])
    return proposals_of(cells, overview.trained.calibration, overview.view, shape, least_presence)
