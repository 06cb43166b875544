"""The array of a Zarr folder; of an OME-Zarr, which holds a picture in several sizes, the one in full size."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from pyrodrop.images import ImageError

_MICROMETRES = {"micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3, "meter": 1e6}


def open_zarr(path: Path) -> tuple[Any, float | None]:
    """An array that gives parts of itself, and micrometres a pixel where an OME-Zarr says so.

    The first of the sizes that the metadata name is the full one (OME-Zarr 0.4 and 0.5); without metadata, the array
    named 0.

    Raises:
        ImageError: the package zarr is not installed, or there is no such array.
    """
    try:
        import zarr
    except ImportError:
        raise ImageError(f"{path} is a folder; if it is a Zarr, install zarr (pip install zarr) to read it.") from None
    try:
        opened: Any = zarr.open(str(path), mode="r")
        if hasattr(opened, "shape"):
            return opened, None
        sizes = _sizes(dict(opened.attrs))
        array: Any = None
        with suppress(KeyError):
            array = opened[sizes["datasets"][0]["path"] if sizes else "0"]
    except Exception as error:  # metadata may be anything
        raise ImageError(f"{path} is no Zarr that can be read ({error}): give a TIFF or a Zarr array.") from error
    if hasattr(array, "shape"):
        return array, _pixel_size_um(sizes) if sizes else None
    named = ", ".join(sorted(name for name, _ in opened.members())[:10]) or "nothing"
    raise ImageError(f"{path} is a Zarr group, not an OME-Zarr; it holds {named}: give the path of an array within it.")


def _sizes(attributes: dict[str, Any]) -> dict[str, Any] | None:
    """What an OME-Zarr says of its first picture."""
    pictures = attributes.get("ome", attributes).get("multiscales")
    return dict(pictures[0]) if pictures else None


def _pixel_size_um(sizes: dict[str, Any]) -> float | None:
    """Of square pixels, where axes and scale are stated as they should be."""
    with suppress(KeyError, TypeError, ValueError, IndexError):
        down, along = (_MICROMETRES[axis["unit"]] for axis in sizes["axes"][-2:])
        changes = [*sizes["datasets"][0]["coordinateTransformations"], *sizes.get("coordinateTransformations", [])]
        for change in changes:
            if change["type"] == "scale":
                down, along = down * float(change["scale"][-2]), along * float(change["scale"][-1])
        if abs(down - along) <= 1e-3 * along and 0 < along < float("inf"):
            return along
    return None
