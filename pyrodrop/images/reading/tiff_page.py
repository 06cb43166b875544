"""One page of a TIFF to numbers: its pixels all there, and its samples told apart into colours and channels."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tifffile import TIFF, TiffPage

from pyrodrop.images.errors import ImageError
from pyrodrop.images.reading.raw_image import RawImage, upright
from pyrodrop.images.reading.size_limits import check_size

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, SEPARATED, YCBCR = 0, 1, 2, 3, 5, 6
ASSOCIATED, UNASSOCIATED = 1, 2
ORIENTATION, COLOR_MAP, INK_SET, MAX_SAMPLE_VALUE = 274, 320, 332, 281
CMYK_INKS = 1
NO_COMPRESSION, JPEG, JPEG_2000, PNG = 1, 7, 34712, 34933
# LZW, deflate, PackBits, deflate by its old number, LZMA and Zstandard give bytes, whose number shows whether
# the picture is whole; the others give a picture.
BYTE_CODECS = {5, 8, 32773, 32946, 34925, 50000}
PICTURE_CODECS = {JPEG, JPEG_2000, PNG}


def check_page(page: TiffPage, path: Path, channels: int) -> None:
    """Refuse a page that would be read wrongly, or whose header asks for more than there is.

    Args:
        page: a page with its own tags.
        path: the file.
        channels: how many such pages are read together.

    Raises:
        ImageError: with the reason.
    """
    if page.imagedepth != 1 or page.ndim not in (2, 3):
        raise ImageError(f"{path} holds volumes, not pictures: save it as a stack of pictures.")
    if page.dtype is None or page.dtype.kind not in "uifb":
        raise ImageError(
            f"{path} holds numbers of an unusual kind ({_named(page.bitspersample)} bits, sample format "
            f"{_named(page.sampleformat)}): save it with 8 or 16 bits, or as 32-bit floating point."
        )
    check_size(path, page.imagelength, page.imagewidth, page.samplesperpixel * channels, page.dtype.itemsize)
    if page.compression not in {NO_COMPRESSION} | BYTE_CODECS | PICTURE_CODECS:
        codec = _named(page.compression)
        raise ImageError(f"{path} is compressed in an unusual way ({codec}): save it with LZW or without.")
    if page.photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, SEPARATED) and not (
        page.photometric == YCBCR and page.compression == JPEG
    ):
        raise ImageError(f"{path} is stored in {_named(page.photometric)} colours: save it as RGB or gray.")
    if page.photometric == SEPARATED and page.tags.valueof(INK_SET, default=CMYK_INKS) != CMYK_INKS:
        raise ImageError(f"{path} is stored in inks other than CMYK: save it as RGB or gray.")


def _named(value: object) -> str:
    """A tag for a message: by its name where it has one; a damaged one can be hundreds of numbers."""
    return f"{getattr(value, 'name', value)!s:.60}"


def check_segments(page: TiffPage, path: Path) -> None:
    """Refuse a page of which parts lie outside the file, are missing, or do not fill the declared picture.

    A TIFF has no checksums. What can be known is that every strip and tile is there, that those stored
    plainly have the bytes of the declared size, and that the first and the last compressed one have.

    Raises:
        ImageError: with the reason.
    """
    offsets, counts = page.dataoffsets, page.databytecounts
    size = page.parent.filehandle.size
    needed = int(np.prod(page.chunked, dtype=np.int64))
    if len(offsets) != needed or len(counts) != needed:
        raise _damaged(path, f"{len(offsets)} of {needed} strips or tiles are stored")
    if any(count <= 0 or offset <= 0 or offset + count > size for offset, count in zip(offsets, counts, strict=True)):
        raise _damaged(path, "some of its strips or tiles are missing")
    row_bytes = _row_bytes(page)
    rows = page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength)
    if page.compression == NO_COMPRESSION:
        declared = row_bytes * (rows * needed if page.is_tiled else page.imagelength * _separate(page))
        # Some writers fill the last strip, or round it up to a word.
        slack = row_bytes * (rows - 1) + 16 if not page.is_tiled and needed > 1 else 16
        if not declared <= sum(counts) <= declared + slack:
            raise _damaged(path, f"{sum(counts):,} bytes are stored for a picture of {declared:,}")
    elif page.compression in BYTE_CODECS:
        left = rows if page.is_tiled else page.imagelength - rows * (needed // _separate(page) - 1)
        # The last strip has the rows that are left, though some writers fill it.
        for which, rows_there in (("first", {rows}), ("last", {left, rows})):
            index = 0 if which == "first" else needed - 1
            decompressed = _decompressed_bytes(page, index, row_bytes * rows + max(row_bytes, 64))
            if decompressed not in {row_bytes * count for count in rows_there}:
                declared = row_bytes * min(rows_there)
                raise _damaged(
                    path, f"its {which} strip or tile has {decompressed:,} bytes for a picture of {declared:,}"
                )


def _decompressed_bytes(page: TiffPage, index: int, at_most: int) -> int:
    """How many bytes a strip or tile decompresses to, stopping somewhat above the bound."""
    file = page.parent.filehandle
    file.seek(page.dataoffsets[index])
    encoded = file.read(page.databytecounts[index])
    if page.fillorder == 2:
        from imagecodecs import bitorder_decode

        encoded = bytes(bitorder_decode(encoded))
    decoded = TIFF.DECOMPRESSORS[page.compression](encoded, out=bytearray(at_most))
    return len(decoded)


def _row_bytes(page: TiffPage) -> int:
    """Bytes of a row of a strip or a tile, which starts on a byte of its own."""
    width = page.tilewidth if page.is_tiled else page.imagewidth
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    return (width * samples * int(page.bitspersample) + 7) // 8


def _separate(page: TiffPage) -> int:
    """How many planes of one sample a page is stored in."""
    return page.samplesperpixel if page.planarconfig == 2 else 1


def _damaged(path: Path, reason: str) -> ImageError:
    return ImageError(f"{path} is cut short or damaged ({reason}): copy or export it again.")


def planes_of(page: TiffPage) -> int:
    """Planes of a page written by tifffile that took the first axis, of length 3 or 4, for colours; else 1."""
    is_guess = page.planarconfig == 2 and page.samplesperpixel in (3, 4) and page.photometric == RGB
    return int(page.samplesperpixel) if is_guess else 1


def read_page(page: TiffPage, path: Path, as_planes: bool = False) -> RawImage:
    """The samples of a page: colours, or channels of brightness.

    Args:
        page: a page that ``check_page`` and ``check_segments`` have passed.
        path: the file.
        as_planes: whether its samples are pictures of their own, whatever the page says they are.

    Raises:
        ImageError: its samples cannot be told apart.
    """
    # (planes, depth, H, W, samples) to (H, W, planes x samples), one of which is 1
    values = page.asarray(squeeze=False, maxworkers=1)
    values = np.moveaxis(values[:, 0], 0, 2)
    return interpret(values.reshape(*values.shape[:2], -1), page, path, as_planes)


def interpret(values: NDArray[Any], page: TiffPage, path: Path, as_planes: bool = False) -> RawImage:
    """Stored samples (H, W, S) of a page as colours or channels, or as planes that are pictures of their own."""
    values = upright(values, page.tags.valueof(ORIENTATION, default=1))
    if values.dtype == bool:
        values = values.astype(np.uint8)
    bits = int(page.bitspersample)
    if as_planes:
        return RawImage(values, bits, _stated_white(page, bits))
    if page.photometric == PALETTE:
        return _looked_up(values, page, path)
    own = {RGB: 3, YCBCR: 3, SEPARATED: 4}.get(int(page.photometric), 1)
    extra = [int(kind) for kind in page.extrasamples]
    extra = ([0] * (values.shape[2] - own - len(extra)) + extra)[-max(values.shape[2] - own, 0) :] if own else extra
    if values.shape[2] < own:
        raise ImageError(f"{path} has {values.shape[2]} samples a pixel where its colours need {own}: export it again.")
    if values.shape[2] == own:
        extra = []
    opaque = [index for index, kind in enumerate(extra) if kind in (ASSOCIATED, UNASSOCIATED)]
    opacity, premultiplied = None, False
    if len(opaque) > 1:
        raise ImageError(f"{path} has {len(opaque)} alpha channels: save it with one, or without.")
    if opaque:
        if values.dtype.kind != "u":
            raise ImageError(f"{path} has an alpha channel that is no whole number: save it without alpha.")
        opacity = values[..., own + opaque[0]] / (2.0**bits - 1)
        premultiplied = extra[opaque[0]] == ASSOCIATED
        values = np.delete(values, own + opaque[0], axis=2)
    if own > 1:
        # One further sample of unknown meaning is padding to four bytes; more are data that would be lost.
        if values.shape[2] > own + 1:
            raise ImageError(
                f"{path} has {values.shape[2] - own} further channels beside its colours: "
                "save the one to be measured as a gray file."
            )
        values = values[..., :own]
    if page.photometric == SEPARATED:
        return RawImage(_mixed(values, bits, path), bits, 2.0**bits - 1, opacity, premultiplied)
    return RawImage(
        values,
        bits,
        _stated_white(page, bits),
        opacity,
        premultiplied,
        page.photometric == WHITE_IS_ZERO,
        channel_names=tuple(str(index) for index in range(values.shape[2])) if own == 1 < values.shape[2] else (),
    )


def _stated_white(page: TiffPage, bits: int) -> float | None:
    """The level of white by the tag MaxSampleValue, if it is one of a camera of 9 to 15 bits in 16.

    Writers fill that tag with the type's maximum, or with the highest level that occurs, and neither is
    white; a power of two less one between them is the depth of the camera.
    """
    highest = page.tags.valueof(MAX_SAMPLE_VALUE, default=None)
    if isinstance(highest, tuple):
        highest = max(highest)
    if page.dtype is None or page.dtype.kind != "u" or bits != 16 or not isinstance(highest, int):
        return None
    return float(highest) if highest in {2**depth - 1 for depth in range(9, 16)} else None


def _looked_up(values: NDArray[Any], page: TiffPage, path: Path) -> RawImage:
    """Colours of a palette, which holds 16 bits a colour, or 8 in some old files; gray if all of it is."""
    palette = page.colormap
    if palette is None or values.shape[2] != 1 or values.dtype.kind != "u" or palette.shape[1] <= int(values.max()):
        raise ImageError(f"{path} has a palette that does not fit its pixels: export it again.")
    palette = np.asarray(palette, dtype=np.uint16)
    bits = 16
    if palette.max() < 256:
        palette, bits = palette.astype(np.uint8), 8
    elif (palette % 257 == 0).all() or (palette % 256 == 0).all():
        palette, bits = (palette >> 8).astype(np.uint8), 8
    if (palette == palette[:1]).all():
        palette = palette[:1]
    return RawImage(np.moveaxis(palette[:, values[..., 0]], 0, 2), bits, 2.0**bits - 1)


def _mixed(inks: NDArray[Any], bits: int, path: Path) -> NDArray[Any]:
    """Red, green and blue (H, W, 3) of cyan, magenta, yellow and black: each ink takes its share of the light."""
    if inks.dtype.kind != "u":
        raise ImageError(f"{path} has inks that are no whole numbers: save it as RGB or gray.")
    full = 2.0**bits - 1
    light = 1 - inks / full
    return np.rint(full * light[..., :3] * light[..., 3:]).astype(inks.dtype)
