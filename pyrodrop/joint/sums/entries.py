"""The sums of the joint fit in torch, on any device: the slow twin of the compiled ones in ``windows``.

The functions have the names and arguments of those there, with tensors in the place of arrays. Droplets and derivatives
are ``columns.Columns`` of tensors, made of any profile's height by ``columns_by_torch``. Here they are one flat list of
entries, a droplet at a pixel each, and what is summed over the pixels of a droplet, or over the droplets of a pixel, is
an ``index_add``. The products of droplets with each other are those of a sparse matrix with itself, J^T J: entries of
the same pixel, each with each.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pyrodrop.rendering.kernels.columns_torch import Entries, TorchColumns, entries_of


def values_of(columns: TorchColumns, entries: Entries, first: int, last: int) -> Float[Tensor, "e p"]:
    """Pictures from first to before last at the entries, float64."""
    return columns.kept[entries.places(first, last)].double()


def paint(columns: TorchColumns, amplitude: Float[Tensor, "c n"], image: Float[Tensor, "c h w"]) -> None:
    """Add the heights times amplitude to the image."""
    entries = entries_of(columns)
    height = values_of(columns, entries, 0, 1)[:, 0]
    _add(image, entries, amplitude[:, entries.droplet] * height)


def paint_shared(columns: TorchColumns, amplitude: Float[Tensor, " n"], images: Float[Tensor, "s h w"]) -> None:
    """Add the derivatives by the shared numbers times amplitude to the images."""
    entries = entries_of(columns)
    by_shared = values_of(columns, entries, columns.number - len(images), columns.number)
    _add(images, entries, by_shared.T * amplitude[entries.droplet])


def project(columns: TorchColumns, residual: Float[Tensor, "c h w"], out: Float[Tensor, "n c p"]) -> None:
    """Products of the first P columns with the residual, into out."""
    entries = entries_of(columns)
    values = values_of(columns, entries, 0, out.shape[2])
    at = residual[:, entries.row, entries.column].T
    out.zero_().index_add_(0, entries.droplet, at[:, :, None] * values[:, None])


def meetings(box: Int[Tensor, "n 4"]) -> Int[Tensor, "pairs 2"]:
    """Pairs (i, j), i <= j, of droplets whose windows share a pixel; each with itself too."""
    low, high = box[:, :2], box[:, :2] + box[:, 2:]
    both = torch.minimum(high[:, None], high) - torch.maximum(low[:, None], low)
    meet = (both > 0).all(-1) | torch.eye(len(box), dtype=torch.bool, device=box.device)
    return meet.triu().nonzero()


def gram(columns: TorchColumns, pairs: Int[Tensor, "pairs 2"], out: Float[Tensor, "pairs p p"]) -> None:
    """Products of the first P columns of each pair where both are, into out.

    The entries are sorted by their pixels. Those that lie k places apart and are of one pixel are of two droplets; the
    host waits once for each k, up to the number of droplets that share a pixel.
    """
    entries = entries_of(columns)
    pixel = entries.row * (1 + entries.column.amax()) + entries.column if len(entries.row) else entries.row
    # Stable, so that at a pixel the droplets rise.
    pixel, order = pixel.sort(stable=True)
    droplet, values = entries.droplet[order], values_of(columns, entries, 0, out.shape[1])[order]
    number = len(columns.box)
    keys, place = (pairs[:, 0] * number + pairs[:, 1]).sort()
    out.zero_()
    for apart in range(len(pixel)):
        some = (pixel[: len(pixel) - apart] == pixel[apart:]).nonzero()[:, 0]
        if not len(some):
            break
        i, j = droplet[some], droplet[some + apart]
        pair = place[torch.searchsorted(keys, i * number + j)]
        out.index_add_(0, pair, values[some][:, :, None] * values[some + apart][:, None])


class Splines(NamedTuple):
    """A background's splines along an axis, as ``normal_equations.Splines`` but of tensors."""

    weights: Float[Tensor, "length 4"]
    first: Int[Tensor, " length"]
    points: int


def with_background(columns: TorchColumns, down: Splines, along: Splines, out: Float[Tensor, "n p points"]) -> None:
    """Products of the first P columns with the background's splines, into out."""
    entries = entries_of(columns)
    values = values_of(columns, entries, 0, out.shape[1])
    flat = out.zero_().transpose(1, 2).reshape(-1, out.shape[1])
    for n in range(4):
        for m in range(4):
            weight = down.weights[entries.row, n] * along.weights[entries.column, m]
            point = (down.first[entries.row] + n) * along.points + along.first[entries.column] + m
            flat.index_add_(0, entries.droplet * out.shape[2] + point, values * weight[:, None])
    out.copy_(flat.reshape(len(out), out.shape[2], -1).transpose(1, 2))


def lost_at(
    x: Float[Tensor, " n"],
    y: Float[Tensor, " n"],
    r: Float[Tensor, " n"],
    before: Float[Tensor, "c h w"],
    after: Float[Tensor, "c h w"],
    weight: Float[Tensor, " c"],
    out: Float[Tensor, " n"],
) -> None:
    """Sums of weight (after^2 - before^2), residuals, over each droplet's square of 2 r a side."""
    change = (weight[:, None, None] * (after.square() - before.square())).sum(0)
    half = r.clamp(min=1.0)
    (left, right), (top, bottom) = (
        ((c - half).round().long().clamp(0, side), ((c + half).round().long() + 1).clamp(0, side))
        for c, side in ((x, change.shape[1]), (y, change.shape[0]))
    )
    # Sums over rectangles from those over all pixels above and to the left.
    sums = torch.nn.functional.pad(change.cumsum(0).cumsum(1), (1, 0, 1, 0))
    total = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    out.copy_(torch.where((right > left) & (bottom > top), total, 0.0))


def change_in(
    box: Int[Tensor, "n 4"],
    group: Int[Tensor, " n"],
    before: Float[Tensor, "c h w"],
    after: Float[Tensor, "c h w"],
    weight: Float[Tensor, " c"],
    seen: Int[Tensor, "h w"],
    turn: int,
    out: Float[Tensor, " groups"],
) -> None:
    """Sums of weight (after^2 - before^2), residuals, over the boxes of each group, each pixel once, into out.

    Boxes of two groups share no pixel. seen and turn are what the compiled sum needs beside.
    """
    change = (weight[:, None, None] * (after.square() - before.square())).sum(0)
    number = torch.full_like(change, -1, dtype=torch.int64)
    entries = _pixels_of(box)
    number[entries.row, entries.column] = group[entries.droplet].long()
    seen = number >= 0
    out.zero_().index_add_(0, number[seen], change[seen])


def copy_boxes(box: Int[Tensor, "n 4"], source: Float[Tensor, "c h w"], target: Float[Tensor, "c h w"]) -> None:
    """Copy the pixels of the boxes from one image to another."""
    entries = _pixels_of(box)
    target[:, entries.row, entries.column] = source[:, entries.row, entries.column]


def inflation(
    columns: TorchColumns,
    weighted: Float[Tensor, "h w"],
    lags: Int[Tensor, "lags 2"],
    correlation: Float[Tensor, " lags"],
    out: Float[Tensor, "n 4 3"],
) -> None:
    """How much larger the variance of each sum of ``project`` is than for even noise: see ``windows.inflation``."""
    entries = entries_of(columns)
    values = values_of(columns, entries, 0, 4)
    _, _, wide, high = columns.box.unbind(1)
    wide, high = wide[entries.droplet], high[entries.droplet]
    row, column = (at - columns.box[entries.droplet, k] for at, k in ((entries.row, 1), (entries.column, 0)))
    power = values.square()
    numbers = torch.arange(len(values), device=values.device)

    def per_droplet(of: Float[Tensor, "e 4"]) -> Float[Tensor, "n 4"]:
        return torch.zeros(len(out), 4, dtype=of.dtype, device=of.device).index_add_(0, entries.droplet, of)

    squares, fourths = per_droplet(power), per_droplet(power.square())
    misfit = per_droplet(power * weighted[entries.row, entries.column][:, None])
    total = squares.clone()
    for (down, across), share in zip(lags.tolist(), correlation, strict=True):
        inside = (row + down >= 0) & (row + down < high) & (column + across >= 0) & (column + across < wide)
        other = torch.where(inside, numbers + down * wide + across, 0)
        total += 2.0 * share * per_droplet(values * values[other] * inside[:, None])
    shares = torch.stack([total / squares, misfit / squares, squares.square() / fourths], -1)
    out.copy_(torch.where((squares > 0)[..., None], shares, 1.0))


def _pixels_of(box: Int[Tensor, "n 4"]) -> Entries:
    """The pixels of boxes, as entries of pictures that are not kept."""
    before = torch.zeros(len(box), dtype=torch.int64, device=box.device)
    return entries_of(TorchColumns(before.new_zeros(0).float(), box, before, 0))


def _add(image: Float[Tensor, "c h w"], entries: Entries, values: Float[Tensor, "c e"]) -> None:
    count, height, width = image.shape
    pixel = entries.row * width + entries.column
    image.view(count, height * width).index_add_(1, pixel, values.to(image.dtype))
