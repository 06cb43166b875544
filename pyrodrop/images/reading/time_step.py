"""How long it is from one picture of a stack to the next, by what its file says; and whether it is one in time."""

import math
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pyrodrop.images.errors import ImageError
from pyrodrop.images.reading.image_file import NIKON_MARKS, TIFF_MARKS

_SECONDS = {
    "s": 1.0,
    "sec": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}


def time_step_s(path: Path) -> float | None:
    """Seconds between the pictures of a file, by OME, ImageJ or Nikon metadata; None where they do not say.

    Raises:
        ImageError: the pictures lie along more than one axis, as times and depths, and which are successive is unclear.
    """
    with path.open("rb") as stream:
        mark = stream.read(8)
    if mark.startswith(TIFF_MARKS):
        return _of_tiff(path)
    if mark.startswith(NIKON_MARKS):
        return _of_nikon(path)
    return None


def _of_tiff(path: Path) -> float | None:
    from tifffile import TiffFile

    with TiffFile(path, _multifile=False) as tiff:
        series = tiff.series[0]
        axes = dict(zip(series.axes, series.shape, strict=False))
        _check_axes({axis: length for axis, length in axes.items() if axis not in "YXCS"}, path)
        if tiff.is_ome and tiff.ome_metadata:
            return _of_ome(tiff.ome_metadata)
        if tiff.is_imagej:
            return _of_imagej(tiff.imagej_metadata or {})
    return None


def _of_ome(text: str) -> float | None:
    try:
        pixels = ElementTree.fromstring(text).find("{*}Image/{*}Pixels")
    except ElementTree.ParseError:
        return None
    if pixels is None:
        return None
    return _positive(pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s"))


def _of_imagej(metadata: dict[str, Any]) -> float | None:
    step = _positive(metadata.get("finterval"), str(metadata.get("tunit", "sec")))
    if step is None:
        rate = _positive(metadata.get("fps"), "s")
        return None if rate is None else 1 / rate
    return step


def _of_nikon(path: Path) -> float | None:
    try:
        import nd2
    except ImportError:  # whoever reads the pixels says so
        return None
    with nd2.ND2File(path) as file:
        _check_axes({axis: length for axis, length in dict(file.sizes).items() if axis not in "YXCS"}, path)
        for loop in file.experiment or []:
            parameters = loop.parameters
            period = getattr(parameters, "periodMs", None)
            average = getattr(getattr(parameters, "periodDiff", None), "avg", None)
            for value in (average, period):
                step = _positive(value, "ms")
                if step is not None:
                    return step
    return None


def _check_axes(axes: dict[str, int], path: Path) -> None:
    several = {axis: length for axis, length in axes.items() if length > 1}
    if len(several) > 1:
        told = " x ".join(f"{axis} {length}" for axis, length in several.items())
        raise ImageError(
            f"{path} holds pictures along several axes ({told}): save the one that is time, at one depth and place, as "
            "a stack of its own."
        )


def _positive(value: object, unit: str) -> float | None:
    """A number of seconds, or None where it is none or its unit is not known."""
    factor = _SECONDS.get(re.sub(r"[\s.]", "", unit.lower()))
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number * factor if factor and math.isfinite(number) and number > 0 else None
