"""A picture as its file stores it: numbers, and what the file says of their meaning."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Shaped
from numpy.typing import NDArray


class RawImage(NamedTuple):
    """Numbers of a file, upright, with palettes looked up and CMYK mixed, not yet on a scale of brightness.

    Attributes:
        values: (H, W, C), whole numbers or floating point; C is 1, 3 for colours, or that of ``channel_names``.
        bits: bits of a stored number.
        white: the level of white where the file states it, else None.
        opacity: (H, W) in [0, 1], or None where all is opaque.
        premultiplied: whether the values were multiplied by the opacity already.
        counts_darkness: whether 0 is white (TIFF's MinIsWhite).
        pixel_size_um: micrometres a pixel, or None.
        channel_names: of the channels of a file that has several, or has names for them; () for colours and
            plain gray.
    """

    values: NDArray[Any]
    bits: int
    white: float | None = None
    opacity: NDArray[np.float64] | None = None
    premultiplied: bool = False
    counts_darkness: bool = False
    pixel_size_um: float | None = None
    channel_names: tuple[str, ...] = ()


def upright(values: Shaped[NDArray[Any], "h w *c"], orientation: object) -> Shaped[NDArray[Any], "h2 w2 *c"]:
    """Values (H, W, ...) turned and mirrored as TIFF's and Exif's orientation, 1 to 8, says; others are 1."""
    if orientation in (5, 6, 7, 8):
        values = np.swapaxes(values, 0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)
