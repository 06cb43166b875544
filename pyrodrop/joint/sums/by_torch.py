"""The sums of the joint fit in torch, on any device: the twin of the compiled ones.

Pictures of droplets are one flat list of entries, a droplet at a pixel each, of any profile's height
(``columns_by_torch``). What is summed over the pixels of a droplet, or over the droplets of a pixel, is an
``index_add``. Windows are known to the host, so that no sum makes it wait for sizes: each sends a few numbers of the
droplets and brings back what was summed, once.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.joint.sums.engine import Array, Grid, Image, Places, Splines
from pyrodrop.rendering import Profile
from pyrodrop.rendering.kernels.columns_torch import TorchColumns, columns_by_torch, pixels_of, windows_of

# Pixels that two droplets share that are summed over at a time.
_TOGETHER = 1 << 19


class _Overlaps(NamedTuple):
    """Pixels that pairs of droplets share: whose each is, and where both droplets' first pictures have it, (E,)."""

    pair: Int[Tensor, " e"]
    first: Int[Tensor, "2 e"]
    step: Int[Tensor, "2 e"]


class ByTorch:
    """The engine of a device; see ``engine.Engine``, whose methods these are."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def image(self, array: Array) -> Image:
        return self._sent(np.asarray(array, dtype=np.float64))

    def array(self, image: Image) -> Array:
        return np.asarray(image.cpu().numpy())

    def copy(self, image: Image) -> Image:
        return image.clone()

    def grid(self, down: Array, along: Array) -> Grid:
        four = [Splines.of(basis) for basis in (down, along)]
        sent = [each._replace(weights=self._sent(each.weights), first=self._sent(each.first)) for each in four]
        return Grid(self._sent(down), self._sent(along), *sent)

    def columns(
        self, profile: Profile, places: Places, shape: Array, size: tuple[int, int], known: Image | None
    ) -> TorchColumns:
        support = profile.support(places.r, shape, profile.left_out)
        droplets = self._sent(np.stack([*places, support]))
        columns = columns_by_torch(profile, droplets, self._sent(shape), windows_of(places.x, places.y, support, size))
        if known is not None:
            entries = columns.entries
            columns.kept[entries.places(0, columns.number)] *= known[entries.row, entries.column].float()[:, None]
        return columns

    def paint(self, columns: TorchColumns, amplitude: Array, image: Image) -> None:
        entries = columns.entries
        height = _values(columns, 0, 1)[:, 0]
        _add(image, entries, self._sent(amplitude)[:, entries.droplet] * height)

    def painted_shared(self, columns: TorchColumns, amplitude: Array, size: tuple[int, int]) -> Image:
        images = torch.zeros(columns.number - 4, *size, dtype=torch.float64, device=self._device)
        entries = columns.entries
        by_shared = _values(columns, 4, columns.number)
        _add(images, entries, by_shared.T * self._sent(amplitude)[entries.droplet])
        return images

    def project(self, columns: TorchColumns, images: Image, first: int) -> Array:
        entries = columns.entries
        values = _values(columns, 0, first)
        at = images[:, entries.row, entries.column].T
        return self._summed(at[:, :, None] * values[:, None], entries.droplet, len(columns.box))

    def gram(self, columns: TorchColumns, pairs: NDArray[np.int64], first: int) -> Array:
        out = torch.zeros(len(pairs), first, first, dtype=torch.float64, device=self._device)
        pictures = torch.arange(first, device=self._device)
        for shared in self._overlaps(columns, pairs):
            some, other = (
                columns.kept[begin[:, None] + pictures * step[:, None]].double()
                for begin, step in zip(shared.first, shared.step, strict=True)
            )
            out.index_add_(0, shared.pair, some[:, :, None] * other[:, None])
        return self.array(out)

    def on_splines(self, columns: TorchColumns, grid: Grid, first: int) -> Array:
        entries, down, along = columns.entries, grid.down_four, grid.along_four
        values = _values(columns, 0, first)
        flat = torch.zeros(len(columns.box) * grid.points, first, dtype=torch.float64, device=self._device)
        for n in range(4):
            for m in range(4):
                weight = down.weights[entries.row, n] * along.weights[entries.column, m]
                point = (down.first[entries.row] + n) * along.points + along.first[entries.column] + m
                flat.index_add_(0, entries.droplet * grid.points + point, values * weight[:, None])
        return self.array(flat.reshape(len(columns.box), grid.points, first).transpose(1, 2).contiguous())

    def lost_at(self, places: Places, before: Image, after: Image, weight: Array) -> Array:
        change = self._change(before, after, weight)
        half = np.maximum(places.r, 1.0)
        (left, right), (top, bottom) = (
            (np.clip(np.round(c - half), 0, side), np.clip(np.round(c + half) + 1, 0, side))
            for c, side in ((places.x, change.shape[1]), (places.y, change.shape[0]))
        )
        left, right, top, bottom = self._sent(np.stack([left, right, top, bottom]).astype(np.int64))
        # Sums over rectangles from those over all pixels above and to the left.
        sums = torch.nn.functional.pad(change.cumsum(0).cumsum(1), (1, 0, 1, 0))
        total = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        return self.array(torch.where((right > left) & (bottom > top), total, 0.0))

    def change_in(
        self, box: NDArray[np.int64], group: NDArray[Any], before: Image, after: Image, weight: Array
    ) -> Array:
        change = self._change(before, after, weight)
        # Pixels of no group come first.
        number = torch.zeros_like(change, dtype=torch.int64)
        droplet, row, column = pixels_of(box, self._device)
        number[row, column] = 1 + self._sent(group.astype(np.int64))[droplet]
        return self._summed(change.reshape(-1), number.reshape(-1), int(group.max(initial=-1)) + 2)[1:]

    def copy_boxes(self, box: NDArray[np.int64], source: Image, target: Image) -> None:
        _, row, column = pixels_of(box, self._device)
        target[:, row, column] = source[:, row, column]

    def inflation(self, columns: TorchColumns, weighted: Image, lags: NDArray[np.int64], correlation: Array) -> Array:
        entries, values, number = columns.entries, _values(columns, 0, 4), len(columns.box)
        left, top, wide, high = self._sent(columns.box)[entries.droplet].T
        row, column = entries.row - top, entries.column - left
        power = values.square()
        numbers = torch.arange(len(values), device=self._device)

        def per_droplet(of: Float[Tensor, "e 4"]) -> Float[Tensor, "n 4"]:
            return torch.zeros(number, 4, dtype=of.dtype, device=of.device).index_add_(0, entries.droplet, of)

        squares, fourths = per_droplet(power), per_droplet(power.square())
        misfit = per_droplet(power * weighted[entries.row, entries.column][:, None])
        total = squares.clone()
        for (down, across), share in zip(lags.tolist(), correlation.tolist(), strict=True):
            inside = (row + down >= 0) & (row + down < high) & (column + across >= 0) & (column + across < wide)
            other = torch.where(inside, numbers + down * wide + across, 0)
            total += 2.0 * share * per_droplet(values * values[other] * inside[:, None])
        shares = torch.stack([total / squares, misfit / squares, squares.square() / fourths], -1)
        return self.array(torch.where((squares > 0)[..., None], shares, 1.0))

    def correlation(self, image: Image, lags: NDArray[np.int64]) -> Array:
        _, height, width = image.shape
        means = [
            (
                image[:, down:, max(across, 0) : width + min(across, 0)]
                * image[:, : height - down, max(-across, 0) : width - max(across, 0)]
            ).mean()
            for down, across in lags.tolist()
        ]
        return self.array(torch.stack(means)) if means else np.zeros(0)

    def _sent(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(self._device)

    def _summed(self, values: Tensor, into: Tensor, number: int) -> Array:
        """Sums of values (E, ...) into so many places, (number, ...)."""
        out = torch.zeros(number, *values.shape[1:], dtype=torch.float64, device=self._device)
        return self.array(out.index_add_(0, into, values))

    def _change(self, before: Image, after: Image, weight: Array) -> Float[Tensor, "h w"]:
        return (self._sent(weight)[:, None, None] * (after.square() - before.square())).sum(0)

    def _overlaps(self, columns: TorchColumns, pairs: NDArray[np.int64]) -> Iterator[_Overlaps]:
        """The pixels that each pair shares, some pairs at a time."""
        box, before = columns.box, columns.before
        i, j = pairs.T
        low = np.maximum(box[i, :2], box[j, :2])
        wide, high = np.maximum(np.minimum(box[i, :2] + box[i, 2:], box[j, :2] + box[j, 2:]) - low, 0).T
        area = wide * high
        # Place of the overlap's first pixel in each droplet's window, and from one row of it to the next.
        begin, row, step = [], [], []
        for k in (i, j):
            step.append(box[k, 2] * box[k, 3])
            row.append(box[k, 2])
            begin.append(before[k] * columns.number + (low[:, 1] - box[k, 1]) * box[k, 2] + low[:, 0] - box[k, 0])
        ends = np.cumsum(area)
        start = 0
        while start < len(pairs):
            end = max(start + 1, int(np.searchsorted(ends, (ends[start - 1] if start else 0) + _TOGETHER, "right")))
            some, number = slice(start, end), int(area[start:end].sum())
            numbers = np.stack([area, wide, *begin, *row, *step, ends - area])[:, some]
            sent = self._sent(numbers)
            pair = torch.repeat_interleave(torch.arange(end - start, device=self._device), sent[0], output_size=number)
            offset = torch.arange(number, device=self._device) + sent[8, 0] - sent[8, pair]
            down, across = offset // sent[1, pair], offset % sent[1, pair]
            first = sent[2:4, pair] + down * sent[4:6, pair] + across
            yield _Overlaps(pair + start, first, sent[6:8, pair])
            start = end


def _values(columns: TorchColumns, first: int, last: int) -> Float[Tensor, "e p"]:
    """Pictures from first to before last at the entries, float64."""
    values: Tensor = columns.kept[columns.entries.places(first, last)]
    return values.double()


def _add(image: Image, entries: Any, values: Float[Tensor, "c e"]) -> None:
    count, height, width = image.shape
    pixel = entries.row * width + entries.column
    image.view(count, height * width).index_add_(1, pixel, values)
