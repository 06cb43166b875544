"""An image that is too large to be read at once: a TIFF, a Zarr or an array, of which parts are read on demand."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.images import ImageError
from pyrodrop.images.channels.colours import take_channel
from pyrodrop.images.reading.image_file import TIFF_MARKS
from pyrodrop.images.reading.tiff import count_tiff
from pyrodrop.images.reading.tiff_metadata import holds_signed, ome_images, tiff_pixel_size_um
from pyrodrop.workflows.tiles.grid import Box
from pyrodrop.workflows.tiles.zarr_array import open_zarr

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _YCBCR = 0, 1, 2, 6
_LEAST_SIDE = 8


class LargeFileSettings(TypedDict, total=False):
    """How a large file is read; see ``measure_tiles``."""

    frame: int | None
    white: float | str | None
    pixel_size_um: float | None


class LevelRange(NamedTuple):
    """The numbers of an image that become 0 and 1; ``black`` is 0, or the lowest of all where that is negative."""

    white: float
    black: float = 0.0


@dataclass(frozen=True)
class LargeImage:
    """An image of which parts can be read.

    Attributes:
        size: height and width (H, W) in px.
        samples: numbers a pixel, 1 for gray and 3 for red, green and blue.
        dtype: type of the numbers as they are stored.
        read: gives the numbers of a box as they are stored, (h, w, samples).
        path: the file, None for an array in memory.
        pixel_size_um: micrometres a pixel, where the file says so.
        dark: whether 0 is white.
    """

    size: tuple[int, int]
    samples: int
    dtype: np.dtype[Any]
    read: Callable[[Box], NDArray[Any]] = field(repr=False)
    path: str | None = None
    pixel_size_um: float | None = None
    dark: bool = False

    def channel(self, box: Box, levels: LevelRange, name: str) -> Tensor:
        """A channel of a part, 0 at black and 1 at white, float32, (h, w); channels as ``Micrograph`` has them.

        Raises:
            ImageError: there is no such channel, or the part cannot be read.
        """
        stored = self.read(box)
        values = np.subtract(stored, np.float64(levels.black), dtype=np.float64) / (levels.white - levels.black)
        if self.dark:
            values = 1 - values
        return take_channel(torch.from_numpy(values.astype(np.float32)), name)


def open_large_image(source: object, frame: int | None = None) -> LargeImage:
    """A picture that is read part by part.

    Args:
        source: the path of a TIFF, plain or in tiles or strips, which may be compressed; the path of a
            Zarr array, or an OME-Zarr, with the package zarr; or an array that gives parts of itself, as NumPy's,
            Zarr's and Dask's do, of shape (H, W) or (H, W, 3).
        frame: which page of a TIFF, or which plane of an array file with axes before those of the picture, from 0;
            None for the only one.

    Raises:
        ImageError: it is none of these, has several pictures and no frame was chosen, or would be read wrongly.
    """
    if not isinstance(source, str | os.PathLike):
        return _of_array(source, frame, None)
    path = Path(source)
    if path.is_dir():
        array, pixel_size = open_zarr(path)
        return replace(_of_array(array, frame, str(path)), pixel_size_um=pixel_size)
    try:
        with path.open("rb") as stream:
            mark = stream.read(4)
    except OSError as error:
        raise ImageError(f"{path} cannot be read ({error.strerror}): check the name and the permissions.") from None
    if mark not in TIFF_MARKS:
        raise ImageError(f"{path} is no TIFF and no Zarr: tiles need one of these; save it as a TIFF.")
    try:
        _check_pages(path)
        return _of_tiff(path, frame)
    except ImageError:
        raise
    except Exception as error:  # a damaged file may raise anything
        raise ImageError(f"{path} is cut short or damaged ({error}): copy or export it again.") from error


def _of_tiff(path: Path, frame: int | None) -> LargeImage:
    with tifffile.TiffFile(path, _multifile=False, is_mmstack=False, is_ndtiff=False) as tiff:
        pages = [k for k, page in enumerate(tiff.pages) if not (page.aspage().is_reduced or page.aspage().is_mask)]
        number = pages[_chosen(frame, len(pages), str(path))]
        page = tiff.pages[number].aspage()
        ome = None
        if tiff.is_ome:
            images = ome_images(tiff, path)
            ome = images[0] if len(images) == 1 else None
        pixel_size = tiff_pixel_size_um(tiff, page, ome, path)
        _check_page(page, path)
        plain = bool(page.is_memmappable)
        begin, stored = page.dataoffsets[0], np.dtype(f"{tiff.byteorder}{np.dtype(page.dtype).char}")
    size = (int(page.imagelength), int(page.imagewidth))
    _check_size(size, str(path))

    def read_plain(box: Box) -> NDArray[Any]:
        return _plain_rows(path, begin, stored, (size[1], page.samplesperpixel), box)

    def read_segments(box: Box) -> NDArray[Any]:
        return _segments(path, number, box)

    return LargeImage(
        size,
        page.samplesperpixel,
        np.dtype(page.dtype),
        read_plain if plain else read_segments,
        str(path),
        pixel_size,
        page.photometric == _WHITE_IS_ZERO,
    )


def _plain_rows(path: Path, begin: int, stored: np.dtype[Any], row: tuple[int, int], box: Box) -> NDArray[Any]:
    """The pixels of a box (h, w, samples) of a file whose rows of (W, samples) numbers lie one after the other.

    Read and not mapped: a map counts what was looked at as this process's memory, and where the file is cut short
    while it is measured, looking at it would kill the process.
    """
    made = np.empty((*box.size, row[1]), stored)
    pixel = row[1] * stored.itemsize
    with path.open("rb", buffering=0) as stream:
        for number, values in enumerate(made, box.top):
            stream.seek(begin + (number * row[0] + box.left) * pixel)
            if stream.readinto(values.view(np.uint8)) != values.nbytes:
                raise ImageError(f"{path} is cut short: copy or export it again.")
    return made.astype(stored.newbyteorder("="), copy=False)


def _segments(path: Path, number: int, box: Box) -> NDArray[Any]:
    """The pixels of a box (h, w, samples) out of the strips or tiles that it meets; only these are decoded."""
    with tifffile.TiffFile(path, _multifile=False, is_mmstack=False, is_ndtiff=False) as tiff:
        page = tiff.pages[number].aspage()
        rows, columns = page.chunks[0], page.chunks[1]
        across = -(-page.imagewidth // columns)
        made = np.zeros((*box.size, page.samplesperpixel), page.dtype)
        tables = page.jpegtables
        for j in range(box.top // rows, -(-box.bottom // rows)):
            for i in range(box.left // columns, -(-box.right // columns)):
                index = j * across + i
                if not page.databytecounts[index]:
                    raise ImageError(f"{path} lacks strips or tiles: it is cut short, copy or export it again.")
                tiff.filehandle.seek(page.dataoffsets[index])
                encoded = tiff.filehandle.read(page.databytecounts[index])
                try:
                    decoded = page.decode(encoded, index, jpegtables=tables)[0]
                except Exception as error:  # a damaged segment may raise anything
                    raise ImageError(f"{path} is damaged ({error}): copy or export it again.") from error
                if decoded is None:
                    raise ImageError(f"{path} lacks strips or tiles: it is cut short, copy or export it again.")
                values, top, left = decoded[0], j * rows, i * columns
                to = Box(max(top, box.top), min(top + values.shape[0], box.bottom), max(left, box.left), 0)
                right = min(left + values.shape[1], box.right)
                made[to.top - box.top : to.bottom - box.top, to.left - box.left : right - box.left] = values[
                    to.top - top : to.bottom - top, to.left - left : right - left
                ]
        return made


def _check_pages(path: Path) -> None:
    """An ImageError for a file whose pages are not its pictures, so that a frame would be another than in the whole.

    Pages of channels are not, nor those of a large ImageJ stack, of which only the first has tags.
    """
    pictures = count_tiff(path)
    with tifffile.TiffFile(path, _multifile=False, is_mmstack=False, is_ndtiff=False) as tiff:
        pages = sum(not (page.aspage().is_reduced or page.aspage().is_mask) for page in tiff.pages)
        if holds_signed(tiff):
            raise ImageError(f"{path} has numbers with a sign: save it with black as 0 to measure it in tiles.")
    if pictures != pages:
        raise ImageError(
            f"{path} holds {pictures} pictures in {pages} pages, as files of several channels do: "
            "save the channel to be measured as a file of its own to measure it in tiles."
        )


def _check_page(page: tifffile.TiffPage, path: Path) -> None:
    """An ImageError for a page that would be read wrongly."""
    colours = page.photometric == _RGB or (page.photometric == _YCBCR and page.compression == 7)
    if not colours and page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO):
        raise ImageError(f"{path} is neither gray nor in red, green and blue: save it so to measure it in tiles.")
    if page.samplesperpixel != (3 if colours else 1) or page.planarconfig not in (1, None):
        raise ImageError(f"{path} has {page.samplesperpixel} numbers a pixel: save one channel, or colours alone.")
    if page.imagedepth != 1 or page.dtype is None or page.dtype.kind not in "uif":
        raise ImageError(f"{path} holds no plain numbers: save it with 8 or 16 bits, or as 32-bit floating point.")
    if page.photometric == _WHITE_IS_ZERO and page.dtype.kind == "f":
        raise ImageError(f"{path} stores white as 0 in floating point: save it with black as 0.")
    if int(page.tags.valueof("Orientation", default=1) or 1) != 1:
        raise ImageError(f"{path} is stored turned: save it upright to measure it in tiles.")


def _of_array(array: Any, frame: int | None, path: str | None) -> LargeImage:
    name = path or "the image"
    shape = tuple(getattr(array, "shape", ()))
    dtype = getattr(array, "dtype", None)
    if isinstance(array, Tensor):
        array = array.detach().cpu().numpy()
        dtype = array.dtype
    if len(shape) < 2 or dtype is None or np.dtype(dtype).kind not in "uif":
        raise ImageError(f"{name} is no picture that can be read in parts: give a TIFF, a Zarr, or an array (H, W).")
    colours = len(shape) > 2 and shape[-1] == 3
    before = shape[:-3] if colours else shape[:-2]
    chosen = np.unravel_index(_chosen(frame, math.prod(before), name), before) if before else ()
    leading = tuple(int(k) for k in chosen)
    if not before:
        _chosen(frame, 1, name)
    size = shape[-3:-1] if colours else shape[-2:]
    _check_size((int(size[0]), int(size[1])), name)

    def read(box: Box) -> NDArray[Any]:
        part = np.array(array[(*leading, slice(box.top, box.bottom), slice(box.left, box.right))])
        return part if colours else part[:, :, None]

    return LargeImage((int(size[0]), int(size[1])), 3 if colours else 1, np.dtype(dtype), read, path)


def _chosen(frame: int | None, count: int, name: str) -> int:
    if frame is None and count == 1:
        return 0
    if frame is None:
        raise ImageError(f"{name} holds {count} pictures: choose one by its frame, from 0 to {count - 1}.")
    if isinstance(frame, bool) or not isinstance(frame, int) or not 0 <= frame < count:
        raise ImageError(f"{name} has no frame {frame!r}: it holds {count}, counted from 0.")
    return frame


def _check_size(size: tuple[int, int], name: str) -> None:
    if min(size) < _LEAST_SIDE:
        raise ImageError(f"{name} has {size[1]} x {size[0]} pixels: measuring needs at least 8 on each side.")
