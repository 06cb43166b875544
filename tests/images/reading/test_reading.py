"""Image files in every dress: the right levels, or one clear line that says why they would be wrong."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, TiffImagePlugin

from pyrodrop.images import ImageError, read_image

RANDOM = np.random.default_rng(0)
COLOURS = RANDOM.integers(0, 256, (12, 17, 3), dtype=np.uint8)
GRAY = RANDOM.integers(0, 256, (12, 17), dtype=np.uint8)
DEEP = RANDOM.integers(0, 65536, (12, 17), dtype=np.uint16)
ORIENTATION, PHOTOMETRIC = 274, 262


def tags(**values: Any) -> TiffImagePlugin.ImageFileDirectory_v2:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in values.items():
        directory[{"photometric": PHOTOMETRIC, "orientation": ORIENTATION}[name]] = value
    return directory


def assert_reads(path: Path, levels: np.ndarray, top: float = 255, white: float | None = None) -> None:
    image = read_image(path, white=white)
    expected = (levels.reshape(*levels.shape[:2], -1).astype(np.float64) / top).astype(np.float32)
    assert image.pixels.shape == expected.shape
    assert image.pixels.dtype == torch.float32
    np.testing.assert_allclose(image.pixels.numpy(), expected, rtol=2e-7, atol=0)


@pytest.mark.parametrize("name", ["i.png", "i.bmp", "i.tif", "i.webp"])
def test_lossless_formats_give_their_levels(tmp_path: Path, name: str) -> None:
    options = {"lossless": True, "exact": True} if name == "i.webp" else {}
    Image.fromarray(COLOURS).save(tmp_path / name, **options)
    assert_reads(tmp_path / name, COLOURS)


@pytest.mark.parametrize("name", ["i.png", "i.bmp", "i.tif"])
def test_gray_is_one_channel(tmp_path: Path, name: str) -> None:
    Image.fromarray(GRAY).save(tmp_path / name)
    assert_reads(tmp_path / name, GRAY)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff(tmp_path: Path, compression: str) -> None:
    Image.fromarray(COLOURS).save(tmp_path / "i.tif", compression=compression)
    assert_reads(tmp_path / "i.tif", COLOURS)


def test_jpeg_and_a_cameras_mpo_give_the_first_picture(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(32), np.arange(48)).astype(np.uint8)
    colours = np.stack([smooth, smooth + 20, smooth + 40], -1)
    first, second = Image.fromarray(colours), Image.fromarray(255 - colours)
    first.save(tmp_path / "i.jpg", quality=95)
    first.save(tmp_path / "mpo.jpg", format="MPO", save_all=True, append_images=[second], quality=95)
    for name in ("i.jpg", "mpo.jpg"):
        np.testing.assert_allclose(read_image(tmp_path / name).pixels * 255, colours, atol=6)


def test_gif_and_palette_are_looked_up(tmp_path: Path) -> None:
    few = Image.fromarray(COLOURS).quantize(16)
    few.save(tmp_path / "i.png")
    few.save(tmp_path / "i.gif")
    levels = np.array(few.convert("RGB"))
    assert_reads(tmp_path / "i.png", levels)
    assert_reads(tmp_path / "i.gif", levels)


def test_gray_palette_is_gray(tmp_path: Path) -> None:
    image = Image.fromarray(GRAY).convert("P")
    image.putpalette([255 - level for level in range(256) for _ in range(3)])
    image.save(tmp_path / "i.png")
    assert_reads(tmp_path / "i.png", 255 - GRAY)


def test_one_bit(tmp_path: Path) -> None:
    Image.fromarray(GRAY > 99).save(tmp_path / "i.png")
    assert_reads(tmp_path / "i.png", (GRAY > 99) * 255)


@pytest.mark.parametrize("name", ["i.png", "i.tif"])
def test_sixteen_bit_gray_keeps_its_bits(tmp_path: Path, name: str) -> None:
    Image.fromarray(DEEP).save(tmp_path / name)
    assert_reads(tmp_path / name, DEEP, 65535)


@pytest.mark.parametrize("name", ["i.png", "i.tif"])
def test_twelve_bits_in_sixteen_ask_for_the_white_level(tmp_path: Path, name: str) -> None:
    levels = DEEP // 16
    Image.fromarray(levels).save(tmp_path / name)
    with pytest.raises(ImageError, match=r"white level is uncertain.*white=4095.*white=65535"):
        read_image(tmp_path / name)
    assert_reads(tmp_path / name, levels, 4095, white=4095)
    assert_reads(tmp_path / name, levels, 65535, white=65535)
    with pytest.raises(ImageError, match="above the white level 1000"):
        read_image(tmp_path / name, white=1000)


@pytest.mark.parametrize("white", [0.0, -1.0, float("nan"), float("inf")])
def test_white_level_is_positive(tmp_path: Path, white: float) -> None:
    Image.fromarray(GRAY).save(tmp_path / "i.png")
    with pytest.raises(ImageError, match=r"white is .*give"):
        read_image(tmp_path / "i.png", white=white)


@pytest.mark.parametrize(("colour", "samples"), [(2, 3), (4, 2), (6, 4)])
def test_sixteen_bit_colours_of_a_png_keep_their_bits(
    tmp_path: Path, png: Callable[..., bytes], colour: int, samples: int
) -> None:
    levels = RANDOM.integers(0, 65536, (12, 17, samples), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    (tmp_path / "i.png").write_bytes(png(17, 12, 16, colour, rows))
    with Image.open(tmp_path / "i.png") as silently:
        assert silently.mode in ("RGB", "RGBA", "LA")  # 8 bits each, were it read by Pillow
    expected = levels.astype(np.float64)
    if samples % 2 == 0:
        opacity = expected[..., -1:] / 65535
        expected = expected[..., :-1] * opacity + 65535 * (1 - opacity)
    assert_reads(tmp_path / "i.png", expected, 65535)


def test_sixteen_bit_colours_of_twelve_bits_ask_for_the_white_level(tmp_path: Path, png: Callable[..., bytes]) -> None:
    levels = RANDOM.integers(0, 4096, (12, 17, 3), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    (tmp_path / "i.png").write_bytes(png(17, 12, 16, 2, rows))
    with pytest.raises(ImageError, match="white level is uncertain"):
        read_image(tmp_path / "i.png")
    assert_reads(tmp_path / "i.png", levels, 4095, white=4095)


def test_sixteen_bit_colours_with_a_transparent_one_are_refused(tmp_path: Path) -> None:
    header = b"\0\0\0\x03\0\0\0\x03\x10\x02\0\0\0"
    chunks = [(b"IHDR", header), (b"tRNS", bytes(6)), (b"IDAT", zlib.compress(3 * (b"\0" + bytes(18)))), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    (tmp_path / "i.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    with pytest.raises(ImageError, match="transparent"):
        read_image(tmp_path / "i.png")


def test_white_is_zero_is_turned_round(tmp_path: Path, tiff: Callable[..., bytes]) -> None:
    (tmp_path / "8.tif").write_bytes(tiff(17, 12, (8,), 0, 1, GRAY.tobytes()))
    assert_reads(tmp_path / "8.tif", 255 - GRAY)
    (tmp_path / "16.tif").write_bytes(tiff(17, 12, (16,), 0, 1, DEEP.astype("<u2").tobytes()))
    assert_reads(tmp_path / "16.tif", 65535 - DEEP, 65535)


def test_white_is_zero_in_floating_point_is_refused(tmp_path: Path, tiff: Callable[..., bytes]) -> None:
    data = np.linspace(0, 1, 9, dtype="<f4").tobytes()
    (tmp_path / "i.tif").write_bytes(tiff(3, 3, (32,), 0, 3, data))
    with pytest.raises(ImageError, match="white as 0"):
        read_image(tmp_path / "i.tif")


def test_whole_numbers_with_a_sign(tmp_path: Path, tiff: Callable[..., bytes]) -> None:
    (tmp_path / "8.tif").write_bytes(tiff(3, 3, (8,), 1, 2, bytes(range(120, 129))))
    with pytest.raises(ImageError, match="with a sign"):
        read_image(tmp_path / "8.tif")
    levels = np.linspace(0, 32767, 9).astype("<i2").reshape(3, 3)
    (tmp_path / "16.tif").write_bytes(tiff(3, 3, (16,), 1, 2, levels.tobytes()))
    assert_reads(tmp_path / "16.tif", levels, 32767)
    (tmp_path / "16.tif").write_bytes(tiff(3, 3, (16,), 1, 2, (-levels).tobytes()))
    with pytest.raises(ImageError, match="white level is uncertain"):
        read_image(tmp_path / "16.tif")


def test_thirty_two_bits(tmp_path: Path, tiff: Callable[..., bytes]) -> None:
    levels = np.linspace(0, 2**32 - 1, 9).astype("<u4").reshape(3, 3)
    (tmp_path / "i.tif").write_bytes(tiff(3, 3, (32,), 1, 1, levels.tobytes()))
    assert_reads(tmp_path / "i.tif", levels, 2**32 - 1)


def test_floating_point(tmp_path: Path) -> None:
    levels = RANDOM.random((12, 17), dtype=np.float32)
    Image.fromarray(levels).save(tmp_path / "i.tif")
    assert_reads(tmp_path / "i.tif", levels, 1)
    Image.fromarray(levels * 500).save(tmp_path / "i.tif")
    with pytest.raises(ImageError, match="give the white level"):
        read_image(tmp_path / "i.tif")
    assert_reads(tmp_path / "i.tif", levels * 500, 500, white=500)


@pytest.mark.parametrize(("bad", "says"), [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "NaN")])
def test_impossible_pixels_are_refused(tmp_path: Path, bad: float, says: str) -> None:
    levels = np.full((4, 4), 0.5, dtype=np.float32)
    levels[1, 2] = bad
    Image.fromarray(levels).save(tmp_path / "i.tif")
    with pytest.raises(ImageError, match=says):
        read_image(tmp_path / "i.tif")


def with_orientation(image: Image.Image, path: Path) -> None:
    if path.suffix == ".tif":
        image.save(path, tiffinfo=tags(orientation=6))
    else:
        exif = Image.Exif()
        exif[ORIENTATION] = 6
        image.save(path, exif=exif, **({"quality": 100} if path.suffix == ".jpg" else {}))


@pytest.mark.parametrize("name", ["i.png", "i.tif", "i.jpg"])
def test_orientation_is_applied(tmp_path: Path, name: str) -> None:
    smooth = np.add.outer(5 * np.arange(16), 3 * np.arange(24)).astype(np.uint8)
    with_orientation(Image.fromarray(smooth), tmp_path / name)
    upright = read_image(tmp_path / name).pixels[..., 0] * 255
    np.testing.assert_allclose(upright, np.rot90(smooth, -1), atol=4 if name == "i.jpg" else 1e-4)


@pytest.mark.parametrize("name", ["i.png", "i.tif"])
def test_orientation_of_sixteen_bits(tmp_path: Path, name: str) -> None:
    with_orientation(Image.fromarray(DEEP), tmp_path / name)
    assert_reads(tmp_path / name, np.rot90(DEEP, -1), 65535)


def test_opaque_alpha_is_dropped_and_transparent_is_white(tmp_path: Path) -> None:
    alpha = np.full((12, 17), 255, dtype=np.uint8)
    Image.fromarray(np.dstack([COLOURS, alpha])).save(tmp_path / "opaque.png")
    assert_reads(tmp_path / "opaque.png", COLOURS)
    alpha[:, 5:] = 0
    expected = COLOURS.copy()
    expected[:, 5:] = 255
    Image.fromarray(np.dstack([COLOURS, alpha])).save(tmp_path / "holes.png")
    assert_reads(tmp_path / "holes.png", expected)
    Image.fromarray(np.dstack([GRAY, alpha])).save(tmp_path / "gray.png")
    assert_reads(tmp_path / "gray.png", np.where(alpha == 0, 255, GRAY))


def test_transparent_palette_entry_is_white(tmp_path: Path) -> None:
    few = Image.fromarray(COLOURS).quantize(16)
    few.save(tmp_path / "i.png", transparency=3)
    expected = np.array(few.convert("RGB"))
    expected[np.array(few) == 3] = 255
    assert_reads(tmp_path / "i.png", expected)


def test_transparent_level_of_sixteen_bits_is_refused(tmp_path: Path) -> None:
    Image.fromarray(DEEP).save(tmp_path / "i.png", transparency=0)
    with pytest.raises(ImageError, match="transparent"):
        read_image(tmp_path / "i.png")


def test_cmyk_becomes_colours(tmp_path: Path) -> None:
    inks = np.zeros((8, 8, 4), dtype=np.uint8)
    inks[..., 1], inks[..., 2] = 255, 255  # magenta and yellow make red
    Image.fromarray(inks, "CMYK").save(tmp_path / "i.tif")
    Image.fromarray(inks, "CMYK").save(tmp_path / "i.jpg", quality=100)
    for name in ("i.tif", "i.jpg"):
        mean = read_image(tmp_path / name).pixels.mean((0, 1))
        np.testing.assert_allclose(mean, [1, 0, 0], atol=0.02)


def test_cielab_file_is_refused(tmp_path: Path) -> None:
    Image.fromarray(COLOURS, "LAB").save(tmp_path / "i.tif")
    with pytest.raises(ImageError, match="LAB"):
        read_image(tmp_path / "i.tif")


@pytest.mark.parametrize("name", ["i.gif", "i.png", "i.tif", "i.webp"])
def test_of_several_pictures_one_is_chosen(tmp_path: Path, name: str) -> None:
    first, second = Image.fromarray(COLOURS), Image.fromarray(255 - COLOURS)
    first.save(tmp_path / name, save_all=True, append_images=[second], **({"lossless": True} if "webp" in name else {}))
    for frame, levels in enumerate((COLOURS, 255 - COLOURS)):
        pixels = read_image(tmp_path / name, frame=frame).pixels * 255
        # GIF has a palette, and lossy it is then.
        np.testing.assert_allclose(pixels, levels, atol=80 if name == "i.gif" else 1e-3)
    with pytest.raises(ImageError, match=r"no frame 2: it holds frames 0 to 1"):
        read_image(tmp_path / name, frame=2)
    with pytest.raises(ImageError, match=r"holds 2 pictures.*, 0 to 1: choose one, as in frame=0"):
        read_image(tmp_path / name)


@pytest.mark.parametrize(
    ("unit", "resolution", "expected"),
    [
        (2, 50_800.0, 0.5),
        (3, 20_000.0, 0.5),
        (2, 72.0, None),
        (2, 300.0, None),
        (2, 1e9, None),
        (1, 50_800.0, None),
    ],
)
def test_pixel_size_of_a_tiff(tmp_path: Path, unit: int, resolution: float, expected: float | None) -> None:
    Image.fromarray(GRAY).save(
        tmp_path / "i.tif", resolution_unit=unit, x_resolution=resolution, y_resolution=resolution
    )
    assert read_image(tmp_path / "i.tif").pixel_size_um == (expected and pytest.approx(expected))


@pytest.mark.parametrize(
    ("dpi", "expected"), [((50_800, 50_800), 0.5), ((72, 72), None), ((25_400, 300), None), ((0, 0), None)]
)
def test_pixel_size_of_a_png(tmp_path: Path, dpi: tuple[int, int], expected: float | None) -> None:
    Image.fromarray(GRAY).save(tmp_path / "i.png", dpi=dpi)
    assert read_image(tmp_path / "i.png").pixel_size_um == (expected and pytest.approx(expected))


def test_pixels_that_are_not_square_are_refused(tmp_path: Path) -> None:
    Image.fromarray(GRAY).save(tmp_path / "i.png", dpi=(50_800, 25_400))
    with pytest.raises(ImageError, match=r"pixels of 0\.5 x 1 um.*ellipses"):
        read_image(tmp_path / "i.png")
    assert read_image(tmp_path / "i.png", pixel_size_um=0.7).pixel_size_um == 0.7


def test_a_pixel_size_given_replaces_that_of_the_file(tmp_path: Path) -> None:
    Image.fromarray(GRAY).save(tmp_path / "i.png", dpi=(50_800, 50_800))
    assert read_image(tmp_path / "i.png", 0.5, pixel_size_um=2).pixel_size_um == pytest.approx(2 * 17 / 8)


@pytest.mark.parametrize("size", [0, -1, float("nan"), float("inf"), "wide"])
def test_a_pixel_size_is_positive(tmp_path: Path, size: float) -> None:
    Image.fromarray(GRAY).save(tmp_path / "i.png")
    with pytest.raises(ImageError, match=r"pixel_size_um is .*give a positive number"):
        read_image(tmp_path / "i.png", pixel_size_um=size)


@pytest.mark.parametrize("frame", [-1, 1.5, "first", True])
def test_a_frame_is_a_whole_number(tmp_path: Path, frame: int) -> None:
    Image.fromarray(GRAY).save(tmp_path / "i.png")
    with pytest.raises(ImageError, match=r"frame is .*give a whole number"):
        read_image(tmp_path / "i.png", frame=frame)


@pytest.mark.parametrize("name", ["i.png", "i.tif", "i.jpg", "i.bmp"])
def test_one_picture_is_frame_zero(tmp_path: Path, name: str) -> None:
    Image.fromarray(GRAY).save(tmp_path / name)
    assert torch.equal(read_image(tmp_path / name, frame=0).pixels, read_image(tmp_path / name).pixels)
    with pytest.raises(ImageError, match="holds one picture, frame 0"):
        read_image(tmp_path / name, frame=1)
