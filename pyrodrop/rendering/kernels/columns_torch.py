"""Droplets' heights and derivatives in their windows by torch, of any profile and on any device.

All windows are one flat list of entries, a droplet at a pixel each. Derivatives are those of the profile's height.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.rendering.profiles import Profile

Array = NDArray[np.float64]
# Entries that are differentiated at a time.
_TOGETHER = 1 << 20


class Windows(NamedTuple):
    """Windows of droplets in an image, on the host.

    box: left, top, wide and high, (N, 4), all 0 where nothing is within. before: pixels in the windows before each,
    (N,).
    """

    box: NDArray[np.int64]
    before: NDArray[np.int64]


class Entries(NamedTuple):
    """Droplets at pixels of their windows, E entries, one droplet after the other, row by row.

    droplet, row, column: whose each is, and where, (E,). first: its place in ``kept`` for the first picture, (E,), and
    step: how far on the next picture's is, (E,).
    """

    droplet: Int[Tensor, " e"]
    row: Int[Tensor, " e"]
    column: Int[Tensor, " e"]
    first: Int[Tensor, " e"]
    step: Int[Tensor, " e"]

    def those(self, some: slice) -> "Entries":
        """Of some of the entries."""
        return Entries(*(values[some] for values in self))

    def places(self, first: int, last: int) -> Int[Tensor, "e p"]:
        """Where in ``kept`` the pictures from first to before last are."""
        return self.first[:, None] + torch.arange(first, last, device=self.first.device) * self.step[:, None]


@dataclass(frozen=True)
class TorchColumns:
    """``columns.Columns`` whose pictures are a tensor: see there. Windows are known to the host."""

    kept: Float[Tensor, " kept"]
    box: NDArray[np.int64]
    before: NDArray[np.int64]
    number: int

    @cached_property
    def entries(self) -> Entries:
        """All entries."""
        droplet, row, column = pixels_of(self.box, self.kept.device)
        area = self.box[:, 2] * self.box[:, 3]
        first = self.before[: len(area)] * self.number - (np.cumsum(area) - area)
        first, step = torch.from_numpy(np.stack([first, area])).to(self.kept.device)[:, droplet]
        return Entries(droplet, row, column, first + torch.arange(len(droplet), device=self.kept.device), step)

    def those(self, some: NDArray[np.intp]) -> "TorchColumns":
        """Of some of the droplets; nothing is copied."""
        return TorchColumns(self.kept, self.box[some], self.before[some], self.number)

    def replaced(self, some: NDArray[np.intp], others: "TorchColumns") -> "TorchColumns":
        """With other pictures of some of the droplets."""
        box, before = self.box.copy(), self.before.copy()
        box[some], before[some] = others.box, others.before[: len(some)] + len(self.kept) // self.number
        return TorchColumns(torch.cat([self.kept, others.kept]), box, before, self.number)


def windows_of(x: Array, y: Array, support: Array, size: tuple[int, int]) -> Windows:
    """Windows of droplets, (N,) each, that end at the distances support, in an image of this height and width."""
    spans = []
    for centre, length in ((x, size[1]), (y, size[0])):
        with np.errstate(invalid="ignore"):
            low = np.maximum(np.ceil(centre - support), 0.0)
            high = np.minimum(np.floor(centre + support), length - 1.0)
            some = low <= high
        low = np.where(some, low, 0.0)
        spans.append((low, np.where(some, high - low + 1, 0.0)))
    (left, wide), (top, high) = spans
    box = np.stack([left, top, wide, high], 1).astype(np.int64)
    box[(wide == 0) | (high == 0)] = 0
    area = box[:, 2] * box[:, 3]
    return Windows(box, np.cumsum(area) - area)


def pixels_of(
    box: NDArray[np.int64], device: torch.device
) -> tuple[Int[Tensor, " e"], Int[Tensor, " e"], Int[Tensor, " e"]]:
    """The pixels of boxes (N, 4), one box after the other, row by row: the number of the box, row and column, (E,)."""
    area = box[:, 2] * box[:, 3]
    sent = torch.from_numpy(np.concatenate([box.T, [area, np.cumsum(area) - area]])).to(device)
    numbers = torch.arange(len(box), device=device)
    whose = torch.repeat_interleave(numbers, sent[4], output_size=int(area.sum()))
    left, top, wide, _, _, before = sent[:, whose]
    offset = torch.arange(len(whose), device=device) - before
    return whose, top + offset // wide, left + offset % wide


def columns_by_torch(
    profile: Profile,
    droplets: Float[Tensor, "4 n"],
    shape: Float[Tensor, "*n s"],
    windows: Windows,
) -> TorchColumns:
    """Heights and derivatives of droplets of amplitude 1, as ``columns_of_droplets`` says.

    Args:
        profile: the droplets'.
        droplets: x, y, r and the distance where each ends, in px.
        shape: the numbers that they share, (S,), or those of each, (N, S).
        windows: of the droplets.
    """
    number, pixels = 4 + shape.shape[-1], int((windows.box[:, 2] * windows.box[:, 3]).sum())
    columns = TorchColumns(torch.empty(pixels * number, device=droplets.device), *windows, number)
    entries = columns.entries
    # Of the logarithm, where a number is positive.
    chain = torch.where(torch.from_numpy(profile.log).to(shape.device), shape, 1.0)
    for start in range(0, len(entries.droplet), _TOGETHER):
        some = entries.those(slice(start, start + _TOGETHER))
        x, y, r, support = droplets[:, some.droplet]
        dx, dy = some.column - x, some.row - y
        squared = dx.square() + dy.square()
        q = squared / r.square()
        own = shape.expand(len(q), -1) if shape.ndim == 1 else shape[some.droplet]
        height, by_q, by_r, by_shape = _derivatives(profile, q, r, own)
        slope = -2 * by_q / r.square()
        values = torch.stack([height, dx * slope, dy * slope, r * by_r - 2 * q * by_q], 1)
        values = (
            torch.cat([values, by_shape * (chain if chain.ndim == 1 else chain[some.droplet])], 1)
            * (squared <= support.square())[:, None]
        )
        columns.kept[some.places(0, number)] = values.float()
    return columns


def _derivatives(
    profile: Profile, q: Float[Tensor, " e"], r: Float[Tensor, " e"], shape: Float[Tensor, "e s"]
) -> tuple[Float[Tensor, " e"], Float[Tensor, " e"], Float[Tensor, " e"], Float[Tensor, "e s"]]:
    """Height at q, and its derivatives by q, by r and by each shared number.

    Each height depends on its own q, r and shape alone, so that one backward pass of their sum has all derivatives.
    """
    with torch.enable_grad():
        leaves = [values.detach().clone().requires_grad_() for values in (q, r, shape)]
        height = profile.height(*leaves)
        gradients = torch.autograd.grad(height.sum(), leaves, allow_unused=True)
    by_q, by_r, by_shape = (
        torch.zeros_like(leaf) if gradient is None else gradient
        for leaf, gradient in zip(leaves, gradients, strict=True)
    )
    return height.detach(), by_q, by_r, by_shape
