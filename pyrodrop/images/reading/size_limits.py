"""How large a picture may be, asked of its header before memory is taken for its pixels."""

from pathlib import Path

from PIL import Image

from pyrodrop.images.errors import ImageError

SMALLEST_SIDE = 2
# Deflate and LZW shrink an empty picture a thousandfold, and one with noise in it hardly tenfold. Small
# pictures are let through whatever they shrink to: they cannot fill the memory.
LARGEST_SHRINKAGE = 250
ALWAYS_ALLOWED = 16_000_000


def check_size(path: Path, height: int, width: int, samples: int = 1, sample_bytes: int = 1) -> None:
    """Refuse a picture that its header makes too small or too large to be one.

    Args:
        path: the file.
        height: px, as declared.
        width: px, as declared.
        samples: numbers a pixel, of all channels that are to be read.
        sample_bytes: bytes of a number.

    Raises:
        ImageError: fewer than 2 x 2 pixels, more than ``PIL.Image.MAX_IMAGE_PIXELS``, or so many from so
            small a file that it can only be empty or a decompression bomb.
    """
    if min(height, width) < SMALLEST_SIDE:
        raise ImageError(
            f"{path} has {width} x {height} pixels: an image needs at least {SMALLEST_SIDE} x {SMALLEST_SIDE}."
        )
    bound = Image.MAX_IMAGE_PIXELS
    # Three numbers a pixel are a photograph; a file of many channels counts as the larger picture that it is.
    if bound is not None and height * width * max(1, samples / 3) > bound:
        raise ImageError(too_large(path))
    size = height * width * samples * sample_bytes
    if size > ALWAYS_ALLOWED and size > LARGEST_SHRINKAGE * path.stat().st_size:
        raise ImageError(
            f"{path} declares {width} x {height} pixels in a file of {path.stat().st_size:,} bytes: it is empty, "
            "damaged or a decompression bomb; if it is a real image, save it without compression."
        )


def too_large(path: Path) -> str:
    """What to say of a picture above the bound."""
    return (
        f"{path} has more pixels than the bound of {Image.MAX_IMAGE_PIXELS:,}: crop it, or measure it in tiles, as in "
        "pyrodrop measure --tiles 1024; in Python, PIL.Image.MAX_IMAGE_PIXELS is the bound."
    )
