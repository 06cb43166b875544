"""Each droplet's height and its derivatives, pixel by pixel in its own window: what the joint fit is made of."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pyrodrop.rendering.kernels.columns_torch import Windows, columns_by_torch
from pyrodrop.rendering.profiles import Profile

Array = NDArray[np.float64]
# Room for pictures that take the place of others, as a share of all; what is not written to takes no memory.
_SPARE = 2.0


class Room:
    """Where pictures of droplets are kept: what is added comes behind what is there, so that none of them change.

    kept: float32, of which the first ``used`` are taken.
    """

    def __init__(self, used: int, size: int) -> None:
        self.kept, self.used = np.empty(size, np.float32), used

    def add(self, pictures: NDArray[np.float32]) -> bool:
        """Add pictures; nothing happens if there is no room."""
        end = self.used + len(pictures)
        if end > len(self.kept):
            return False
        self.kept[self.used : end] = pictures
        self.used = end
        return True


@dataclass(frozen=True)
class Columns:
    """Droplets and their derivatives, each in its window; N droplets, S numbers that they share.

    Attributes:
        room: for each droplet ``number`` pictures of the size of its window, (high, wide), one droplet after the
            other: the height; its derivatives by the centre's x and y and by log r; then by each shared number, of
            positive ones by the logarithm. float32.
        box: left, top, wide and high of each window in px, (N, 4); all 0 where none of the droplet is in the image.
        before: where each droplet's pictures begin, in windows' pixels before it, (N,) and more.
        number: pictures of a droplet, 4 + S.
    """

    room: Room
    box: NDArray[np.int64]
    before: NDArray[np.int64]
    number: int

    @property
    def kept(self) -> NDArray[np.float32]:
        """The pictures of all."""
        return self.room.kept

    @property
    def windowed(self) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64], int]:
        """kept, box, before and number, as compiled loops take them."""
        return self.room.kept, self.box, self.before, self.number

    def those(self, some: NDArray[np.intp]) -> "Columns":
        """Of some of the droplets; nothing is copied."""
        return replace(self, box=self.box[some], before=self.before[some])

    def replaced(self, some: NDArray[np.intp], others: "Columns") -> "Columns":
        """With other pictures of some of the droplets."""
        room, box, before = self.room, self.box, self.before
        first, pictures = room.used // self.number, others.kept[: others.room.used]
        if not room.add(pictures):
            # The pictures of droplets that are no longer looked at stay behind.
            area = box[:, 2] * box[:, 3]
            number = int(area.sum()) + len(pictures) // self.number
            room, old = Room(0, int(_SPARE * number * self.number)), room.kept
            for begin, end in zip(before * self.number, (before[: len(area)] + area) * self.number, strict=False):
                room.add(old[begin:end])
            first = int(area.sum())
            room.add(pictures)
            before = np.cumsum(area) - area
        box, before = box.copy(), before.copy()
        box[some], before[some] = others.box, others.before[: len(some)] + first
        return Columns(room, box, before, self.number)


def columns_of_droplets(
    profile: Profile, x: Array, y: Array, r: Array, shape: Array, size: tuple[int, int], left_out: float
) -> Columns:
    """Heights and derivatives of droplets of amplitude 1.

    Args:
        profile: the droplets'; one without compiled code is differentiated by torch, slower.
        x, y, r: centres and radii in px, (N,) each.
        shape: the numbers that the droplets share, (S,), or those of each, (N, S).
        size: height and width of the image in px.
        left_out: share of its greatest height that a droplet has at most outside of what is computed.
    """
    loops, number = _loops(), 4 + shape.shape[-1]
    support = profile.support(r, shape, left_out)
    windows = loops.windows_of(x, y, support, *size)
    if profile.compiled is None:
        made = columns_by_torch(
            profile,
            torch.from_numpy(np.stack([x, y, r, support])),
            torch.from_numpy(shape),
            Windows(windows.box, windows.before[:-1]),
        )
        room = Room(0, len(made.kept))
        room.add(made.kept.numpy())
        return Columns(room, windows.box, windows.before, number)
    used = int(windows.before[-1]) * number
    room = Room(used, int(_SPARE * used))
    droplets = loops.Droplets(x, y, r, support, support)
    fill, pack = loops.loops_of(profile.compiled).fill, profile.compiled.pack
    if shape.ndim == 1:
        fill(droplets, pack(shape), windows, number, room.kept)
    else:
        for k, own in enumerate(shape):
            one = loops.Droplets(*(values[k : k + 1] for values in droplets))
            fill(one, pack(own), loops.Windows(windows.box[k : k + 1], windows.before[k : k + 2]), number, room.kept)
    return Columns(room, windows.box, windows.before, number)


@lru_cache(maxsize=1)
def _loops() -> Any:
    """The compiled module: Numba takes a third of a second to import, and only who fits pays for it."""
    from pyrodrop.rendering.kernels import windows_loops

    return windows_loops
