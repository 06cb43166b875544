"""Which picture of a stack is meant, and what to say when it is not there."""

import operator
from pathlib import Path

from pyrodrop.images.errors import ImageError


def frame_number(frame: int | None) -> int | None:
    """A frame as a whole number; an ImageError if it is none or below 0."""
    if frame is None:
        return None
    try:
        number = operator.index(frame)
    except TypeError:
        number = -1
    if isinstance(frame, bool) or number < 0:
        raise ImageError(f"frame is {frame!r}: give a whole number, 0 for the first picture.", "frame")
    return number


def choose_frame(frame: int | None, count: int, axes: str, path: Path) -> int:
    """The number of the picture to read.

    Args:
        frame: the one asked for, counted from 0; None where the file is expected to hold one.
        count: how many pictures the file holds.
        axes: how they lie, for the message, as "T 3 x Z 4"; "" where that is not known.
        path: the file.

    Raises:
        ImageError: there is no such picture, or there are several and none was chosen.
    """
    lie = f" ({axes}, the last counts fastest)" if " x " in axes else f" ({axes})" if axes else ""
    if frame is None:
        if count > 1:
            raise ImageError(
                f"{path} holds {count} pictures{lie}, 0 to {count - 1}: choose one, as in frame=0.", "frame"
            )
        return 0
    if frame >= count:
        held = f"frames 0 to {count - 1}" if count > 1 else "one picture, frame 0"
        raise ImageError(f"{path} has no frame {frame}: it holds {held}{lie}.")
    return frame
