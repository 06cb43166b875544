"""What is no image, cut, damaged or too large: one clear line, and nothing else."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pyrodrop.images import ImageError, read_image


def test_what_is_no_image_file(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no image", encoding="utf-8")
    (tmp_path / "page.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", encoding="utf-8")
    for name, says in [
        ("missing.png", "does not exist"),
        ("", "is a folder"),
        ("empty.png", "is empty"),
        ("text.png", "not an image"),
        ("page.eps", "not an image"),
        ("x" * 400, "file name|does not exist"),
        ("nul\0.png", "file name|does not exist"),
    ]:
        with pytest.raises(ImageError, match=says) as caught:
            read_image(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_one_pixel_is_no_image(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size).save(tmp_path / "i.png")
    with pytest.raises(ImageError, match="at least 2 x 2"):
        read_image(tmp_path / "i.png")
    Image.new("RGB", (2, 2)).save(tmp_path / "i.png")
    assert read_image(tmp_path / "i.png").size == (2, 2)


@pytest.mark.parametrize("side", [12_000, 1_000_000])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused_unread(tmp_path: Path, png: Callable[..., bytes], side: int) -> None:
    (tmp_path / "i.png").write_bytes(png(side, side, 8, 0, b""))
    with pytest.raises(ImageError, match="more pixels than the bound"):
        read_image(tmp_path / "i.png")


def test_a_tiff_that_declares_more_than_it_can_hold_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "i.tif"
    tifffile.imwrite(path, np.zeros((5000, 4000), np.uint8), compression="zlib", metadata=None)
    assert path.stat().st_size < 40_000
    with pytest.raises(ImageError, match="decompression bomb"):
        read_image(path)
    for side, says in ((60_000, "more pixels than the bound"), (1, "at least 2 x 2")):
        with tifffile.TiffFile(path, mode="r+") as file:
            file.pages.first.tags["ImageWidth"].overwrite(side)
        with pytest.raises(ImageError, match=says):
            read_image(path)


def test_an_even_picture_that_fits_into_memory_is_read(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "i.tif", np.full((2000, 2000), 99, np.uint8), compression="zlib")
    assert read_image(tmp_path / "i.tif").size == (2000, 2000)


def test_a_bmp_whose_header_does_not_fit_its_data_is_refused(tmp_path: Path) -> None:
    whole = saved(tmp_path, "i.bmp")
    for place, value in ((18, 72), (18, 96), (22, 40), (22, 90)):  # the width and the height, 80 and 64
        (tmp_path / "i.bmp").write_bytes(whole[:place] + value.to_bytes(4, "little") + whole[place + 4 :])
        with pytest.raises(ImageError, match="damaged"):
            read_image(tmp_path / "i.bmp")


def saved(folder: Path, name: str) -> bytes:
    """A photograph-like file in one of the formats."""
    rows, columns = np.mgrid[:64, :80]
    smooth = 100 + 50 * np.sin(rows / 7) + 40 * np.cos(columns / 5)
    levels = np.clip(np.stack([smooth, smooth + 20, smooth - 20], -1), 0, 255).astype(np.uint8)
    if name in WRITTEN_BY_TIFFFILE:
        tifffile.imwrite(folder / name, levels, photometric="rgb", **WRITTEN_BY_TIFFFILE[name])
        return (folder / name).read_bytes()
    options: dict[str, Any] = {"lzw.tif": {"compression": "tiff_lzw"}, "progressive.jpg": {"progressive": True}}
    Image.fromarray(levels).save(folder / name, **options.get(name, {}))
    return (folder / name).read_bytes()


WRITTEN_BY_TIFFFILE: dict[str, dict[str, Any]] = {
    "tiles.ome.tif": {"ome": True, "compression": "zlib", "tile": (32, 32), "metadata": {"axes": "YXS"}},
    "imagej.tif": {"imagej": True},
}
FILES = ["i.png", "i.jpg", "progressive.jpg", "i.tif", "lzw.tif", "i.bmp", "i.gif", "i.webp", *WRITTEN_BY_TIFFFILE]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore:Truncated File Read", "ignore:Corrupt EXIF data")
def test_a_cut_file_is_refused(tmp_path: Path, name: str) -> None:
    data = saved(tmp_path, name)
    for part in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97):
        (tmp_path / name).write_bytes(data[: int(part * len(data))])
        with pytest.raises(ImageError) as caught:
            read_image(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")
@given(st.sampled_from(FILES), st.data())
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
def test_damage_never_raises_anything_else(tmp_path: Path, name: str, data: st.DataObject) -> None:
    content = bytearray(saved(tmp_path, name))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / name).write_bytes(content)
    message = ""
    try:
        image = read_image(tmp_path / name)
        assert bool(image.pixels.isfinite().all())
    except ImageError as error:
        message = str(error)
    assert "\n" not in message


def test_a_changed_byte_of_png_data_is_seen(tmp_path: Path) -> None:
    data = bytearray(saved(tmp_path, "i.png"))
    data[len(data) // 2] ^= 0x10
    (tmp_path / "i.png").write_bytes(data)
    with pytest.raises(ImageError, match="damaged"):
        read_image(tmp_path / "i.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    saved(tmp_path, "i.png")
    (tmp_path / "i.png").chmod(0)
    with pytest.raises(ImageError, match="permission"):
        read_image(tmp_path / "i.png")


def test_a_jpeg_2000_is_not_taken_for_a_nikon_file(tmp_path: Path) -> None:
    """Early ND2 files begin as one."""
    Image.new("RGB", (9, 12)).save(tmp_path / "i.jp2")
    with pytest.raises(ImageError, match="JPEG 2000 file, which is not read: save it as PNG or TIFF"):
        read_image(tmp_path / "i.jp2")
    (tmp_path / "i.jp2").rename(tmp_path / "i.ND2")
    with pytest.raises(ImageError, match="legacy ND2"):
        read_image(tmp_path / "i.ND2")
