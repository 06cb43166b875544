"""Each droplet's height and its derivatives, pixel by pixel in its own window: what the joint fit is made of."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pyrodrop.rendering.kernels.columns_torch import columns_by_torch
from pyrodrop.rendering.profiles import Profile

Array = NDArray[np.float64]


class Columns(NamedTuple):
    """Droplets and their derivatives, each in its window; N droplets, S numbers that they share.

    Attributes:
        kept: for each droplet ``number`` pictures of the size of its window, (high, wide), one droplet after the
            other: the height; its derivatives by the centre's x and y and by log r; then by each shared number, of
            positive ones by the logarithm. float32.
        box: left, top, wide and high of each window in px, (N, 4); all 0 where none of the droplet is in the image.
        before: where each droplet's pictures begin, in windows' pixels before it, (N,) and more.
        number: pictures of a droplet, 4 + S.
    """

    kept: NDArray[np.float32]
    box: NDArray[np.int64]
    before: NDArray[np.int64]
    number: int

    def those(self, some: NDArray[np.intp]) -> "Columns":
        """Of some of the droplets; nothing is copied."""
        return self._replace(box=self.box[some], before=self.before[some])

    def replaced(self, some: NDArray[np.intp], others: "Columns") -> "Columns":
        """With other pictures of some of the droplets."""
        box, before = self.box.copy(), self.before.copy()
        box[some], before[some] = others.box, others.before[: len(some)] + len(self.kept) // self.number
        return Columns(np.concatenate([self.kept, others.kept]), box, before, self.number)


def columns_of_droplets(
    profile: Profile, x: Array, y: Array, r: Array, shape: Array, size: tuple[int, int], left_out: float
) -> Columns:
    """Heights and derivatives of droplets of amplitude 1.

    Args:
        profile: the droplets'; one without compiled code is differentiated by torch, slower.
        x, y, r: centres and radii in px, (N,) each.
        shape: the numbers that the droplets share, (S,).
        size: height and width of the image in px.
        left_out: share of its greatest height that a droplet has at most outside of what is computed.
    """
    loops, number = _loops(), 4 + len(shape)
    support = profile.support(r, shape, left_out)
    windows = loops.windows_of(x, y, support, *size)
    if profile.compiled is None:
        made = columns_by_torch(
            profile,
            torch.from_numpy(np.stack([x, y, r, support])),
            torch.from_numpy(shape),
            torch.from_numpy(windows.box),
            torch.from_numpy(windows.before),
        )
        return Columns(made.kept.numpy(), windows.box, windows.before, number)
    kept = np.empty(windows.before[-1] * number, np.float32)
    droplets = loops.Droplets(x, y, r, support, support)
    loops.loops_of(profile.compiled).fill(droplets, profile.compiled.pack(shape), windows, number, kept)
    return Columns(kept, windows.box, windows.before, number)


@lru_cache(maxsize=1)
def _loops() -> Any:
    """The compiled module: Numba takes a third of a second to import, and only who fits pays for it."""
    from pyrodrop.rendering.kernels import windows_loops

    return windows_loops
