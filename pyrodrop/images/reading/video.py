"""Video through PyAV, the extra ``video``: one picture at a time, and the time between them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from pyrodrop.images.errors import ImageError

SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ogv")


def is_video(path: Path) -> bool:
    """Whether a file is a video by its name."""
    return path.suffix.lower() in SUFFIXES


class Video:
    """The pictures of a video, of which one is in memory at a time.

    Pictures are decoded in their order; whoever goes back begins anew. Videos in colour whose pictures are all gray are
    as microscopes' cameras write them, and are gray.

    Args:
        path: a file that FFmpeg can decode.

    Raises:
        ImageError: PyAV is not installed, the file is missing, or it holds no video that can be decoded.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise ImageError(f"{path} does not exist: check the name and the folder.")
        times: list[float] = []
        for frame in self._pictures():
            if frame.time is not None:
                times.append(float(frame.time))
            self.count = getattr(self, "count", 0) + 1
        if not getattr(self, "count", 0):
            raise ImageError(f"{path} holds no picture that can be decoded: copy or export it again.")
        # by the times of the pictures: a rate that a file states may be that of its player
        self.interval_s = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 and times[-1] > times[0] else None
        self._next = 0
        self._going: Iterator[Any] | None = None

    def picture(self, number: int) -> UInt8[NDArray[np.uint8], "h w c"]:
        """A picture by its number, (H, W, C), C 3 or, where it is gray, 1.

        Raises:
            ImageError: there is no such picture, or it cannot be decoded.
        """
        if self._going is None or number < self._next:
            self._going, self._next = self._pictures(), 0
        for frame in self._going:
            self._next += 1
            if self._next > number:
                values = np.asarray(frame.to_ndarray(format="rgb24"))
                # colours that are stored as differences come back with an error of a level or two
                gray = np.abs(values[..., :1].astype(np.int16) - values[..., 1:]).max(initial=0) <= 2
                return np.ascontiguousarray(values[..., 1:2] if gray else values)
        self._going = None
        raise ImageError(f"{self.path} has no picture {number} that can be decoded.")

    def _pictures(self) -> Iterator[Any]:
        av = _library(self.path)
        try:
            with av.open(str(self.path)) as container:
                if not container.streams.video:
                    raise ImageError(f"{self.path} holds no video stream: export it again.")
                try:
                    yield from container.decode(video=0)
                except av.error.InvalidDataError:
                    return  # it is cut short: what came before is whole
        except (av.error.FFmpegError, OSError) as error:
            reason = " ".join(str(error).split())
            raise ImageError(f"{self.path} is no video that can be read ({reason:.200}): export it as MP4.") from None


def _library(path: Path) -> Any:
    try:
        import av
    except ImportError:
        raise ImageError(
            f"{path} is a video, and PyAV, which reads them, is not installed: pip install 'pyrodrop[video]'."
        ) from None
    return av
