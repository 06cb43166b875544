"""TIFF, OME-TIFF and ImageJ TIFF: one picture of a stack, with all of its channels, through tifffile."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tifffile import TiffFile, TiffFrame, TiffPage, TiffPageSeries

from pyrodrop.images.errors import ImageError
from pyrodrop.images.reading.frames import choose_frame
from pyrodrop.images.reading.raw_image import RawImage
from pyrodrop.images.reading.tiff_metadata import (
    OmeImage,
    check_description,
    holds_signed,
    is_outdated,
    numbered,
    ome_images,
    tiff_pixel_size_um,
)
from pyrodrop.images.reading.tiff_page import check_page, check_segments, interpret, planes_of, read_page

# How tifffile groups pages where that has been tried; the others are formats of single vendors.
KINDS = ("uniform", "generic", "shaped", "imagej", "ome")


class Stack(NamedTuple):
    """Pages of one shape.

    Attributes:
        series: the pages.
        axes: the axes over them, as "TZC".
        lengths: how long each axis is.
        channel_axis: which of the axes is that of the channels.
        planes: pictures within a page: more than 1 where tifffile may have stored a stack of gray frames as colours.
    """

    series: TiffPageSeries
    axes: str
    lengths: tuple[int, ...]
    channel_axis: int | None
    planes: int = 1

    @property
    def channels(self) -> int:
        """How many pages make one picture."""
        return 1 if self.channel_axis is None else self.lengths[self.channel_axis]

    @property
    def frame_axes(self) -> tuple[int, ...]:
        """The other axes."""
        return tuple(axis for axis in range(len(self.axes)) if axis != self.channel_axis)

    @property
    def frames(self) -> int:
        """How many pictures there are."""
        return self.planes * int(np.prod([self.lengths[axis] for axis in self.frame_axes], dtype=np.int64))

    @property
    def described(self) -> str:
        """The axes over the pictures and their lengths."""
        return " x ".join(f"{self.axes[axis]} {self.lengths[axis]}" for axis in self.frame_axes)

    def pages_of(self, frame: int) -> list[int]:
        """Numbers of the pages of a picture, one a channel."""
        pages = np.arange(int(np.prod(self.lengths, dtype=np.int64))).reshape(self.lengths)
        channels_last = pages[..., None] if self.channel_axis is None else np.moveaxis(pages, self.channel_axis, -1)
        return [int(page) for page in channels_last.reshape(-1, self.channels)[frame]]


def read_tiff(path: Path, frame: int | None, want_pixel_size: bool) -> RawImage:
    """One picture of a TIFF, upright, with all of its channels.

    Args:
        path: a TIFF.
        frame: which picture, counted over all axes but that of the channels, the last fastest, and over all
            series of the file; None for the only one.
        want_pixel_size: whether to look for the pixel size.

    Raises:
        ImageError: the file would be read wrongly, or there is no such frame. tifffile raises other errors at damage.
    """
    with _complaints(path), _opened(path) as tiff:
        stacks = [_stack(series, path) for series in _pictures(tiff, path)]
        if frame is None:
            _refuse_guessed_colours(stacks, path)
        number = choose_frame(
            frame,
            sum(stack.frames for stack in stacks),
            stacks[0].described if len(stacks) == 1 else f"in {len(stacks)} series",
            path,
        )
        which = 0
        while number >= stacks[which].frames:
            number -= stacks[which].frames
            which += 1
        stack = stacks[which]
        check_page(stack.series.keyframe, path, stack.channels)
        page_number, plane = divmod(number, stack.planes)
        pages = [_page(stack, page, path) for page in stack.pages_of(page_number)]
        stored = _joined(pages, path)
        if stack.planes > 1:
            stored = stored._replace(values=stored.values[..., plane : plane + 1])
        ome = _ome_of(stack.series, tiff, path) if stack.series.kind == "ome" else None
        return _with_metadata(stored, tiff, stack.series.keyframe, ome, path, want_pixel_size)


def count_tiff(path: Path) -> int:
    """How many pictures a TIFF holds; raises as ``read_tiff`` does."""
    with _complaints(path), _opened(path) as tiff:
        stacks = [_stack(series, path) for series in _pictures(tiff, path)]
        _refuse_guessed_colours(stacks, path)
        return sum(stack.frames for stack in stacks)


def _refuse_guessed_colours(stacks: list[Stack], path: Path) -> None:
    """Refuse planes that are frames or red, green and blue, and nothing in the file says which."""
    planes = max(stack.planes for stack in stacks)
    if planes > 1:
        raise ImageError(
            f"{path} holds {planes} planes that are {planes} frames of a stack or the colours of one picture: tifffile "
            "stores both alike, unless a stack is written with photometric='minisblack'. Take a frame, as in frame=0, "
            f"or store colours as (height, width, {planes}).",
            "frame",
        )


@contextmanager
def _opened(path: Path) -> Iterator[TiffFile]:
    """The file, whose pages tifffile groups by a description only if that is of them."""
    with _file(path) as tiff:
        check_description(tiff, path)
        described = not is_outdated(tiff)
        if described:
            yield tiff
    if not described:
        with _file(path, is_shaped=False) as tiff:
            yield tiff


def _file(path: Path, is_shaped: bool | None = None) -> TiffFile:
    return TiffFile(path, _multifile=False, is_mmstack=False, is_ndtiff=False, is_shaped=is_shaped)


@contextmanager
def _complaints(path: Path) -> Iterator[None]:
    """Turn what tifffile only logs, as planes that are missing, into an error."""
    heard: list[str] = []
    thread = threading.get_ident()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            # Text in an unexpected encoding is no reason to distrust the pixels.
            if record.thread == thread and "coercing invalid ASCII" not in record.getMessage():
                heard.append(" ".join(record.getMessage().split()))

    listener = Listener(logging.WARNING)
    logger = logging.getLogger("tifffile")
    logger.addHandler(listener)
    try:
        yield
    except Exception:
        # What was logged first tells the cause, as a stack with pages cut off that then has no such frame.
        if not heard:
            raise
    finally:
        logger.removeHandler(listener)
    if heard:
        raise ImageError(
            f"{path} is cut short, damaged or one of several files that belong together ({heard[0]:.200}): "
            "copy or export it again, as one file."
        )


def _pictures(tiff: TiffFile, path: Path) -> list[TiffPageSeries]:
    """The series of a file that are pictures in full, not previews or masks."""
    series = [group for group in tiff.series if group.dtype is not None and 0 not in group.shape]
    if not series:
        raise ImageError(f"{path} is a TIFF without a picture that can be read: copy or export it again.")
    other = {group.kind for group in series} - set(KINDS)
    if other:
        raise ImageError(
            f"{path} is a TIFF of a vendor's own layout ({', '.join(sorted(other))}): export it as OME-TIFF."
        )
    return [group for group in series if not (group.keyframe.is_reduced or group.keyframe.is_mask)] or series


def _stack(series: TiffPageSeries, path: Path) -> Stack:
    """The axes over the pages of a series, apart from those within a page."""
    within = len(series.keyframe.shape)
    lengths = tuple(int(length) for length in series.shape[: len(series.shape) - within])
    axes = series.axes[: len(lengths)]
    if axes.count("C") > 1:
        raise ImageError(f"{path} has two axes of channels: save the one to be measured as a gray file.")
    # Channels of which each is in colour are pictures of their own.
    gray = series.keyframe.samplesperpixel == 1
    stack = Stack(
        series,
        axes,
        lengths,
        axes.index("C") if gray and "C" in axes else None,
        planes_of(series.keyframe) if series.kind == "shaped" else 1,
    )
    pages = int(np.prod(lengths, dtype=np.int64)) if series.is_truncated else len(series.pages)
    if series.shape[len(lengths) :] != series.keyframe.shape or pages != np.prod(lengths, dtype=np.int64):
        raise ImageError(
            f"{path} states {'x'.join(map(str, series.shape))} numbers along {series.axes} and holds {pages} pages "
            f"of {'x'.join(map(str, series.keyframe.shape))}: it is cut short or damaged, copy or export it again."
        )
    return stack


def _page(stack: Stack, number: int, path: Path) -> RawImage:
    """One page of a stack."""
    series = stack.series
    page = None if series.is_truncated else series.pages[number]
    if page is None and not series.is_truncated:
        raise ImageError(
            f"{path} lacks planes that its metadata state: it is cut short, or one of several files that belong "
            "together; copy or export it again, as one file."
        )
    if isinstance(page, TiffFrame):
        # A frame borrows the tags of the first page; its own may say otherwise.
        page = None if page.is_virtual else page.aspage()
    if page is None:
        return interpret(_contiguous(series, number, path), series.keyframe, path, stack.planes > 1)
    first = series.keyframe
    if _layout(page) != _layout(first):
        raise ImageError(f"{path} is a stack of pictures of different kinds: save the one to be measured alone.")
    check_page(page, path, stack.channels)
    check_segments(page, path)
    return read_page(page, path, stack.planes > 1)


def _layout(page: TiffPage) -> tuple[Any, ...]:
    return page.shaped, page.dtype, page.bitspersample, page.photometric, page.extrasamples


def _contiguous(series: TiffPageSeries, number: int, path: Path) -> NDArray[Any]:
    """Samples (H, W, S) of a page without tags of its own: the pages of large stacks may lie end to end."""
    page, offset, file = series.keyframe, series.dataoffset, series.keyframe.parent.filehandle
    kind = page.dtype
    if (
        kind is None
        or offset is None
        or page.fillorder != 1
        or page.predictor != 1
        or kind.itemsize * 8 != page.bitspersample
    ):
        raise ImageError(f"{path} stores its stack in an unusual way: save it again as a plain TIFF or OME-TIFF.")
    if offset + page.nbytes * int(np.prod(series.shape[: len(series.shape) - len(page.shape)])) > file.size:
        raise ImageError(f"{path} is cut short (its stack does not end within the file): copy or export it again.")
    file.seek(offset + number * page.nbytes)
    stored = np.dtype(page.parent.byteorder + kind.char)
    values = file.read_array(stored, int(np.prod(page.shaped))).reshape(page.shaped).astype(kind, copy=False)
    values = np.moveaxis(values[:, 0], 0, 2)
    return values.reshape(*values.shape[:2], -1)


def _joined(planes: list[RawImage], path: Path) -> RawImage:
    """The pages of one picture as its channels."""
    if len(planes) == 1:
        return planes[0]
    if any(plane.values.shape[2] > 1 or plane.opacity is not None for plane in planes):
        raise ImageError(f"{path} has several channels of which each is in colour: save one of them as a file.")
    values = np.concatenate([plane.values for plane in planes], axis=2)
    return planes[0]._replace(values=values, channel_names=numbered((), len(planes)))


def _ome_of(series: TiffPageSeries, tiff: TiffFile, path: Path) -> OmeImage | None:
    """What OME-XML says of a series; None where that is not clear."""
    images = ome_images(tiff, path)
    named = [image for image in images if image.name == series.name]
    if len(images) == 1 or len(named) == 1:
        return (named or images)[0]
    return images[tiff.series.index(series)] if len(images) == len(tiff.series) else None


def _with_metadata(
    stored: RawImage, tiff: TiffFile, page: TiffPage, ome: OmeImage | None, path: Path, want_pixel_size: bool
) -> RawImage:
    if want_pixel_size:
        stored = stored._replace(pixel_size_um=tiff_pixel_size_um(tiff, page, ome, path))
    if holds_signed(tiff) and stored.values.dtype == np.uint16 and stored.bits == 16:
        stored = stored._replace(values=(stored.values.astype(np.int32) - 2**15).astype(np.int16))
    if ome is None:
        return stored
    # Most writers fill SignificantBits with the bits of the type, which says nothing; fewer bits are a camera's.
    if ome.bits is not None and 8 <= ome.bits < stored.bits and stored.values.dtype.kind == "u":
        stored = stored._replace(white=2.0**ome.bits - 1)
    if stored.channel_names:
        return stored._replace(channel_names=numbered(ome.channel_names, stored.values.shape[2]))
    if stored.values.shape[2] == 1 and len(ome.channel_names) == 1 and ome.channel_names[0]:
        return stored._replace(channel_names=ome.channel_names)
    return stored
