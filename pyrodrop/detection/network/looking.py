"""The network looks at an image in all of its scales."""

import numpy as np
import torch
from numpy.typing import NDArray

from pyrodrop.detection.network.architecture import CircleNetwork
from pyrodrop.detection.network.channels import ImageStatistics, image_statistics
from pyrodrop.detection.network.peaks import Cells
from pyrodrop.detection.network.scales import placed, scales_of
from pyrodrop.detection.network.windows import cells_in, windows_of

WINDOW = 2048  # px, a multiple of the last stride


def look_at(
    image: NDArray[np.float32],
    network: CircleNetwork,
    device: torch.device,
    window: int = WINDOW,
    at_once: bool = False,
    statistics: ImageStatistics | None = None,
) -> list[Cells]:
    """What the network's cells say of an image (H, W), window by window and scale by scale, in px of it.

    image: NaN where unknown. network: folded, for use. window: side in px, a multiple of the last stride, of what is
    looked at together. at_once: on two threads. statistics: of the image, where they are known.
    """
    cells: list[Cells] = []
    for scale in scales_of(image):
        own = statistics if statistics and not scale.number else image_statistics(np.asarray(scale.pixels))
        windows = windows_of(scale.pixels.shape, window) if own.spread else []
        seen = (cells_in(scale.pixels, part, own, network, device, at_once) for part in windows)
        cells += [placed(some, scale) for some in seen]
    return cells
