"""What a TIFF says beside its pixels: OME's and ImageJ's pixel size, depth and channel names, resolution tags."""

import math
import re
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from tifffile import TiffFile, TiffPage

from pyrodrop.images.errors import ImageError
from pyrodrop.images.reading.pixel_size import (
    LARGEST_BY_RESOLUTION_UM,
    MICROMETRES_AN_INCH,
    by_resolution,
    imagej_unit,
    micrometres,
    stated,
)

X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
# ResolutionUnit: inch, centimetre
RESOLUTION_UNITS_UM = {2: MICROMETRES_AN_INCH, 3: 1e4}


class OmeImage(NamedTuple):
    """What OME-XML states of one of its images: its width and height, bits, sides of a pixel, names of channels."""

    name: str
    size: tuple[str, str]
    bits: int | None
    sides_um: tuple[float, float] | None
    channel_names: tuple[str, ...]


def ome_images(tiff: TiffFile, path: Path) -> list[OmeImage]:
    """The images that the OME-XML of a file describes, in its order; none where there is no OME-XML.

    Raises:
        ImageError: the OME-XML cannot be parsed.
    """
    if not tiff.is_ome or not tiff.ome_metadata:
        return []
    try:
        root = ElementTree.fromstring(tiff.ome_metadata)
    except ElementTree.ParseError as error:
        raise ImageError(f"{path} has damaged OME metadata ({error}): export it again.") from None
    images = []
    for image in root.iterfind("{*}Image"):
        pixels = image.find("{*}Pixels")
        if pixels is None:
            continue
        bits = pixels.get("SignificantBits", "")
        names = tuple((channel.get("Name") or "").strip() for channel in pixels.iterfind("{*}Channel"))
        images.append(
            OmeImage(
                image.get("Name", ""),
                (pixels.get("SizeX", "?"), pixels.get("SizeY", "?")),
                int(bits) if bits.isdecimal() else None,
                _ome_sides(pixels),
                names,
            )
        )
    return images


def check_description(tiff: TiffFile, path: Path) -> None:
    """Refuse a file whose OME-XML is of other pictures: programs that scale, crop or turn one leave it as it was.

    Raises:
        ImageError: it states no image as large as the first page, or cannot be parsed.
    """
    sizes = {image.size for image in ome_images(tiff, path)}
    first = tiff.pages.first
    if sizes and (str(first.imagewidth), str(first.imagelength)) not in sizes:
        stated = ", ".join(" x ".join(size) for size in sorted(sizes))
        held = f"{first.imagewidth!s:.20} x {first.imagelength!s:.20}"
        raise ImageError(
            f"{path} has {held} pixels, and {stated:.60} by its OME metadata: it was scaled, cropped or turned by a "
            "program that left those, or is damaged; save it as PNG or without metadata."
        )


def is_outdated(tiff: TiffFile) -> bool:
    """Whether tifffile's description, which holds nothing but the shape, is of a picture that was changed since.

    Other programs that crop or convert a file keep the description, and put their own name as the software.
    """
    first = tiff.pages.first
    if not first.is_shaped or first.software.startswith("tifffile"):
        return False
    match = re.search(r"[\[(]([\d, ]*)[\])]", first.shaped_description or "")
    stated = [int(side) for side in match[1].split(",") if side.strip()] if match else []
    shape = [side for side in first.shape if side != 1]
    return [side for side in stated if side != 1][-len(shape) :] != shape


def holds_signed(tiff: TiffFile) -> bool:
    """Whether ImageJ stored numbers with a sign, which it does without: 32,768 too high, and saying so."""
    if not tiff.is_imagej:
        return False
    lines = dict(re.findall(r"^(cf|c0|c1)=(\S+)\s*$", tiff.pages.first.description, flags=re.MULTILINE))
    return lines.get("cf") == "0" and _number(lines.get("c0")) == -(2**15) and _number(lines.get("c1")) == 1


def _ome_sides(pixels: ElementTree.Element) -> tuple[float, float] | None:
    sides = []
    for axis in "XY":
        unit = micrometres(pixels.get(f"PhysicalSize{axis}Unit", "um"))
        size = _number(pixels.get(f"PhysicalSize{axis}"))
        if unit is None or size is None:
            return None
        sides.append(size * unit)
    return sides[0], sides[1]


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


def numbered(names: tuple[str, ...], count: int) -> tuple[str, ...]:
    """Names for so many channels: those given where there is one for each, else, and for empty ones, numbers."""
    if len(names) != count:
        names = ("",) * count
    return tuple(name or str(index) for index, name in enumerate(names))


def tiff_pixel_size_um(tiff: TiffFile, page: TiffPage, ome: OmeImage | None, path: Path) -> float | None:
    """Micrometres a pixel: by OME, else by ImageJ, else by the resolution tags; or None.

    Raises:
        ImageError: pixels that are not square.
    """
    if ome is not None:
        return None if ome.sides_um is None else stated(*ome.sides_um, path)
    resolutions = [_resolution(page, X_RESOLUTION), _resolution(page, Y_RESOLUTION)]
    if not all(math.isfinite(value) and value > 0 for value in resolutions):
        return None
    if tiff.is_imagej:
        written = imagej_unit(tiff.pages.first.description)
        unit = micrometres(written)
        if unit is not None:
            x, y = (unit / value for value in resolutions)
            # ImageJ hands on the resolution for printing of what it opened, in inches or centimetres.
            printing = re.fullmatch(r"in|inch|cm", written.lower()) and x > LARGEST_BY_RESOLUTION_UM
            return None if printing else stated(x, y, path)
    unit = RESOLUTION_UNITS_UM.get(int(page.tags.valueof(RESOLUTION_UNIT, default=2)))
    if unit is None:
        return None
    return by_resolution(unit / resolutions[0], unit / resolutions[1], path)


def _resolution(page: TiffPage, tag: int) -> float:
    """Pixels a unit of length, or NaN where that is not stated."""
    value = page.tags.valueof(tag, default=None)
    if isinstance(value, tuple) and len(value) == 2:
        return float(value[0]) / value[1] if value[1] else math.nan
    return float(value) if isinstance(value, int | float) else math.nan
