"""Droplets' heights and derivatives in their windows by torch, of any profile and on any device.

All windows are one flat list of entries, a droplet at a pixel each. Derivatives are those of the profile's height.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pyrodrop.rendering.profiles import Profile

# Entries that are differentiated at a time.
_TOGETHER = 1 << 20


class TorchColumns(NamedTuple):
    """``columns.Columns`` of tensors: see there."""

    kept: Float[Tensor, " kept"]
    box: Int[Tensor, "n 4"]
    before: Int[Tensor, " before"]
    number: int


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


def entries_of(columns: TorchColumns) -> Entries:
    """The entries of all windows; the host waits once, for their number."""
    left, top, wide, high = columns.box.unbind(1)
    area = wide * high
    droplet = torch.repeat_interleave(torch.arange(len(area), device=area.device), area)
    offset = torch.arange(len(droplet), device=area.device) - (area.cumsum(0) - area)[droplet]
    return Entries(
        droplet,
        top[droplet] + offset // wide[droplet],
        left[droplet] + offset % wide[droplet],
        columns.before[droplet] * columns.number + offset,
        area[droplet],
    )


def columns_by_torch(
    profile: Profile,
    droplets: Float[Tensor, "4 n"],
    shape: Float[Tensor, " s"],
    box: Int[Tensor, "n 4"],
    before: Int[Tensor, " before"],
) -> TorchColumns:
    """Heights and derivatives of droplets of amplitude 1, as ``columns_of_droplets`` says.

    Args:
        profile: the droplets'.
        droplets: x, y, r and the distance where each ends, in px.
        shape: the numbers that they share.
        box, before: as in ``columns.Columns``.
    """
    number = 4 + len(shape)
    empty = torch.empty(0, device=box.device)
    entries = entries_of(TorchColumns(empty, box, before, number))
    kept = torch.empty(len(entries.droplet) * number, device=box.device)
    # Of the logarithm, where a number is positive.
    chain = torch.where(torch.from_numpy(profile.log).to(shape.device), shape, 1.0)
    for start in range(0, len(entries.droplet), _TOGETHER):
        some = entries.those(slice(start, start + _TOGETHER))
        x, y, r, support = droplets[:, some.droplet]
        dx, dy = some.column - x, some.row - y
        squared = dx.square() + dy.square()
        q = squared / r.square()
        height, by_q, by_r, by_shape = _derivatives(profile, q, r, shape.expand(len(q), -1))
        slope = -2 * by_q / r.square()
        values = torch.stack([height, dx * slope, dy * slope, r * by_r - 2 * q * by_q], 1)
        values = torch.cat([values, by_shape * chain], 1) * (squared <= support.square())[:, None]
        kept[some.places(0, number)] = values.float()
    return TorchColumns(kept, box, before, number)


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
