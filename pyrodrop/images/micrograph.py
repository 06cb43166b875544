"""A microscope image: read from a file, scaled, and taken apart into channels."""

import os
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pyrodrop.images.channels.colours import channel_names_of, take_channel
from pyrodrop.images.errors import ImageError
from pyrodrop.images.notebook import picture_html
from pyrodrop.images.reading.image_file import read_image_file
from pyrodrop.images.reading.pixel_size import positive_pixel_size
from pyrodrop.images.reading.white_level import levels_of, positive_white
from pyrodrop.images.scaling import from_levels, positive_scale, resized, scaled_size


@dataclass(frozen=True, eq=False)
class Micrograph:
    """A microscope image.

    Attributes:
        pixels: red, green, blue or gray, float32, shape (H, W, C) with C 3 or 1 and H, W at least 2; or the
            channels that ``channel_names`` names; in [0, 1] when read from a file.
        pixel_size_um: width of a pixel in micrometres, or None where it is not known.
        path: the file it was read from, or None.
        channel_names: names of the channels of a file that has several, or a name for its only one, as
            fluorescence has; () for colours and plain gray.
        black_level: the number of the file that is 0 in ``pixels``: its lowest where that is negative, as after a
            background was subtracted, else 0.

    Raises:
        ImageError: pixels of another shape or type, NaN or infinite ones, or a pixel size not positive.
    """

    pixels: Float32[Tensor, "h w c"] = field(repr=False)
    pixel_size_um: float | None = None
    path: Path | None = None
    channel_names: tuple[str, ...] = ()
    black_level: float = 0.0

    def __post_init__(self) -> None:
        shape = tuple(self.pixels.shape)
        counts = (len(self.channel_names),) if self.channel_names else (1, 3)
        fits = len(shape) == 3 and shape[-1] in counts and min(shape[:2]) >= 2
        if not fits or self.pixels.dtype != torch.float32:
            raise ImageError(
                f"the pixels are {self.pixels.dtype} of shape {shape}, expected torch.float32 of shape "
                f"{' or '.join(f'(H, W, {count})' for count in reversed(counts))} with at least 2 x 2 pixels."
            )
        if not bool(self.pixels.isfinite().all()):
            raise ImageError("the image has NaN or infinite pixels: replace them, as by the background.")
        if self.pixel_size_um is not None and not 0 < self.pixel_size_um < float("inf"):
            raise ImageError(f"the pixel size is {self.pixel_size_um} um: give a positive number, or None.")

    @property
    def name(self) -> str:
        """Name of the file without its folder, or "" where there is none."""
        return "" if self.path is None else self.path.name

    @property
    def size(self) -> tuple[int, int]:
        """Height and width (H, W) in px."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def channels(self) -> tuple[str, ...]:
        """Names that ``channel`` knows for this image."""
        return channel_names_of(self.pixels, self.channel_names)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        height, width = self.size
        known = [self.name] if self.name else []
        known.append(f"{width} × {height} px")
        if self.pixel_size_um is not None:
            known.append(f"{self.pixel_size_um:.6g} µm per px")
        if self.channel_names:
            known.append(f"channels {', '.join(self.channel_names)}")
        if self.black_level:
            known.append(f"black is the file's {self.black_level:.6g}")
        return picture_html(self.pixels.cpu().numpy(), known)

    def channel(self, name: str) -> Float32[Tensor, "h w"]:
        """One channel, float32, shape (H, W).

        Args:
            name: hue, saturation, value, red, green, blue or gray, all in [0, 1]; L in [0, 100]; a or b,
                about -128 to 127. The conversions are scikit-image's. A gray image has gray alone. In an image
                with channels of its own, one of their names, or its number counted from 0, as "1".

        Raises:
            ImageError: there is no such channel; the message lists those there are.
        """
        return take_channel(self.pixels, name, self.channel_names)

    def resize(self, scale: float) -> "Micrograph":
        """The image at another size, bicubic and antialiased; the pixel size follows.

        Args:
            scale: size of the result over the present size, positive; sides are rounded down to whole pixels.

        Raises:
            ImageError: the scale is not a positive number, or leaves fewer than 2 x 2 pixels.
        """
        size = scaled_size(self.size, scale)
        if size == self.size:
            return self
        pixel = None if self.pixel_size_um is None else self.pixel_size_um * self.size[1] / size[1]
        return replace(self, pixels=resized(self.pixels, size), pixel_size_um=pixel)


def read_image(
    path: str | os.PathLike[str],
    scale: float = 1.0,
    *,
    frame: int | None = None,
    white: float | str | None = None,
    pixel_size_um: float | None = None,
) -> Micrograph:
    """A micrograph from an image file.

    The picture is turned upright as its orientation tag says, palettes are looked up, transparent pixels are
    laid on white, CMYK is mixed to RGB, and where a file counts darkness (TIFF's MinIsWhite) it is turned
    round. Where numbers are negative, as after a background was subtracted, the lowest becomes black. Colour
    profiles are not applied. A file with several channels, as fluorescence has, gives all of them;
    ``Micrograph.channels`` lists their names. The pixel size is that of OME, ImageJ or Nikon metadata;
    the resolution of a PNG or TIFF counts only if a microscope can have it, at most 20 um: 72 or 300 dpi is
    about printing.

    Args:
        path: a PNG, JPEG, BMP, GIF, WebP, TIFF, OME-TIFF or ImageJ file; with the extra ``nd2``, Nikon's ND2.
        scale: size of the result over the size of the file, positive.
        frame: which picture of a stack, counted from 0 over times, depths and pages, the last axis fastest.
            None for the only one; of a camera's MPO, the first.
        white: the level that becomes 1. None takes it from the file, where OME's SignificantBits or the tag
            MaxSampleValue state the depth of a camera, else the full range of the type; and refuses images
            where that would be a guess: 16-bit files that use less than a quarter of their range, as cameras
            of 12 bits write them, and floating point above 1.
            "brightest" does the same, and where that is uncertain takes the highest number of the image: right
            where only proportions matter, as in measuring.
        pixel_size_um: width of a pixel of the file in micrometres, in place of what its metadata say.

    Returns:
        The ``Micrograph``: ``channel(name)`` gives one channel, (H, W), and ``channels`` lists their names.

    Raises:
        ImageError: the file is missing, a folder, empty, no image, cut, damaged, smaller than 2 x 2 pixels,
            too large (``PIL.Image.MAX_IMAGE_PIXELS``), holds no such frame, or several and none was chosen;
            holds NaN or infinite pixels, or pixels that are not square; or would be read wrongly,
            as with an uncertain white level; or an argument is not usable.
        ImportError: torchvision does not go with the installed torch.

    Example:
        >>> import os, tempfile, pyrodrop
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (60, 40), "teal").save(os.path.join(folder, "micrograph.png"))
        ...     image = pyrodrop.read_image(os.path.join(folder, "micrograph.png"), scale=0.5, pixel_size_um=0.4)
        >>> image.size, round(image.pixel_size_um, 3), image.channels[:2]
        ((20, 30), 0.8, ('hue', 'saturation'))
    """
    path = Path(path)
    # Before the file, which may take long to decode.
    scale, white, pixel_size_um = positive_scale(scale), positive_white(white), positive_pixel_size(pixel_size_um)
    stored = read_image_file(path, frame, want_pixel_size=pixel_size_um is None)
    levels = levels_of(stored, white, path)
    if levels.values.dtype == np.uint8 and levels.white == 255:
        pixels = from_levels(levels.values)
    else:
        scaled = np.empty(levels.values.shape, dtype=np.float32)
        # NumPy casts in small buffers, so that no copy in double precision is made.
        np.divide(levels.values, np.float64(levels.white), out=scaled, dtype=np.float64, casting="unsafe")
        pixels = torch.from_numpy(scaled)
    size = stored.pixel_size_um if pixel_size_um is None else pixel_size_um
    return Micrograph(pixels, size, path, stored.channel_names, levels.black).resize(scale)


def write_png(image: Micrograph, path: str | os.PathLike[str]) -> None:
    """Write a micrograph as a PNG of 8 bits, whole or not at all, with its pixel size.

    Args:
        image: what to write; pixels outside [0, 1] are clipped.
        path: the file to write or to replace.

    Raises:
        ImageError: the image has several channels that are no colours.
        OSError: the file cannot be written.
    """
    path = Path(path)
    if len(image.channel_names) > 1:
        raise ImageError(
            f"the image has the channels {', '.join(image.channels)}, which are no colours: "
            "write one of them, as Micrograph(image.channel(name)[..., None])."
        )
    levels = to_levels(image.pixels)
    picture = Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels)
    # Pillow takes dots an inch, and a PNG keeps whole pixels a metre.
    dpi = None if image.pixel_size_um is None else (25_400 / image.pixel_size_um,) * 2
    # A name of its own, so that two who write the same file do not meet.
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        picture.save(beside, format="PNG", **({} if dpi is None else {"dpi": dpi}))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def to_levels(pixels: Float[Tensor, "*shape"]) -> UInt8[NDArray[np.uint8], "*shape"]:
    """Pixels as the nearest levels of 8 bits, an array of the same shape, clipped to [0, 1]."""
    levels: NDArray[np.uint8] = (pixels.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    return levels
