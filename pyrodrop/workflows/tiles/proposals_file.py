"""The network's candidates of the whole image: proposed window by window, kept in a file, and those in a part read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pyrodrop.recognition.candidates import unfitted_of
from pyrodrop.recognition.recognise import LEAST_FITTED
from pyrodrop.results.statistics.unfitted import Unfitted
from pyrodrop.workflows.measuring.whole_candidates import (
    Candidates,
    Cells,
    Overview,
    Window,
    candidates_in_part,
    candidates_of_whole,
    look_at_reduced,
    look_at_window,
    overview_of,
    windows_to_look_at,
)
from pyrodrop.workflows.tiles.array_file import read_arrays, write_arrays
from pyrodrop.workflows.tiles.grid import Box
from pyrodrop.workflows.tiles.large_image import LargeImage, LevelRange
from pyrodrop.workflows.tiles.workers import Workers

FILE = "proposals.npz"
_STRIDE = 32  # px: windows begin on cells of all levels of the network


@dataclass(frozen=True)
class ChannelPixels:
    """A channel of a large image, of which parts are read as of an array."""

    image: LargeImage
    levels: LevelRange
    channel: str

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.image.size

    def __getitem__(self, box: tuple[slice, slice], /) -> NDArray[np.float32]:
        """Some rows and columns, float32."""
        (top, bottom, _), (left, right, _) = (part.indices(side) for part, side in zip(box, self.shape, strict=True))
        return np.asarray(self.image.channel(Box(top, bottom, left, right), self.levels, self.channel).numpy())


def propose_whole(
    workers: Workers,
    levels: LevelRange,
    channel: str,
    window_px: int,
    folder: Path,
    weights: Path,
    device: str = "cpu",
    progress: bool = False,
) -> None:
    """Propose circles in the whole image, with the network of a file of weights, and write them into the folder.

    Each worker has the network on the device.

    Memory is that of a window with its margins, and a sixteenth of the image, in which large droplets are looked for.
    ``progress`` shows it on standard error.
    """
    pixels = ChannelPixels(workers.image, levels, channel)
    overview = overview_of(pixels, weights, device)
    side = max(window_px // _STRIDE, 1) * _STRIDE
    work = [(levels, channel, overview, window) for window in windows_to_look_at(pixels, overview, side)]
    done = tqdm(workers.each(_look, work), "propose", len(work), unit="window", disable=not progress)
    # In the order of the windows, whichever was ready first: sums of the same numbers in the same order.
    cells = [cells for _, cells in sorted(done, key=lambda numbered: numbered[0])]
    cells += look_at_reduced(pixels, overview, side)
    write_arrays(candidates_of_whole(pixels, overview, cells)._asdict(), folder / FILE)


def _look(image: LargeImage, levels: LevelRange, channel: str, overview: Overview, window: Window) -> Cells:
    return look_at_window(ChannelPixels(image, levels, channel), overview, window)


def unfitted_in(folder: Path, size: tuple[int, int]) -> Unfitted:
    """Those of the candidates of an image of this size (H, W) that are too improbable to be fitted."""
    proposed = candidates_in(folder, Box(0, size[0], 0, size[1])).proposed
    fitted = proposed >= LEAST_FITTED
    return unfitted_of(proposed[~fitted], proposed[fitted])


def candidates_in(folder: Path, box: Box) -> Candidates:
    """The candidates in a box of the image, in px of the box; raises OSError, KeyError or ValueError without them."""
    arrays = read_arrays(folder / FILE)
    candidates = Candidates(*(arrays[name] for name in Candidates._fields))
    return candidates_in_part(candidates, slice(box.top, box.bottom), slice(box.left, box.right))
