"""Micrometres a pixel: what the metadata of a file say, and when they are to be believed."""

import math
import re
from pathlib import Path

from pyrodrop.images.errors import ImageError, positive_number

MICROMETRES_AN_INCH = 25_400.0
# Resolutions for printing and screens (72 dpi is 353 um, 300 dpi 85 um, 1200 dpi 21 um) stand in most files by
# default and say nothing about a microscope; and no pixel of light microscopy is below a nanometre.
LARGEST_BY_RESOLUTION_UM = 20.0
SMALLEST_UM = 1e-3
# Droplets are taken to be round in pixels.
SQUARE_WITHIN = 0.01

# The Greek mu and the micro sign are two characters, and ImageJ writes the latter escaped.
_UNITS = {
    "m": 1e6,
    "cm": 1e4,
    "mm": 1e3,
    "um": 1.0,
    "\u00b5m": 1.0,
    "\u03bcm": 1.0,
    "\\u00b5m": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "pm": 1e-6,
    "\u00e5": 1e-4,
    "\u212b": 1e-4,
    "inch": MICROMETRES_AN_INCH,
    "in": MICROMETRES_AN_INCH,
}


def positive_pixel_size(pixel_size_um: float | None) -> float | None:
    """A pixel size as a number; an ImageError if it is not positive and finite."""
    if pixel_size_um is None:
        return None
    size = positive_number("pixel_size_um", pixel_size_um, "0.65")
    if not 1e-9 <= size <= 1e9:  # from far below an atom to a kilometre: beyond, volumes are no numbers
        raise ImageError(
            f"pixel_size_um is {pixel_size_um!r}: give one that a microscope has, for example 0.65.", "pixel_size_um"
        )
    return size


def micrometres(unit: str) -> float | None:
    """Micrometres of a unit of length as OME and ImageJ write it, or None for others, as "pixel"."""
    return _UNITS.get(unit.strip().lower().replace("\\u00b5", "\u00b5"))


def stated(x_um: float, y_um: float, path: Path) -> float | None:
    """The pixel size that a microscope's metadata state for the columns and rows, or None where it is none.

    Raises:
        ImageError: pixels that are not square, since round droplets would be ellipses.
    """
    if not all(math.isfinite(size) and size > 0 for size in (x_um, y_um)):
        return None
    if abs(x_um - y_um) > SQUARE_WITHIN * x_um:
        raise ImageError(
            f"{path} states pixels of {x_um:g} x {y_um:g} um, in which round droplets are ellipses: resample it to "
            "square pixels, or give the right size if its metadata are wrong, as in pixel_size_um=0.65.",
            "pixel_size_um",
        )
    return x_um


def by_resolution(x_um: float, y_um: float, path: Path) -> float | None:
    """The pixel size of a resolution tag where it is one of a microscope, else None."""
    if all(SMALLEST_UM <= size <= LARGEST_BY_RESOLUTION_UM for size in (x_um, y_um)):
        return stated(x_um, y_um, path)
    return None


def imagej_unit(description: str) -> str:
    """The unit of length in ImageJ's description of a TIFF, or ""."""
    match = re.search(r"^unit=(.*)$", description, flags=re.MULTILINE)
    return match.group(1).strip() if match else ""
