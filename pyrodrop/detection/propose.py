"""An image to proposed circles: what the network sees in it, at all sizes, in one list."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pyrodrop.detection.network.canonical import canonical_view
from pyrodrop.detection.network.cells import STRIDES
from pyrodrop.detection.network.channels import image_statistics
from pyrodrop.detection.network.looking import WINDOW, look_at
from pyrodrop.detection.network.weights import SHIPPED, network_for_use
from pyrodrop.detection.proposals import Proposals as Proposals
from pyrodrop.detection.proposals import pixel_of, proposals_of

LEAST_PRESENCE = 0.02  # proposals under this are not returned


def propose(
    image: Tensor | ArrayLike,
    mask: ArrayLike | None = None,
    *,
    least_presence: float = LEAST_PRESENCE,
    device: str | torch.device = "cpu",
    weights: Path = SHIPPED,
    tile: int = WINDOW,
) -> Proposals:
    """Circles that may be droplets, each with its probability, in an image of any size.

    image: (H, W), in any units; values that are not finite are unknown.
    mask: (H, W), True where droplets are looked for.
    least_presence: proposals under this probability are left out.
    weights: a file that `python -m pyrodrop.detection.train` or `pyrodrop learn` wrote.
    tile: side in px, a multiple of 32, of what is looked at together; memory grows with its square.

    The circles of an image that is turned, mirrored or inverted, or whose brightness is scaled, are the same circles
    turned or mirrored. Of an image that does not fit into memory see ``detection.propose_large``.

    Raises:
        ValueError: the image is not of two dimensions, the mask is of another shape, or the tile no multiple of 32;
            or the file holds no weights of this version.
        FileNotFoundError: there are no weights.
    """
    pixels = np.asarray(image.detach().cpu() if isinstance(image, Tensor) else image, np.float32)
    if pixels.ndim != 2:
        raise ValueError(f"the image is of shape {pixels.shape}, expected (H, W): give one channel of it")
    inside = np.isfinite(pixels)
    if mask is not None:
        mask = np.asarray(mask, bool)
        if mask.shape != pixels.shape:
            raise ValueError(f"the mask is of shape {mask.shape}, expected that of the image, {pixels.shape}")
        inside &= mask
    if tile <= 0 or tile % STRIDES[-1]:
        raise ValueError(f"tile is {tile} px, expected a positive multiple of {STRIDES[-1]}")
    trained = network_for_use(weights, str(device))
    known = np.where(inside, pixels, np.float32(np.nan))
    statistics = image_statistics(known)
    view = canonical_view(known, statistics.median)
    seen = statistics.in_view(view.sign)
    where = torch.device(device)
    with one_thread() as threads:
        at_once = threads > 1 and where.type == "cpu"
        cells = look_at(view.of(known), trained.network, where, tile, at_once, seen)
    proposals = proposals_of(cells, trained.calibration, view, pixels.shape, least_presence)
    column, row = pixel_of(*proposals.circles[:, :2].numpy().T)
    return proposals.take(torch.from_numpy(inside[row, column]))


@contextmanager
def one_thread() -> Iterator[int]:
    """One thread for torch, and then as many as before, which it yields: sums of several threads are rounded otherwise,
    and a worker of one thread is to propose what the whole machine proposes.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield before
    finally:
        torch.set_num_threads(before)
