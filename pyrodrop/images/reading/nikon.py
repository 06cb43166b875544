"""Nikon's ND2: one picture with all of its channels, through the extra ``nd2``."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from pyrodrop.images.errors import ImageError
from pyrodrop.images.reading.frames import choose_frame
from pyrodrop.images.reading.pixel_size import stated
from pyrodrop.images.reading.raw_image import RawImage
from pyrodrop.images.reading.size_limits import check_size
from pyrodrop.images.reading.tiff_metadata import numbered


def read_nikon(path: Path, frame: int | None, want_pixel_size: bool) -> RawImage:
    """One picture of an ND2 file, with all of its channels.

    Args:
        path: an ND2 file.
        frame: which picture, counted over times, positions and depths as they were taken; None for the only one.
        want_pixel_size: whether to look for the pixel size.

    Raises:
        ImageError: ``nd2`` is not installed, the file would be read wrongly, or there is no such frame.
            nd2 raises other errors at damage.
    """
    with _opened(path) as file:
        sizes, attributes = dict(file.sizes), file.attributes
        loops = _loops(sizes)
        if "S" in sizes:
            # Some writers put blue first, and neither the file nor nd2 says which; hue would be another then.
            raise ImageError(
                f"{path} is a Nikon file in colour, whose order of colours is not sure: export it as a TIFF."
            )
        channels = sizes.get("C", 1)
        check_size(path, sizes["Y"], sizes["X"], channels, attributes.bitsPerComponentInMemory // 8)
        count = math.prod(loops.values())
        described = " x ".join(f"{axis} {length}" for axis, length in loops.items() if length > 1)
        number = choose_frame(frame, count, described, path)
        # (channels, H, W), where nd2 leaves out sides of 1
        values = np.array(file.read_frame(number)).reshape(channels, sizes["Y"], sizes["X"])
        if not values.any():
            # What nd2 does not find, it hands out as zeros.
            raise ImageError(f"{path} has no data in frame {number}, or it is all black: export it again.")
        bits, significant = attributes.bitsPerComponentInMemory, attributes.bitsPerComponentSignificant
        white = 2.0**significant - 1 if values.dtype.kind == "u" and 8 <= significant < bits else None
        size = (
            stated(file.voxel_size().x, file.voxel_size().y, path) if want_pixel_size and _is_calibrated(file) else None
        )
        stored_names = tuple(channel.channel.name or "" for channel in getattr(file.metadata, "channels", None) or ())
        names = numbered(stored_names, channels) if channels > 1 or any(stored_names) else ()
        values = np.ascontiguousarray(np.moveaxis(values, 0, 2))
        return RawImage(values, bits, white, pixel_size_um=size, channel_names=names)


def count_nikon(path: Path) -> int:
    """How many pictures an ND2 file holds; raises as ``read_nikon`` does."""
    with _opened(path) as file:
        return math.prod(_loops(dict(file.sizes)).values())


def _opened(path: Path) -> Any:
    try:
        import nd2
    except ImportError:
        raise ImageError(
            f"{path} is a Nikon file, and nd2, which reads them, is not installed: pip install 'pyrodrop[nd2]'."
        ) from None
    return nd2.ND2File(path)


def _loops(sizes: dict[str, int]) -> dict[str, int]:
    """The axes over the pictures and their lengths."""
    return {axis: length for axis, length in sizes.items() if axis not in "CYXS"}


def _is_calibrated(file: Any) -> bool:
    """Whether the pixel size was measured; ND2 states 1 um where it was not."""
    channels: list[Any] = list(getattr(file.metadata, "channels", None) or ())
    return bool(channels) and all(channels[0].volume.axesCalibrated[:2])
