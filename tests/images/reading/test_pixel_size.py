"""Micrometres a pixel from the metadata of TIFFs: read where they are stated, and no printing resolution believed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from pyrodrop.images import ImageError, read_image
from pyrodrop.images.reading.pixel_size import micrometres

LEVELS = np.random.default_rng(0).integers(0, 256, (9, 12), dtype=np.uint8)


def size_of(path: Path, **options: Any) -> float | None:
    tifffile.imwrite(path, LEVELS, photometric="minisblack", **options)
    return read_image(path).pixel_size_um


@pytest.mark.parametrize(
    ("size", "unit", "expected"),
    [
        (0.65, "µm", 0.65),
        (650.0, "nm", 0.65),
        (0.00065, "mm", 0.65),
        (45.0, "µm", 45.0),  # stated on purpose, so of any size
        (1.0, "pixel", None),
        (1.0, "reference frame", None),
        (0.0, "µm", None),
        (-1.0, "µm", None),
    ],
)
def test_pixel_size_of_ome(tmp_path: Path, size: float, unit: str, expected: float | None) -> None:
    stated = {f"PhysicalSize{axis}": size for axis in "XY"} | {f"PhysicalSize{axis}Unit": unit for axis in "XY"}
    found = size_of(tmp_path / "i.ome.tif", ome=True, metadata={"axes": "YX", **stated})
    assert found == (expected and pytest.approx(expected))


def test_ome_without_a_unit_is_in_micrometres(tmp_path: Path) -> None:
    stated = {"PhysicalSizeX": 0.3, "PhysicalSizeY": 0.3}
    assert size_of(tmp_path / "i.ome.tif", ome=True, metadata={"axes": "YX", **stated}) == pytest.approx(0.3)


def test_ome_counts_before_the_resolution(tmp_path: Path) -> None:
    path = tmp_path / "i.ome.tif"
    resolution = {"resolution": (50_800, 50_800), "resolutionunit": "INCH"}
    stated = {"PhysicalSizeX": 0.3, "PhysicalSizeY": 0.3}
    assert size_of(path, ome=True, metadata={"axes": "YX", **stated}, **resolution) == pytest.approx(0.3)
    assert size_of(path, ome=True, metadata={"axes": "YX"}, **resolution) is None


@pytest.mark.parametrize(
    ("an_unit", "unit", "expected"),
    [
        (2.0, "micron", 0.5),
        (2.0, "um", 0.5),
        (2.0, "\\u00B5m", 0.5),
        (0.02, "um", 50.0),
        (2000.0, "mm", 0.5),
        (72.0, "inch", None),
        (50_800.0, "inch", 0.5),
        (1.0, "pixel", None),
        (2.0, "", None),
    ],
)
def test_pixel_size_of_imagej(tmp_path: Path, an_unit: float, unit: str, expected: float | None) -> None:
    metadata = {"unit": unit} if unit else {}
    found = size_of(tmp_path / "i.tif", imagej=True, resolution=(an_unit, an_unit), metadata=metadata)
    assert found == (expected and pytest.approx(expected, rel=1e-4))


@pytest.mark.parametrize("dpi", [72, 96, 150, 300, 600, 1200])
def test_a_printing_resolution_is_no_pixel_size(tmp_path: Path, dpi: int) -> None:
    assert size_of(tmp_path / "i.tif", resolution=(dpi, dpi), resolutionunit="INCH") is None


@pytest.mark.parametrize(
    "options",
    [
        {"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.6}},
        {"imagej": True, "resolution": (2, 3), "metadata": {"unit": "um"}},
        {"resolution": (50_800, 25_400), "resolutionunit": "INCH"},
    ],
    ids=["ome", "imagej", "resolution"],
)
def test_pixels_that_are_not_square_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ImageError, match="ellipses"):
        size_of(tmp_path / "i.tif", **options)
    assert read_image(tmp_path / "i.tif", pixel_size_um=0.7).pixel_size_um == 0.7


def test_units_of_length() -> None:
    assert micrometres("µm") == micrometres("μm") == micrometres(" Micron ") == micrometres("\\u00B5m") == 1
    assert micrometres("Å") == 1e-4
    assert micrometres("parsec") is None
