"""An image file to levels, through Pillow: what Pillow would read wrongly is mended or refused here."""

import math
import struct
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from pyrodrop.images.errors import ImageError

# Pillow would also hand files to other programs (PostScript); only what it decodes itself is let in.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
SMALLEST_SIDE = 2
# A pixel below a nanometre or above this many micrometres is a printing resolution (72 dpi is 353 um).
LARGEST_PIXEL_UM = 20.0
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")


class Levels(NamedTuple):
    """The levels of a file: values (H, W, C) with C 1 or 3, the level of white, and micrometres a pixel."""

    values: NDArray[Any]
    white: float
    pixel_size_um: float | None


def read_levels(path: Path, white: float | None = None) -> Levels:
    """Levels of an image file, upright, without alpha and palette; bright is high.

    Args:
        path: a PNG, JPEG, TIFF, BMP, GIF or WebP file with one picture.
        white: the level that stands for white; None takes it from the file where the file says it.

    Raises:
        ImageError: the file is missing, no image, cut, or would be read wrongly.
    """
    if white is not None and not (math.isfinite(white) and white > 0):
        raise ImageError(f"the white level is {white}: give a positive number, for example 4095 for 12 bits.")
    try:
        _check_file(path)
        with path.open("rb") as stream:
            return _decode(stream, path, white)
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(
            f"{path} is not an image of a kind that can be read, or its beginning is damaged: "
            "give a PNG, JPEG, TIFF, BMP, GIF or WebP file."
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(_too_large(path)) from None
    except PermissionError:
        raise ImageError(f"{path} may not be read: ask for permission to read it.") from None
    except MemoryError:
        raise ImageError(f"{path} does not fit into memory: crop it or scale it down.") from None
    # A damaged file may raise anything in Pillow's decoders; none of it is the caller's bug.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{path} is cut short or damaged ({reason}): copy or export it again.") from error


def _check_file(path: Path) -> None:
    try:
        exists, is_file = path.exists(), path.is_file()
        size = path.stat().st_size if is_file else 0
    except (OSError, ValueError) as error:
        raise ImageError(f"{str(path)!r} is not a usable file name ({error}).") from None
    if not exists:
        raise ImageError(f"{path} does not exist: check the name and the folder.")
    if not is_file:
        what = "a folder" if path.is_dir() else "not a regular file"
        raise ImageError(f"{path} is {what}: give the name of one image file.")
    if size == 0:
        raise ImageError(f"{path} is empty (0 bytes): copy or export it again.")


def _decode(stream: BinaryIO, path: Path, white: float | None) -> Levels:
    image = Image.open(stream, formats=FORMATS)
    bound = Image.MAX_IMAGE_PIXELS
    if bound is not None and image.width * image.height > bound:
        raise ImageError(_too_large(path))
    if min(image.size) < SMALLEST_SIDE:
        raise ImageError(
            f"{path} has {image.width} x {image.height} pixels: "
            f"an image needs at least {SMALLEST_SIDE} x {SMALLEST_SIDE}."
        )
    if image.format == "PNG":
        image.verify()  # the checksums, which decoding does not look at
        stream.seek(0)
        image = Image.open(stream, formats=("PNG",))
    # The further pictures of an MPO are previews and depth maps of the first, written by cameras and phones.
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise ImageError(f"{path} holds {frames} pictures: save the one to be measured as a file of its own.")
    bits = _bits(image, stream)
    if bits > 8 and image.mode not in DEEP_MODES:
        raise ImageError(
            f"{path} has {bits} bits a colour, of which only 8 would be read: "
            "save it with 8 bits a colour, or one channel of it as 16-bit gray."
        )
    samples = _tag(image, TiffImagePlugin.SAMPLESPERPIXEL) or 1
    if samples > len(image.getbands()):
        raise ImageError(
            f"{path} has {samples} channels, of which only {len(image.getbands())} would be read: "
            "save the one to be measured as a gray file."
        )
    if bits <= 8 and _is_signed(image):
        raise ImageError(f"{path} has levels below 0, of 8 bits with a sign: save it with black as 0.")
    pixel_size_um = _pixel_size_um(image)
    upright = ImageOps.exif_transpose(image)
    if upright.mode in DEEP_MODES:
        values, white = _deep(upright, image, bits, path, white)
    else:
        values = _shallow(upright, path)
        white = 255.0 if white is None else white
    brightest = float(values.max())
    if brightest > white:
        raise ImageError(f"{path} has pixels up to {brightest:g}, above the white level {white:g}: give a higher one.")
    return Levels(values, white, pixel_size_um)


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
    colours = np.array(image.convert("RGB"))
    return colours[..., :1] if gray else colours


def _deep(
    image: Image.Image, opened: Image.Image, bits: int, path: Path, white: float | None
) -> tuple[NDArray[Any], float]:
    """Levels (H, W, 1) of a gray image of more than 8 bits, and the level of white."""
    if "transparency" in opened.info:
        raise ImageError(f"{path} has a transparent level in 16-bit gray: save it without transparency.")
    values: NDArray[Any] = np.array(image)[..., None]
    if image.mode == "I" and bits == 32 and not _is_signed(opened):
        values = values.view(np.uint32)  # Pillow has no mode for them, and calls the upper half negative
    lowest, highest = float(values.min()), float(values.max())
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        raise ImageError(f"{path} has NaN or infinite pixels: replace them, for example by the background.")
    if lowest < 0:
        raise ImageError(f"{path} has pixels down to {lowest:g}: shift its levels so that black is 0.")
    if image.mode == "F":
        if white is None and highest > 1:
            raise ImageError(
                f"{path} holds numbers up to {highest:g} and does not say which is white: "
                f"give the white level, for example white={highest:g}."
            )
        known = 1.0
    else:
        # Cameras of 10, 12 or 14 bits write 16-bit files: then 65535 is not white, and only the owner knows.
        top = 2.0 ** (bits - _is_signed(opened)) - 1
        if white is None and bits >= 16 and highest < top / 4:
            likely = 2 ** max(8, int(highest).bit_length()) - 1
            raise ImageError(
                f"{path} has {bits} bits but no pixel above {highest:g}, so its white level is uncertain: "
                f"give it, for example white={likely}, or white={top:.0f} if the image is dark."
            )
        known = top
    white = known if white is None else white
    if _white_is_zero(opened):
        if image.mode == "F":
            raise ImageError(f"{path} stores white as 0 in floating point: save it with black as 0.")
        values = white - values.astype(np.float64)
        if values.min() < 0:
            raise ImageError(f"{path} has pixels above the white level {white:g}: give a higher one.")
    return values, white


def _is_signed(image: Image.Image) -> bool:
    """Whether the whole numbers of a TIFF have a sign."""
    kind = _tag(image, TiffImagePlugin.SAMPLEFORMAT)
    return 2 in kind if isinstance(kind, tuple) else kind == 2


def _white_is_zero(image: Image.Image) -> bool:
    """Whether a TIFF counts darkness; Pillow turns that round for 8 bits and less, and not for more."""
    return image.format == "TIFF" and _tag(image, TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0


def _bits(image: Image.Image, stream: BinaryIO) -> int:
    """Bits of a stored sample, from the file itself: the mode does not tell, since Pillow drops some."""
    if image.format == "PNG":
        position = stream.tell()
        # 8 bytes of signature, then length and name of the header chunk, width and height; then the depth.
        stream.seek(24)
        (depth,) = struct.unpack("B", stream.read(1))
        stream.seek(position)
        return int(depth)
    if image.format == "TIFF":
        samples = _tag(image, TiffImagePlugin.BITSPERSAMPLE)
        return max(samples) if isinstance(samples, tuple) else int(samples or 1)
    return 8


def _pixel_size_um(image: Image.Image) -> float | None:
    """Micrometres a pixel where the metadata hold a size that a microscope can have, else None."""
    if image.format not in ("PNG", "TIFF"):
        return None
    per_inch = image.info.get("dpi")  # Pillow fills it only where the unit is a length
    if not isinstance(per_inch, tuple) or len(per_inch) != 2:
        return None
    x, y = (float(value) for value in per_inch)
    if not (math.isfinite(x) and math.isfinite(y)) or x <= 0 or abs(x - y) > 0.01 * x:
        return None
    size = 25_400.0 / x
    return size if 1e-3 <= size <= LARGEST_PIXEL_UM else None


def _tag(image: Image.Image, number: int) -> Any:
    return image.tag_v2.get(number) if isinstance(image, TiffImagePlugin.TiffImageFile) else None


def _too_large(path: Path) -> str:
    return (
        f"{path} has more pixels than the bound of {Image.MAX_IMAGE_PIXELS:,}: crop it, "
        "or raise PIL.Image.MAX_IMAGE_PIXELS if the file can be trusted."
    )
