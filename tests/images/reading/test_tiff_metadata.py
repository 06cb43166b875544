"""What a TIFF says beside its pixels: not believed where it is of another picture than the file holds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from pyrodrop.images import ImageError, read_image

STACK = np.random.default_rng(0).integers(0, 65536, (2, 4, 2, 16, 21), dtype=np.uint16)  # T, Z, C, Y, X


def write(path: Path, levels: NDArray[Any], **options: Any) -> None:
    tifffile.imwrite(path, levels, photometric="minisblack", **options)


def edited(path: Path, levels: NDArray[Any], *tags: tuple[int, str, int, Any, bool]) -> None:
    """The file as another program leaves that changes the picture and keeps its description."""
    with tifffile.TiffFile(path) as file:
        description = file.pages.first.description
    tifffile.imwrite(path, levels, description=description.encode(), metadata=None, software="another", extratags=tags)


def test_a_shape_that_another_program_left_is_not_believed(tmp_path: Path) -> None:
    """What tifffile notes of its file is in the way once that is cropped, and holds nothing else."""
    path = tmp_path / "i.tif"
    for levels, kind in (
        (STACK[0, 0], "minisblack"),
        (STACK[0, :, 0], "minisblack"),
        (np.moveaxis(STACK[0, :3, 0], 0, 2), "rgb"),
    ):
        tifffile.imwrite(path, levels, photometric=kind)
        edited(path, STACK[0, 0, 0, :8, :10])
        np.testing.assert_allclose(read_image(path).pixels[..., 0] * 65535, STACK[0, 0, 0, :8, :10], rtol=2e-7)


def test_a_shape_that_tifffile_left_itself_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "i.tif"
    write(path, STACK[0, 0, 0])
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages.first.tags["ImageWidth"].overwrite(20)
    with pytest.raises(ImageError, match="damaged"):
        read_image(path)


def test_metadata_of_ome_that_another_program_left_are_refused(tmp_path: Path) -> None:
    """Its pixel size would be another: the picture was scaled, or cropped, and nobody knows which."""
    path = tmp_path / "i.ome.tif"
    for levels in (STACK[0, 0, 0, :8, :10], STACK[0, 0, 0].T, np.kron(STACK[0, 0, 0], np.ones((2, 2), np.uint16))):
        write(path, STACK[0, 0, 0], ome=True, metadata={"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5})
        edited(path, levels)
        height, width = levels.shape
        with pytest.raises(ImageError, match=f"has {width} x {height} pixels, and 21 x 16 by its OME metadata"):
            read_image(path)


def test_numbers_with_a_sign_that_imagej_stores_without(tmp_path: Path) -> None:
    path = tmp_path / "i.tif"
    write(path, STACK[0, 0], imagej=True, metadata={"axes": "CYX"})
    levels = STACK[0, 0].astype(np.int32) // 2
    description = "ImageJ=1.54f\nimages=2\nchannels=2\ncf=0\nc0=-32768.0\nc1=1.0\nvunit=Gray Value\n"
    for signed, shift in ((True, 2**15), (False, 0)):
        tifffile.imwrite(
            path,
            (levels + shift).astype(np.uint16),
            photometric="minisblack",
            metadata=None,
            description=description if signed else description.replace("cf=0", "cf=20"),
        )
        pixels = read_image(path).pixels
        np.testing.assert_allclose(pixels, np.moveaxis(levels, 0, 2) / (32767 if signed else 65535), rtol=2e-7)
    tifffile.imwrite(path, levels.astype(np.uint16), photometric="minisblack", metadata=None, description=description)
    with pytest.raises(ImageError, match="white level is uncertain"):
        read_image(path)
