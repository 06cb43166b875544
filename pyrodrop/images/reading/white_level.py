"""Which stored number is white: what the file states, what its type says, or the owner; never a guess."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrodrop.images.errors import ImageError, positive_number
from pyrodrop.images.reading.raw_image import RawImage


class Levels(NamedTuple):
    """The levels of a file: values (H, W, C), bright is high, 0 is black; the level of white; what black was stored as.

    The number that the file stores is ``values + black``. ``black`` is 0 unless numbers are negative.
    """

    values: NDArray[Any]
    white: float
    black: float = 0.0


# Stands for the level that the file states or its type gives; where that is uncertain, for the highest in the image.
BRIGHTEST = "brightest"


def positive_white(white: float | str | None) -> float | str | None:
    """A white level as a number or "brightest"; an ImageError if it is neither, or not positive and finite."""
    if white is None or white == BRIGHTEST:
        return white
    level = positive_number("white", white, "4095 for 12 bits")
    if not 1e-30 <= level <= 1e30:  # beyond, single precision has no levels
        raise ImageError(f"white is {white!r}: give one that a camera has, for example 4095 for 12 bits.", "white")
    return level


def levels_of(stored: RawImage, white: float | str | None, path: Path) -> Levels:
    """Numbers as a file stores them to levels between black, 0, and white.

    Args:
        stored: what was read.
        white: the level of white, or None for what the file or its type says, or "brightest" for the same or,
            where that is uncertain, the highest number of the image. It is a number of the file.
        path: the file, for messages.

    Raises:
        ImageError: NaN or infinite numbers, numbers above white, or a white that is uncertain:
            numbers of 16 or 32 bits of which no more than a quarter of the range is used, as cameras of 10 to
            14 bits write them, and floating point above 1.

    Where numbers are negative, as after a background was subtracted, the lowest becomes black: the model fits a
    background of its own, and amplitudes are differences.
    """
    values = stored.values
    lowest, highest = float(values.min()), float(values.max())
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        raise ImageError(f"{path} has NaN or infinite pixels: replace them, for example by the background.")
    if values.dtype.kind == "i" and stored.bits <= 8:
        raise ImageError(f"{path} has levels below 0, of 8 bits with a sign: save it with black as 0.")
    if lowest < 0 and stored.counts_darkness:
        raise ImageError(f"{path} stores white as 0 and has pixels down to {lowest:g}: save it with black as 0.")
    if isinstance(white, str):
        white = _certain_white(stored, highest) or _brightest(lowest, highest)
        source = "that it states"
    elif white is None:
        white = _own_white(stored, highest, path)
        source = "that it states" if stored.white is not None else "of its type"
    else:
        source = "given"
    if highest > white:
        raise ImageError(
            f"{path} has pixels up to {highest:g}, above the white level {white:g} {source}: give a higher one, as in "
            f"white={math.ceil(highest)}.",
            "white",
        )
    if lowest < 0:
        # Of whole numbers the difference may be twice as large as their type holds.
        wide = values.astype(np.int64) if values.dtype.kind == "i" else values
        return Levels(wide - wide.dtype.type(lowest), white - lowest, lowest)
    if stored.counts_darkness:
        if values.dtype.kind == "f":
            raise ImageError(f"{path} stores white as 0 in floating point: save it with black as 0.")
        values = _darkness_to_brightness(values, white)
    if stored.opacity is not None and float(stored.opacity.min()) < 1:
        values = _on_white(values, stored.opacity, stored.premultiplied, white)
    return Levels(values, white)


def _brightest(lowest: float, highest: float) -> float:
    """The highest number of an image as its white; somewhat above black where the image is constant."""
    return (highest or 1.0) if lowest >= 0 else highest if highest > lowest else lowest + 1.0


def _certain_white(stored: RawImage, highest: float) -> float | None:
    """The level of white that the file or its type gives, or None where that would be a guess."""
    if stored.white is not None:
        return stored.white
    if stored.values.dtype.kind == "f":
        return 1.0 if highest <= 1 else None
    top = _top(stored)
    # Cameras of 10, 12 or 14 bits write 16-bit files: then 65535 is not white, and only the owner knows.
    return None if stored.bits >= 16 and highest < top / 4 else top


def _top(stored: RawImage) -> float:
    """The highest number of the file's type."""
    return float(2.0 ** (stored.bits - (stored.values.dtype.kind == "i")) - 1)


def _own_white(stored: RawImage, highest: float, path: Path) -> float:
    """The level of white that the file or its type gives, where that is no guess."""
    certain = _certain_white(stored, highest)
    if certain is not None:
        return certain
    if stored.values.dtype.kind == "f":
        raise ImageError(
            f"{path} holds numbers up to {highest:g} and does not say which is white: "
            f"give the white level, for example white={math.ceil(highest)}.",
            "white",
        )
    likely = 2 ** max(8, int(highest).bit_length()) - 1
    raise ImageError(
        f"{path} has {stored.bits} bits but no pixel above {highest:g}, so its white level is uncertain: "
        f"give it, for example white={likely}, or white={_top(stored):.0f} if the image is dark.",
        "white",
    )


def _darkness_to_brightness(values: NDArray[Any], white: float) -> NDArray[Any]:
    if white == int(white) and white <= np.iinfo(values.dtype).max:
        turned: NDArray[Any] = values.dtype.type(int(white)) - values
        return turned
    return white - values.astype(np.float64)


def _on_white(values: NDArray[Any], opacity: NDArray[np.float64], premultiplied: bool, white: float) -> NDArray[Any]:
    """Colours laid on white: what lies under transparency is undefined, and white is what viewers show there."""
    weight = opacity[..., None]
    laid = (values if premultiplied else values * weight) + white * (1 - weight)
    # Premultiplied colours are at most the opacity; a file may break that.
    return np.minimum(laid, white)
