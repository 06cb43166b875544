"""PNG, JPEG, BMP, GIF and WebP to numbers, through Pillow: what it would read wrongly is mended or refused."""

import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pyrodrop.images.errors import ImageError
from pyrodrop.images.reading.frames import choose_frame
from pyrodrop.images.reading.pixel_size import MICROMETRES_AN_INCH, by_resolution
from pyrodrop.images.reading.raw_image import RawImage, upright
from pyrodrop.images.reading.size_limits import check_size

# Pillow would also hand files to other programs (PostScript); only what it decodes itself is let in.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")
ORIENTATION = 0x0112
PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def read_picture(path: Path, frame: int | None, want_pixel_size: bool) -> RawImage:
    """One picture of a file, upright.

    Args:
        path: a PNG, JPEG, BMP, GIF or WebP file.
        frame: which of its pictures; None for the only one, or the first of a camera's MPO.
        want_pixel_size: whether to look for the pixel size.

    Raises:
        ImageError: the file would be read wrongly, or there is no such frame. Pillow raises other errors at damage.
    """
    with path.open("rb") as stream:
        image = Image.open(stream, formats=FORMATS)
        depth, colour = _png_depth(stream) if image.format == "PNG" else (8, 2)
        check_size(path, image.height, image.width, PNG_SAMPLES.get(colour, 4), depth // 8 or 1)
        if image.format == "PNG":
            image.verify()  # the checksums, which decoding does not look at
            stream.seek(0)
            image = Image.open(stream, formats=("PNG",))
        if image.format == "BMP":
            _check_bmp(stream, path)
        # The further pictures of an MPO are previews and depth maps of the first, written by cameras and phones.
        frames = getattr(image, "n_frames", 1)
        if frame is not None or image.format != "MPO":
            number = choose_frame(frame, frames, "", path)
            if frames > 1:
                image.seek(number)
        pixel_size_um = _pixel_size_um(image, path) if want_pixel_size else None
        if depth == 16:
            stored = _deep(image, stream, frames, colour, path)
        else:
            stored = RawImage(_shallow(ImageOps.exif_transpose(image), path), 8)
        return stored._replace(pixel_size_um=pixel_size_um)


def count_pictures(path: Path) -> int:
    """How many pictures a PNG, JPEG, BMP, GIF or WebP file holds; of a camera's MPO, one."""
    with path.open("rb") as stream:
        image = Image.open(stream, formats=FORMATS)
        return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))


def _shallow(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    """8-bit levels (H, W, C): palettes looked up, transparency laid on white, CMYK as Pillow mixes it."""
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
        gray = bool((palette == palette[:, :1]).all())
    else:
        gray = image.mode in ("1", "L", "LA", "La")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        # What lies under transparency is undefined; white is what viewers show there.
        clear = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    elif image.mode not in ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"):
        raise ImageError(f"{path} is stored in {image.mode} colours: save it as RGB or gray.")
    if gray:
        return np.array(image.convert("L"))[..., None]
    return np.array(image.convert("RGB"))


def _deep(image: Image.Image, stream: BinaryIO, frames: int, colour: int, path: Path) -> RawImage:
    """A PNG of 16 bits; its colours through imagecodecs, because Pillow drops their lower 8 bits."""
    if "transparency" in image.info:
        raise ImageError(f"{path} has a transparent level in 16 bits: save it without transparency.")
    orientation = image.getexif().get(ORIENTATION)
    if colour == 0 and image.mode in DEEP_MODES:
        return RawImage(upright(np.array(image).astype(np.uint16)[..., None], orientation), 16)
    if frames > 1:
        raise ImageError(f"{path} is a moving picture with 16 bits a colour: save the picture as a file of its own.")
    from imagecodecs import png_decode

    stream.seek(0)
    values = png_decode(stream.read())
    if values.dtype != np.uint16 or values.shape[:2] != (image.height, image.width):
        raise ImageError(f"{path} is damaged (its pixels are not those of its header): copy or export it again.")
    values = upright(values.reshape(*values.shape[:2], -1), orientation)
    if colour in (4, 6):  # the last sample is the opacity
        return RawImage(values[..., :-1], 16, opacity=values[..., -1] / 65535)
    return RawImage(values, 16)


def _png_depth(stream: BinaryIO) -> tuple[int, int]:
    """Bits of a stored sample and the colour type of a PNG, from the file itself: Pillow's mode does not tell."""
    position = stream.tell()
    # 8 bytes of signature, then length and name of the header chunk, width and height; then these two.
    stream.seek(24)
    depth, colour = struct.unpack("BB", stream.read(2))
    stream.seek(position)
    return int(depth), int(colour)


def _check_bmp(stream: BinaryIO, path: Path) -> None:
    """Refuse a BMP that stores more or less than the picture of its header, by a row or more.

    A BMP has no checksums; a changed width would shear the picture and a changed height cut it.
    """
    position = stream.tell()
    stream.seek(0)
    head = stream.read(34)
    size = stream.seek(0, 2)
    stream.seek(position)
    start, header = struct.unpack("<II", head[10:18])
    if header < 40:
        width, height, _, bits = struct.unpack("<HHHH", head[18:26])
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack("<iiHHI", head[18:34])
    row = (width * bits + 31) // 32 * 4
    # Plain, or plain with masks for its colours; a profile may follow the pixels of the latest version.
    if compression not in (0, 3) or header >= 124:
        return
    if not 0 <= size - start - row * abs(height) < row:
        raise ImageError(
            f"{path} is cut short or damaged ({size - start:,} bytes are stored for a picture of "
            f"{row * abs(height):,}): copy or export it again."
        )


def _pixel_size_um(image: Image.Image, path: Path) -> float | None:
    if image.format != "PNG":
        return None
    per_inch: Any = image.info.get("dpi")  # Pillow fills it only where the unit is a length
    if not isinstance(per_inch, tuple) or len(per_inch) != 2 or not min(per_inch) > 0:
        return None
    x, y = (MICROMETRES_AN_INCH / float(value) for value in per_inch)
    return by_resolution(x, y, path)
