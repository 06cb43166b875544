"""Where a command looks in an image: a mask of a file, rectangles to look at, and rectangles to leave out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from pyrodrop.images.reading.mask_file import REGIONS, read_mask
from pyrodrop.images.scaling import scaled_size
from pyrodrop.workflows.measuring.looked_at import LEAST_PIXELS
from pyrodrop.workflows.settings import SettingError

Mask = NDArray[np.bool_]
Rectangle = Sequence[int]

# The settings of what counts, see ``pyrodrop.measure``; the radius in px, or in micrometres by these units.
RULES = ("radius", "polarity", "border")
_UM = ("um", "µm", "μm")


class LookSettings(TypedDict, total=False):
    """What of an image is looked at; all lengths in px of its file.

    mask: a file, see ``read_mask``. region: rectangles to look at, x and y of the upper left pixel, width and height
    each. exclude: rectangles to leave out.
    """

    mask: str | None
    region: Sequence[Rectangle] | None
    exclude: Sequence[Rectangle] | None


def split_look(settings: Mapping[str, Any]) -> tuple[LookSettings, dict[str, Any]]:
    """The settings of a command as those of where to look and all others."""
    others, look = dict(settings), LookSettings()
    if "mask" in settings:
        look["mask"] = others.pop("mask")
    if "region" in settings:
        look["region"] = others.pop("region")
    if "exclude" in settings:
        look["exclude"] = others.pop("exclude")
    return look, others


def check_look(look: LookSettings) -> None:
    """Raise ``SettingError`` for rectangles that no image has, and a file that is not there."""
    for name, rectangles in (("region", look.get("region")), ("exclude", look.get("exclude"))):
        for rectangle in rectangles or ():
            numbers = isinstance(rectangle, Sequence) and len(rectangle) == 4
            if not numbers or any(isinstance(v, bool) or not isinstance(v, int) for v in rectangle):
                raise SettingError(
                    f"{name} is {rectangle!r}, expected four whole numbers of px: x, y, width, height", name
                )
            if min(rectangle[2:]) < 1:
                raise SettingError(
                    f"{name} is {' '.join(map(str, rectangle))}, whose width or height is no pixel; give x, y, width "
                    "and height in px",
                    name,
                )
    path = look.get("mask")
    if path is not None and not Path(path).is_file():
        raise SettingError(
            f"mask {path} is no file; give an image that is not 0 where to look, or ImageJ's regions", "mask"
        )


def mask_of(look: LookSettings, size: tuple[int, int], scale: float = 1.0) -> Mask | None:
    """Where an image is to be looked at, (H, W): within the mask, in any of the regions, in none of the excluded ones.

    Args:
        look: the settings.
        size: height and width of the image as it is measured.
        scale: size of that over the size of the file, which the settings are of.

    Returns:
        None where nothing is said.

    Raises:
        SettingError: a mask of another size than the image's, rectangles outside of it, or next to nothing left.
        ImageError: the file of the mask cannot be read.
    """
    check_look(look)
    path, regions, excluded = look.get("mask"), look.get("region"), look.get("exclude")
    if path is None and not regions and not excluded:
        return None
    looked_at = np.ones(size, bool) if path is None else _of_file(Path(str(path)), size, scale)
    if regions:
        within = np.zeros(size, bool)
        for rectangle in regions:
            within[_pixels("region", rectangle, size, scale)] = True
        looked_at &= within
    for rectangle in excluded or ():
        looked_at[_pixels("exclude", rectangle, size, scale)] = False
    if (left := int(looked_at.sum())) < LEAST_PIXELS:
        given = [name for name in LookSettings.__annotations__ if look.get(name)]
        raise SettingError(
            f"{', '.join(given)}: {left} of {looked_at.size} pixels are left to be looked at, expected at least "
            f"{LEAST_PIXELS}; a mask is white, and a region lies, where to look",
            *given,
        )
    return looked_at


def look_in_summary(look: LookSettings, looked_at: Mask, pixel_size_um: float | None) -> dict[str, Any]:
    """What a summary says of where was looked, (H, W): the area that the droplets of a count have their centres in."""
    area_px = int(looked_at.sum())
    said: dict[str, Any] = {"share": round(area_px / looked_at.size, 6), "area_px": area_px}
    if pixel_size_um is not None:
        said["area_um2"] = area_px * pixel_size_um**2
    return said | {name: value for name, value in look.items() if value}


def radius_in_px(radius: Sequence[float | str] | None, pixel_size_um: float | None) -> tuple[float, float] | None:
    """Limits of a radius, numbers of px or words as 2.5um, in px of an image whose pixels have this size.

    Raises:
        SettingError: for words that are no lengths, and micrometres where the size of a pixel is not known.
    """
    if radius is None:
        return None
    limits = []
    for value in radius:
        text = str(value)
        unit = next((unit for unit in _UM if text.endswith(unit)), "")
        try:
            length = float(text.removesuffix(unit or "px"))
        except ValueError:
            raise SettingError(
                f"radius is {text!r}, expected a number of px, or of micrometres as 2.5um, 0 and inf for no limit",
                "radius",
            ) from None
        if unit and pixel_size_um is None:
            raise SettingError(
                f"radius is {text}, but the size of a pixel is not known; give pixel_size_um, or the radius in px",
                "radius",
                "pixel_size_um",
            )
        limits.append(length / pixel_size_um if unit and pixel_size_um is not None else length)
    return limits[0], limits[1]


def _of_file(path: Path, size: tuple[int, int], scale: float) -> Mask:
    """The mask of a file, for an image of this size."""
    file = tuple(round(side / scale) for side in size) if path.suffix.lower() in REGIONS else size
    mask = read_mask(path, (file[0], file[1]))
    if mask.shape == size:
        return mask
    if mask.shape != file and scaled_size((mask.shape[0], mask.shape[1]), scale) != size:
        raise SettingError(
            f"mask {path} has {mask.shape[1]} x {mask.shape[0]} px, expected those of the image, {size[1]} x {size[0]}",
            "mask",
        )
    rows, columns = (((np.arange(s) + 0.5) * m / s).astype(int) for s, m in zip(size, mask.shape, strict=True))
    return np.asarray(mask[rows[:, None], columns])


def _pixels(name: str, rectangle: Rectangle, size: tuple[int, int], scale: float) -> tuple[slice, slice]:
    """Rows and columns of a rectangle; what of it lies beyond the image is left out."""
    x, y, width, height = (scale * number for number in rectangle)
    along, down = (
        slice(*(int(np.clip(round(place), 0, side)) for place in (start, start + length)))
        for start, length, side in ((x, width, size[1]), (y, height, size[0]))
    )
    if along.start >= along.stop or down.start >= down.stop:
        raise SettingError(
            f"{name} {' '.join(map(str, rectangle))} lies outside of the image, which has {round(size[1] / scale)} x "
            f"{round(size[0] / scale)} px; give x, y, width and height in px",
            name,
        )
    return down, along
