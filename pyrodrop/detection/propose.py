"""An image to proposed circles: what the network sees in it, at all sizes, in one list."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pyrodrop.detection.network.architecture import FIELD, CircleNetwork
from pyrodrop.detection.network.canonical import View, canonical_view
from pyrodrop.detection.network.cells import STRIDES
from pyrodrop.detection.network.channels import BOX, ImageStatistics, image_statistics, input_channels
from pyrodrop.detection.network.peaks import Cells, cells_of, joined, peaks
from pyrodrop.detection.network.weights import SHIPPED, network_for_use

REDUCTION = 4  # from one scale to the next
LEAST_SIDE = 48  # px: an image is reduced as long as its shorter side keeps this many
HANDOVER = (24.0, 48.0)  # px of a scale: radii between which the next scale takes over
TILE = 1536  # px, a multiple of the last stride
LEAST_PRESENCE = 0.02  # proposals under this are not returned
MARGIN = FIELD + STRIDES[-1] * math.ceil((BOX - 1) / STRIDES[-1])  # px around a tile that have an effect on it


@dataclass(frozen=True)
class Proposals:
    """Circles that a network proposes, the likeliest first: float64 tensors on the CPU, lengths in px.

    circles: (n, 3), x, y, r. r is the geometric mean of an ellipse's half axes.
    sd: (n, 3), their standard deviations.
    presence: (n,), the probability that there is such a droplet.
    axis_ratio, angle: (n,), minor over major axis, and the direction of the major one from x towards y, in [0, pi).
    brighter: (n,), the probability that the droplet is brighter than what surrounds it.
    """

    circles: Tensor
    sd: Tensor
    presence: Tensor
    axis_ratio: Tensor
    angle: Tensor
    brighter: Tensor

    def __len__(self) -> int:
        return len(self.presence)

    def take(self, which: Tensor) -> "Proposals":
        """The proposals of these numbers, or where this is true."""
        return Proposals(*(getattr(self, name)[which] for name in self.__dataclass_fields__))


def propose(
    image: Tensor | ArrayLike,
    mask: ArrayLike | None = None,
    *,
    least_presence: float = LEAST_PRESENCE,
    device: str | torch.device = "cpu",
    weights: Path = SHIPPED,
    tile: int = TILE,
) -> Proposals:
    """Circles that may be droplets, each with its probability, in an image of any size.

    image: (H, W), in any units; values that are not finite are unknown.
    mask: (H, W), True where droplets are looked for.
    least_presence: proposals under this probability are left out.
    weights: a file that `python -m pyrodrop.detection.train` wrote.
    tile: side in px, a multiple of 32, of what is looked at together; memory grows with its square.

    The circles of an image that is turned, mirrored or inverted, or whose brightness is scaled, are the same circles
    turned or mirrored.

    Raises:
        ValueError: the image is not of two dimensions, the mask is of another shape, or the tile no multiple of 32.
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
    view = canonical_view(known, image_statistics(known).median, inside)
    seen = view.of(known)
    parts = []
    with one_thread():
        for scale, reduced in enumerate(_scales(seen)):
            parts += [
                _placed(cells, scale, is_last=reduced.is_last)
                for cells in _cells(reduced.pixels, trained.network, torch.device(device), tile)
            ]
    found = peaks(joined(parts)) if parts else Cells(*[np.zeros(0)] * len(Cells._fields))
    return _proposals(found, trained.calibration(found.presence), view, inside, least_presence)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch, and then as many as before: sums of several threads are rounded otherwise, and a worker of
    one thread is to propose what the whole machine proposes.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class _Scale:
    """An image, reduced so and so often; the last one is not reduced further."""

    pixels: NDArray[np.float32]
    is_last: bool


def _scales(pixels: NDArray[np.float32]) -> Iterator[_Scale]:
    """The image, and the image reduced again and again, of which NaN is unknown."""
    while True:
        is_last = min(pixels.shape) < REDUCTION * LEAST_SIDE
        yield _Scale(pixels, is_last)
        if is_last:
            return
        pixels = _reduced(pixels)


def _reduced(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of squares of 4 x 4 px; unknown where less than half of the square is known."""
    height, width = (-(-n // REDUCTION) * REDUCTION for n in pixels.shape)
    padded = np.full((height, width), np.nan, np.float32)
    padded[: pixels.shape[0], : pixels.shape[1]] = pixels
    squares = padded.reshape(height // REDUCTION, REDUCTION, width // REDUCTION, REDUCTION)
    known = np.isfinite(squares)
    number = known.sum((1, 3))
    mean = np.where(known, squares, 0).sum((1, 3)) / np.maximum(number, 1)
    return np.where(number >= REDUCTION**2 / 2, mean, np.nan).astype(np.float32)


@torch.no_grad()
def _cells(pixels: NDArray[np.float32], network: CircleNetwork, device: torch.device, tile: int) -> Iterator[Cells]:
    """What the cells of each tile and level say of an image of one scale."""
    statistics = image_statistics(pixels)
    if statistics.spread == 0:
        return
    height, width = pixels.shape
    # A little more than a tile is looked at as a whole, margins and all.
    rows = [0] if height <= tile + MARGIN else range(0, height, tile)
    columns = [0] if width <= tile + MARGIN else range(0, width, tile)
    for top in rows:
        for left in columns:
            bottom = height if len(rows) == 1 else min(top + tile, height)
            right = width if len(columns) == 1 else min(left + tile, width)
            y0, x0 = max(0, top - MARGIN), max(0, left - MARGIN)
            window = pixels[y0 : bottom + MARGIN, x0 : right + MARGIN]
            channels = _channels(window, statistics, device)
            for level, outputs in enumerate(network(channels)):
                stride = STRIDES[level]
                r, c = (top - y0) // stride, (left - x0) // stride
                n_rows, n_columns = -(-(bottom - top) // stride), -(-(right - left) // stride)
                own = type(outputs)(*(o[..., r : r + n_rows, c : c + n_columns] for o in outputs))
                yield cells_of(own, level, row=top // stride, column=left // stride)


def _channels(window: NDArray[np.float32], statistics: ImageStatistics, device: torch.device) -> Tensor:
    """The network's input (1, 4, H, W) for a part of an image, padded with nothing to multiples of the last stride."""
    height, width = (-(-n // STRIDES[-1]) * STRIDES[-1] for n in window.shape)
    inside = torch.zeros(1, height, width)
    images = torch.zeros(1, height, width)
    known = np.isfinite(window)
    inside[0, : window.shape[0], : window.shape[1]] = torch.from_numpy(known.astype(np.float32))
    images[0, : window.shape[0], : window.shape[1]] = torch.from_numpy(np.where(known, window, 0))
    median, spread, noise = (torch.tensor([value], dtype=torch.float32, device=device) for value in statistics)
    channels = input_channels(images.to(device), median, spread, noise, inside.to(device))
    return channels.contiguous(memory_format=torch.channels_last)


def _placed(cells: Cells, scale: int, is_last: bool) -> Cells:
    """Cells of a scale in px of the image, their presence times the share that this scale has in their radius.

    The shares of all scales sum to 1 at each radius: from one scale the next takes over between two radii.
    """
    factor = float(REDUCTION**scale)
    low, high = math.log(HANDOVER[0]), math.log(HANDOVER[1])

    def passed_on(log_radius: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((log_radius - low) / (high - low)).clip(0, 1)

    share = np.ones_like(cells.presence)
    if not is_last:
        share -= passed_on(cells.log_radius)
    if scale:
        share *= passed_on(cells.log_radius + math.log(REDUCTION))
    kept = share > 0
    placed = cells._replace(
        presence=cells.presence * share,
        x=(cells.x + 0.5) * factor - 0.5,
        y=(cells.y + 0.5) * factor - 0.5,
        log_radius=cells.log_radius + math.log(factor),
        centre_sd=cells.centre_sd * factor,
    )
    return Cells(*(column[kept] for column in placed))


def _proposals(
    found: Cells, presence: NDArray[np.float64], view: View, inside: NDArray[np.bool_], least_presence: float
) -> Proposals:
    """Peaks seen in a view of an image as proposals in the image, those outside and the unlikely ones left out."""
    x, y = view.point_back(found.x, found.y, inside.shape)
    column, row = np.floor(x + 0.5).astype(int), np.floor(y + 0.5).astype(int)
    kept = (presence >= least_presence) & (row >= 0) & (row < inside.shape[0]) & (column >= 0)
    kept &= column < inside.shape[1]
    kept[kept] = inside[row[kept], column[kept]]
    radius = np.exp(found.log_radius)
    angle = np.arctan2(found.ellipse_sin, found.ellipse_cos) / 2
    brighter = found.brightness if view.sign > 0 else 1 - found.brightness
    sd = [found.centre_sd, found.centre_sd, radius * found.log_radius_sd]
    columns = [
        np.stack([x, y, radius], 1),
        np.stack(sd, 1),
        presence,
        np.exp(-np.hypot(found.ellipse_cos, found.ellipse_sin)),
        view.angle_back(angle),
        brighter,
    ]
    return Proposals(*(torch.from_numpy(np.ascontiguousarray(values[kept])) for values in columns))
