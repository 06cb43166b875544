"""The frames of a stack, one at a time: of a file, a folder of files, or what Python hands over."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pyrodrop.images import ImageError, Micrograph, read_image
from pyrodrop.images.reading.image_file import count_frames
from pyrodrop.images.reading.time_step import time_step_s
from pyrodrop.images.reading.video import Video, is_video
from pyrodrop.images.reading.white_level import BRIGHTEST
from pyrodrop.images.scaling import from_levels, positive_scale

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".nd2")


class FrameStack(NamedTuple):
    """Frames, of which only one is in memory at a time.

    Attributes:
        name: of the file or folder, or "".
        names: of the frames.
        read: the image of a frame by its number, for ``pyrodrop.measure``, or a ``Measurement``; raises ImageError.
        interval_s: seconds between frames, where the file says so.
        mark: what changes when the files do: names, sizes and times of change.
    """

    name: str
    names: tuple[str, ...]
    read: Callable[[int], Any]
    interval_s: float | None = None
    mark: str = ""


def stack_of_path(path: str | os.PathLike[str], channel: str | None = None, **reading: Any) -> FrameStack:
    """The frames of a file that holds several pictures, or of the image files of a folder in the order of their names.

    Args:
        path: a TIFF, OME-TIFF, ImageJ or ND2 stack, another file of several pictures, or a video; or a folder of
            images, whose numbers count as such: frame2 comes before frame10.
        channel: of each frame; gray where not given, or the first of a file with channels of its own.
        reading: scale, white and pixel_size_um, as for ``pyrodrop.read_image``.

    Raises:
        ImageError: there is no such file, no image in the folder, only one picture, or more than one axis of them.
    """
    where = Path(path)
    reading = {"white": BRIGHTEST} | {name: value for name, value in reading.items() if value is not None}

    def opened(file: Path, frame: int | None) -> Any:
        image = read_image(file, frame=frame, **reading)
        usual = "gray" if "gray" in image.channels else image.channels[0]
        return _Frame(image, channel or usual)

    if where.is_dir():
        files = sorted((each for each in where.iterdir() if _is_image(each)), key=_natural)
        if len(files) < 2:
            raise ImageError(
                f"{path} holds {len(files)} images, expected at least two frames: give a folder of frames, or one "
                "file that holds them."
            )
        return FrameStack(
            str(path), tuple(file.name for file in files), lambda n: opened(files[n], None), None, _mark(files)
        )
    if is_video(where):
        return _stack_of_video(Video(where), channel, **reading)
    count = count_frames(where)
    if count < 2:
        raise ImageError(
            f"{path} holds one picture, expected a stack: give a TIFF or ND2 of several, a folder of frames, or "
            f"measure it with pyrodrop measure {path}."
        )
    names = tuple(f"frame {number}" for number in range(count))
    return FrameStack(str(path), names, lambda n: opened(where, n), time_step_s(where), _mark([where]))


def _stack_of_video(
    video: Video, channel: str | None, scale: float = 1.0, pixel_size_um: float | None = None, white: Any = BRIGHTEST
) -> FrameStack:
    scale = positive_scale(scale)
    if white != BRIGHTEST:
        raise ImageError(f"white is {white!r}, and a video's pictures have 8 bits; leave it out.", "white")
    if video.count < 2:
        raise ImageError(f"{video.path} holds one picture, expected several: save it as an image, and measure that.")

    def read(number: int) -> Any:
        image = Micrograph(from_levels(video.picture(number)), pixel_size_um, video.path).resize(scale)
        return _Frame(image, channel or ("gray" if "gray" in image.channels else image.channels[0]))

    names = tuple(f"frame {number}" for number in range(video.count))
    return FrameStack(str(video.path), names, read, video.interval_s, _mark([video.path]))


def stack_of_frames(frames: Sequence[Any]) -> FrameStack:
    """Frames that Python hands over: arrays, tensors, micrographs or measurements, and None where one is missing."""

    def read(number: int) -> Any:
        frame = frames[number]
        if frame is None:
            raise ImageError(f"frame {number} is missing")
        return frame

    return FrameStack("", tuple(f"frame {number}" for number in range(len(frames))), read)


class _Frame(NamedTuple):
    """One channel of an image."""

    image: Micrograph
    channel: str


def pixels_of(frame: Any) -> tuple[Any, float | None]:
    """What ``pyrodrop.measure`` takes of a frame, and its pixel size in micrometres, where it is known."""
    if isinstance(frame, _Frame):
        whole = frame.channel == "all"
        return (frame.image if whole else frame.image.channel(frame.channel)), frame.image.pixel_size_um
    return frame, getattr(frame, "pixel_size_um", None)


def _is_image(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".") and path.is_file()


def _natural(path: Path) -> tuple[tuple[int, int, str], ...]:
    """A key by which frame2 comes before frame10."""
    parts = re.split(r"(\d+)", path.name)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)


def _mark(files: Sequence[Path]) -> str:
    """Names, sizes and times of change of files."""
    known = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return repr(known)
