"""Pictures for a page that is one file: as data URIs, and with circles drawn on them."""

import base64
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, UnidentifiedImageError

if TYPE_CHECKING:
    import pandas as pd

# A few pixels that are hot or dead must not leave the rest gray.
_DARKEST, _BRIGHTEST = 0.001, 0.999
# Of its contrast, what was not looked at keeps so much.
_VEILED = 0.35
# Circles are drawn this many times as large and then shrunk, so that their rims are smooth.
_FINER = 3
_LINE = 5  # so many of those wide
_ENDS = np.array([[5, 80, 160], [255, 255, 255], [185, 20, 30]])
_BLUE_WHITE_RED = np.stack([np.interp(np.arange(256), [0, 127.5, 255], ends) for ends in _ENDS.T], 1).astype(int)


def data_uri(content: bytes, kind: str = "image/png") -> str:
    """The content of a file as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def gray_picture(pixels: NDArray[np.float32], longest: int, looked_at: NDArray[np.bool_] | None = None) -> Image.Image:
    """An image (H, W) of any range in 256 grays, shrunk to at most so many pixels on its longer side.

    What was not looked at, where ``looked_at``, (H, W), is false, is veiled: it has less contrast, around mid-gray.
    """
    known = np.isfinite(pixels)
    low, high = np.quantile(pixels[known], [_DARKEST, _BRIGHTEST]) if known.any() else (0.0, 1.0)
    filled = np.where(known, pixels, low)
    gray = np.clip((filled - low) / max(float(high - low), 1e-12), 0, 1)
    if looked_at is not None and looked_at.shape == gray.shape:
        gray = np.where(looked_at, gray, 0.5 + _VEILED * (gray - 0.5))
    return shrink(Image.fromarray(np.round(255 * gray).astype(np.uint8)), longest)


def residual_picture(residual: NDArray[np.float32], spread: float, longest: int) -> Image.Image:
    """The residual, (C, H, W) in units of the noise: blue below, white at 0, red above, full at the spread.

    Several channels are added and divided by the root of their number, so that noise stays noise of one.
    """
    z = np.nan_to_num(residual.sum(0) / np.sqrt(len(residual)))
    step = max(1, -(-max(z.shape) // longest))
    levels = np.round(127.5 + 127.5 * np.clip(z[::step, ::step] / spread, -1, 1)).astype(np.uint8)
    picture = Image.fromarray(levels)
    picture.putpalette(_BLUE_WHITE_RED.ravel().tolist())
    return picture


def shrink(picture: Image.Image, longest: int) -> Image.Image:
    """The picture, if need be smaller: at most so many pixels on its longer side."""
    factor = longest / max(picture.size)
    if factor >= 1:
        return picture
    width, height = (max(1, round(factor * side)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def encoded(picture: Image.Image) -> str:
    """A picture as a data URI: PNG where it has at most 256 colours, else JPEG."""
    stream = BytesIO()
    if picture.mode in ("L", "P"):
        picture.save(stream, "PNG", optimize=True)
        return data_uri(stream.getvalue())
    picture.convert("RGB").save(stream, "JPEG", quality=85)
    return data_uri(stream.getvalue(), "image/jpeg")


def thumbnail(path: Path, longest: int = 240) -> str | None:
    """A picture file, small, as a data URI; None if it cannot be read."""
    try:
        with Image.open(path) as picture:
            return encoded(shrink(picture.convert("RGB"), longest))
    except (UnidentifiedImageError, OSError):
        return None


def with_circles(pixels: NDArray[np.float32], table: "pd.DataFrame", longest: int) -> Image.Image:
    """An image (H, W) in gray, and a circle for each droplet of the table.

    Its longer side has so many pixels; a small image is enlarged by a whole number, to at most that.
    """
    gray = gray_picture(pixels, longest).convert("RGB")
    times = max(1, longest // max(gray.size))
    gray = gray.resize((times * gray.width, times * gray.height), Image.Resampling.NEAREST)
    factor = gray.width / pixels.shape[1]
    canvas = gray.resize((_FINER * gray.width, _FINER * gray.height), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(canvas)
    to_corners = np.array([0.5, 0.5, 0.0])
    for x, y, radius in _FINER * factor * (table[["x_px", "y_px", "radius_px"]].to_numpy() + to_corners):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=(255, 75, 51), width=_LINE)
    return canvas.resize(gray.size, Image.Resampling.LANCZOS)
