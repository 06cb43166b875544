"""Parts of large images, as the whole file has them."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

import pyrodrop
from pyrodrop.images import ImageError
from pyrodrop.workflows.tiles.grid import Box, tiles_of
from pyrodrop.workflows.tiles.large_image import open_large_image
from pyrodrop.workflows.tiles.survey import survey


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"compression": "zlib", "predictor": True, "tile": (64, 48)},
        {"compression": "lzw", "rowsperstrip": 37},
        {"tile": (32, 32)},
        {"rowsperstrip": 11},
        {"byteorder": ">"},
    ],
)
@pytest.mark.parametrize("samples", [1, 3])
def test_any_box_of_a_tiff_is_read_as_the_whole_file_is(how: dict[str, Any], samples: int, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 60_000, (123, 201, samples)[: 2 + (samples > 1)], dtype=np.uint16)
    path = tmp_path / "stored.tif"
    tifffile.imwrite(path, pixels, photometric="rgb" if samples > 1 else "minisblack", **how)
    plane = open_large_image(path)
    assert plane.size == (123, 201)
    for box in (Box(0, 123, 0, 201), Box(17, 90, 33, 150), Box(122, 123, 200, 201), Box(60, 70, 47, 49)):
        expected = pixels[box.top : box.bottom, box.left : box.right].reshape(*box.size, samples)
        np.testing.assert_array_equal(plane.read(box), expected)


def test_a_file_that_is_cut_short_while_it_is_measured_is_told_and_kills_nothing(tmp_path: Path) -> None:
    path = tmp_path / "shrinking.tif"
    tifffile.imwrite(path, np.zeros((123, 201), np.uint16))
    plane = open_large_image(path)
    os.truncate(path, 20_000)
    assert not plane.read(Box(0, 40, 0, 201)).any()
    with pytest.raises(ImageError, match="cut short"):
        plane.read(Box(0, 123, 0, 201))


def test_levels_are_those_of_read_image(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 4_000, (40, 60), dtype=np.uint16)
    for photometric in ("minisblack", "miniswhite"):
        tifffile.imwrite(tmp_path / "dim.tif", pixels, photometric=photometric)
        plane = open_large_image(tmp_path / "dim.tif")
        seen = survey(plane, tiles_of(plane.size, 32))
        whole = pyrodrop.read_image(tmp_path / "dim.tif", white="brightest").channel("gray")
        torch.testing.assert_close(plane.channel(Box(0, 40, 0, 60), seen.levels, "gray"), whole, atol=1e-6, rtol=0)
        np.testing.assert_allclose(seen.small, whole.numpy(), atol=1e-6)


@pytest.mark.parametrize(
    "numbers",
    [
        np.linspace(-0.2, 0.7, 2400, dtype=np.float32),
        np.linspace(-30.0, 900.0, 2400, dtype=np.float32),
        np.linspace(-9.0, -3.0, 2400, dtype=np.float32),
        np.full(2400, -5.0, np.float32),
        np.linspace(-300, 20_000, 2400).astype(np.int16),
        np.linspace(-30_000, 32_767, 2400).astype(np.int16),
    ],
)
def test_numbers_below_zero_are_read_as_the_whole_file_is(numbers: np.ndarray, tmp_path: Path) -> None:
    """As after a background was subtracted: the lowest of all becomes black, also in parts that do not have it."""
    pixels = numbers.reshape(40, 60)
    tifffile.imwrite(tmp_path / "subtracted.tif", pixels, photometric="minisblack")
    plane = open_large_image(tmp_path / "subtracted.tif")
    seen = survey(plane, tiles_of(plane.size, 32))
    image = pyrodrop.read_image(tmp_path / "subtracted.tif", white="brightest")
    whole = image.channel("gray")
    assert seen.levels.black == image.black_level < 0
    np.testing.assert_allclose(seen.small, whole.numpy(), atol=1e-6)
    torch.testing.assert_close(
        plane.channel(Box(20, 40, 8, 60), seen.levels, "gray"), whole[20:40, 8:60], atol=1e-6, rtol=0
    )


def test_a_page_of_a_stack_is_chosen_by_its_frame(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 40, 60), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", pixels, photometric="minisblack")
    np.testing.assert_array_equal(
        open_large_image(tmp_path / "stack.tif", 2).read(Box(5, 9, 7, 50))[..., 0], pixels[2, 5:9, 7:50]
    )
    np.testing.assert_array_equal(open_large_image(pixels, 1).read(Box(5, 9, 7, 50))[..., 0], pixels[1, 5:9, 7:50])
    with pytest.raises(ImageError, match="3 pictures"):
        open_large_image(tmp_path / "stack.tif")


def test_a_zarr_is_read_in_parts(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    pixels = np.random.default_rng(0).integers(0, 255, (90, 70), dtype=np.uint8)
    for path in ("plain.zarr", "ome.zarr/0"):
        array = zarr.create_array(str(tmp_path / path), shape=pixels.shape, chunks=(32, 32), dtype="uint8")
        array[:] = pixels
    zarr.open_group(str(tmp_path / "ome.zarr"), mode="a")
    for path in ("plain.zarr", "ome.zarr", "ome.zarr/0"):
        np.testing.assert_array_equal(
            open_large_image(tmp_path / path).read(Box(5, 80, 7, 60))[..., 0], pixels[5:80, 7:60]
        )


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_ome_zarr_gives_its_full_size_whatever_its_name_and_its_pixel_size(version: str, tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    pixels = np.random.default_rng(0).integers(0, 255, (2, 90, 70), dtype=np.uint8)
    group = zarr.open_group(str(tmp_path / "ome.zarr"), mode="w", zarr_format=2 if version == "0.4" else 3)
    for name, values in (("full", pixels), ("half", pixels[:, ::2, ::2])):
        group.create_array(name, shape=values.shape, chunks=(1, 32, 32), dtype="uint8")[:] = values
    axes = [{"name": "c"}, *({"name": name, "unit": "nanometer"} for name in "yx")]
    scales = (("full", [1, 500, 500]), ("half", [1, 1000, 1000]))
    told = [{"path": name, "coordinateTransformations": [{"type": "scale", "scale": scale}]} for name, scale in scales]
    known = {"multiscales": [{"axes": axes, "datasets": told}]}
    group.attrs.update(known if version == "0.4" else {"ome": known})
    plane = open_large_image(tmp_path / "ome.zarr", 1)
    np.testing.assert_array_equal(plane.read(Box(5, 80, 7, 60))[..., 0], pixels[1, 5:80, 7:60])
    assert plane.pixel_size_um == pytest.approx(0.5)


def test_a_zarr_group_of_anything_says_what_it_holds(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(tmp_path / "group.zarr"), mode="w")
    group.create_group("0").create_array("deeper", shape=(9, 9), dtype="uint8")
    group.create_array("picture", shape=(9, 9), dtype="uint8")
    with pytest.raises(ImageError, match="it holds 0, picture: give the path"):
        open_large_image(tmp_path / "group.zarr")
    group.attrs["multiscales"] = [{"datasets": 3}]
    with pytest.raises(ImageError, match="no Zarr that can be read"):
        open_large_image(tmp_path / "group.zarr")


def test_pages_that_are_not_pictures_are_refused(tmp_path: Path) -> None:
    """A frame would be another picture than that of the same number in ``read_image``."""
    pixels = np.random.default_rng(0).integers(0, 60_000, (3, 2, 16, 21), dtype=np.uint16)
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, pixels[:, 0], photometric="minisblack", ome=True, metadata={"axes": "ZYX"})
    np.testing.assert_array_equal(open_large_image(path, 2).read(Box(0, 16, 0, 21))[..., 0], pixels[2, 0])
    tifffile.imwrite(path, pixels, photometric="minisblack", ome=True, metadata={"axes": "ZCYX"})
    with pytest.raises(ImageError, match="holds 3 pictures in 6 pages"):
        open_large_image(path, 1)
    # Above 4 GB, ImageJ writes the tags of the first page alone.
    tifffile.imwrite(path, pixels[:, 0], photometric="minisblack", imagej=True, metadata={"axes": "ZYX"})
    with tifffile.TiffFile(path, mode="r+") as file:
        file.filehandle.seek(file.pages.first.offset + 2 + 12 * len(file.pages.first.tags))
        file.filehandle.write(bytes(4))
    with pytest.raises(ImageError, match="holds 3 pictures in 1 pages"):
        open_large_image(path)
    description = "ImageJ=1.54f\ncf=0\nc0=-32768.0\nc1=1.0\n"
    tifffile.imwrite(path, pixels[0, 0], metadata=None, description=description)
    with pytest.raises(ImageError, match="numbers with a sign"):
        open_large_image(path)
