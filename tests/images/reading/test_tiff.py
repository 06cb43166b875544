"""TIFF in every layout: what tifffile writes of a known array is read back, or refused with the reason."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from pyrodrop.images import ImageError, read_image

RANDOM = np.random.default_rng(0)
WHITE = {"u1": 2**8 - 1, "u2": 2**16 - 1, "u4": 2**32 - 1, "f4": 1, "f8": 1, "f2": 1}


def noise(shape: tuple[int, ...], kind: str = "u2") -> NDArray[Any]:
    if kind.startswith("f"):
        return RANDOM.random(shape).astype(kind)
    return RANDOM.integers(0, WHITE[kind], shape, dtype=kind, endpoint=True)


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([3 * rows, 2 * columns + 20, rows + columns], -1).astype(np.uint8)


def assert_reads(path: Path, levels: NDArray[Any], top: float, tolerance: float = 2e-7, **options: Any) -> None:
    expected = (levels.reshape(*levels.shape[:2], -1) / np.float64(top)).astype(np.float32)
    pixels = read_image(path, **options).pixels.numpy()
    assert pixels.shape == expected.shape
    np.testing.assert_allclose(pixels, expected, rtol=0, atol=tolerance)


LAYOUTS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "gray": ((33, 47), {"photometric": "minisblack"}),
    "colours": ((33, 47, 3), {"photometric": "rgb"}),
    "planes": ((3, 33, 47), {"photometric": "rgb", "planarconfig": "separate"}),
}


BYTE_CODECS = (None, "lzw", "zlib", "packbits", "zstd", "lzma")
PICTURE_CODECS = ("png", "jpeg2000")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("kind", "compression"),
    [*itertools.product(["u1", "u2", "u4", "f4"], BYTE_CODECS), *itertools.product(["u1", "u2"], PICTURE_CODECS)],
)
def test_every_compression_in_strips_and_tiles(tmp_path: Path, kind: str, compression: str | None, layout: str) -> None:
    path = tmp_path / "i.tif"
    shape, options = LAYOUTS[layout]
    levels = noise(shape, kind)
    picture_codec = compression in PICTURE_CODECS
    expected = np.moveaxis(levels, 0, 2) if layout == "planes" else levels
    predictable = not picture_codec and compression not in (None, "packbits")
    for tile, order, predictor in itertools.product([None, (16, 32)], "<>", [False, True]):
        if (predictor and not predictable) or (picture_codec and order == ">"):
            continue
        tifffile.imwrite(
            path,
            levels,
            compression=compression,
            tile=tile,
            byteorder=order,
            predictor=predictor or None,
            rowsperstrip=None if tile else 10,
            metadata=None,  # with a description of tifffile's the planes may be frames
            **options,
        )
        assert_reads(path, expected, WHITE[kind])


@pytest.mark.parametrize("tile", [None, (16, 32)])
def test_jpeg_within_a_tiff(tmp_path: Path, tile: tuple[int, int] | None) -> None:
    levels = smooth(32, 64)
    path = tmp_path / "i.tif"
    tifffile.imwrite(path, levels, photometric="rgb", compression="jpeg", compressionargs={"level": 95}, tile=tile)
    assert_reads(path, levels, 255, tolerance=0.05)
    tifffile.imwrite(path, levels[..., 0], compression="jpeg", compressionargs={"level": 95}, tile=tile)
    assert_reads(path, levels[..., 0], 255, tolerance=0.02)


@pytest.mark.parametrize("mode", ["RGB", "YCbCr", "CMYK", "L"])
def test_jpeg_within_a_tiff_of_another_writer(tmp_path: Path, mode: str) -> None:
    """As libtiff does it, with the tables apart from the strips."""
    levels = smooth(32, 64)
    Image.fromarray(levels).convert(mode).save(tmp_path / "i.tif", compression="jpeg", quality=95)
    expected = np.array(Image.fromarray(levels).convert(mode).convert("L" if mode == "L" else "RGB"))
    assert_reads(tmp_path / "i.tif", expected, 255, tolerance=0.06)


@pytest.mark.parametrize("kind", ["f2", "f8"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_other_floating_point_and_bigtiff(tmp_path: Path, kind: str, bigtiff: bool) -> None:
    levels = noise((9, 12), kind)
    tifffile.imwrite(tmp_path / "i.tif", levels, bigtiff=bigtiff)
    assert_reads(tmp_path / "i.tif", levels, 1)


@pytest.mark.parametrize("bits", [1, 2, 4, 10, 12, 14])
@pytest.mark.parametrize("inverted", [False, True])
def test_packed_bits_are_scaled_by_their_own_white(
    tmp_path: Path, tiff: Callable[..., bytes], bits: int, inverted: bool
) -> None:
    """A packed depth is stated by the file, and is white even where nothing reaches it."""
    white = 2**bits - 1
    levels = RANDOM.integers(0, max(2, 2 ** (bits - 3)), (9, 13)).astype(np.uint16)
    single = np.unpackbits(levels.astype(">u2").view(np.uint8).reshape(9, 13, 2), axis=-1)[..., 16 - bits :]
    packed = np.packbits(single.reshape(9, -1), axis=-1)  # each row starts on a byte
    (tmp_path / "i.tif").write_bytes(tiff(13, 9, (bits,), 0 if inverted else 1, 1, packed.tobytes()))
    assert_reads(tmp_path / "i.tif", white - levels if inverted else levels, white)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_every_orientation(tmp_path: Path, orientation: int, kind: str) -> None:
    """The tag says where the first row and the first column of the file lie in the upright picture."""
    upright = noise((9, 12, 3), kind)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    tifffile.imwrite(
        tmp_path / "i.tif",
        np.ascontiguousarray(stored),
        photometric="rgb",
        extratags=[(274, "H", 1, orientation, True)],
    )
    assert_reads(tmp_path / "i.tif", upright, WHITE[kind])


def test_alpha_is_laid_on_white(tmp_path: Path) -> None:
    path = tmp_path / "i.tif"
    for kind in ("u1", "u2"):
        levels = noise((9, 12, 4), kind)
        white, opacity = WHITE[kind], levels[..., 3:] / WHITE[kind]
        tifffile.imwrite(path, levels, photometric="rgb", extrasamples=["unassalpha"])
        assert_reads(path, levels[..., :3] * opacity + white * (1 - opacity), white)
        premultiplied = (levels[..., :3] * opacity).astype(kind)
        tifffile.imwrite(
            path, np.dstack([premultiplied, levels[..., 3:]]), photometric="rgb", extrasamples=["assocalpha"]
        )
        assert_reads(path, premultiplied + white * (1 - opacity), white)
        tifffile.imwrite(path, levels, photometric="rgb", extrasamples=["unspecified"])
        assert_reads(path, levels[..., :3], white)
        tifffile.imwrite(
            path, levels[..., [0, 3]], photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"]
        )
        assert_reads(path, levels[..., :1] * opacity + white * (1 - opacity), white)


@pytest.mark.parametrize("white", [255, 65280, 65535])
def test_palettes_of_eight_bits_written_in_three_ways(tmp_path: Path, white: int) -> None:
    palette = RANDOM.integers(0, 256, (3, 256), dtype=np.uint16)
    index = noise((9, 12), "u1")
    tifffile.imwrite(tmp_path / "i.tif", index, photometric="palette", colormap=palette * (white // 255))
    assert_reads(tmp_path / "i.tif", np.moveaxis(palette[:, index], 0, 2), 255)


def test_palettes_of_sixteen_bits_and_gray_ones(tmp_path: Path) -> None:
    palette = noise((3, 256))
    index = noise((9, 12), "u1")
    tifffile.imwrite(tmp_path / "i.tif", index, photometric="palette", colormap=palette)
    assert_reads(tmp_path / "i.tif", np.moveaxis(palette[:, index], 0, 2), 65535)
    tifffile.imwrite(tmp_path / "i.tif", index, photometric="palette", colormap=np.stack([palette[0]] * 3))
    assert_reads(tmp_path / "i.tif", palette[0][index], 65535)


def test_cmyk_is_mixed(tmp_path: Path) -> None:
    for kind in ("u1", "u2"):
        inks = noise((9, 12, 4), kind)
        tifffile.imwrite(tmp_path / "i.tif", inks, photometric="separated")
        light = 1 - inks / WHITE[kind]
        assert_reads(tmp_path / "i.tif", light[..., :3] * light[..., 3:], 1, tolerance=0.6 / WHITE[kind])


def test_the_depth_of_a_camera_by_max_sample_value(tmp_path: Path) -> None:
    levels = noise((9, 12)) // 16
    levels[0, 0] = 4000
    path = tmp_path / "i.tif"
    tifffile.imwrite(path, levels, extratags=[(281, "H", 1, 4095, True)])
    assert_reads(path, levels, 4095)
    assert_reads(path, levels, 8191, white=8191)
    for says_nothing in (65535, 4000):  # the type, and the highest level that occurs
        tifffile.imwrite(path, levels, extratags=[(281, "H", 1, says_nothing, True)])
        with pytest.raises(ImageError, match="white level is uncertain"):
            read_image(path)
    tifffile.imwrite(path, levels, extratags=[(281, "H", 1, 1023, True)])
    with pytest.raises(ImageError, match="above the white level 1023 that it states"):
        read_image(path)


@pytest.mark.parametrize(
    ("levels", "options", "says"),
    [
        (np.zeros((4, 5, 3), "u1"), {"photometric": "cielab"}, "CIELAB"),
        (np.zeros((4, 5), "c8"), {}, "unusual kind"),
        (np.zeros((8, 5, 6), "u1"), {"photometric": "rgb"}, "further channels"),
        (np.zeros((4, 5, 3), "u1"), {"photometric": "ycbcr"}, "YCBCR"),
        (np.zeros((4, 5), "i1"), {}, "with a sign"),
        (np.full((4, 5), -3, "i2"), {}, "white level"),
        (np.full((4, 5), np.nan, "f4"), {}, "NaN"),
        (np.full((4, 5), 3, "f4"), {}, "white level"),
        (np.full((4, 5), 0.5, "f4"), {"photometric": "miniswhite"}, "white as 0"),
        (np.zeros((16, 16, 16), "u1"), {"volumetric": True, "tile": (16, 16, 16)}, "volumes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_would_be_read_wrongly_is_refused(
    tmp_path: Path, levels: NDArray[Any], options: dict[str, Any], says: str
) -> None:
    tifffile.imwrite(tmp_path / "i.tif", levels, **options)
    with pytest.raises(ImageError, match=says) as caught:
        read_image(tmp_path / "i.tif")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
@pytest.mark.parametrize(("tag", "change"), [(256, 7), (256, -7), (257, -7), (258, 8)])
def test_a_header_that_does_not_fit_the_data_is_seen(
    tmp_path: Path, compression: str | None, tag: int, change: int
) -> None:
    """Width, height or depth changed: a TIFF has no checksums, but then too much or too little is stored."""
    path = tmp_path / "i.tif"
    tifffile.imwrite(path, noise((33, 47), "u1"), compression=compression, metadata=None)
    with tifffile.TiffFile(path, mode="r+") as file:
        value = file.pages.first.tags[tag].value
        file.pages.first.tags[tag].overwrite(value + change)
    with pytest.raises(ImageError, match="damaged"):
        read_image(path)


def test_a_strip_that_is_missing_is_no_black_strip(tmp_path: Path) -> None:
    path = tmp_path / "i.tif"
    tifffile.imwrite(path, noise((40, 20), "u1"), rowsperstrip=10, metadata=None)
    with tifffile.TiffFile(path, mode="r+") as file:
        counts = list(file.pages.first.databytecounts)
        file.pages.first.tags["StripByteCounts"].overwrite([*counts[:2], 0, counts[3]])
    assert not tifffile.imread(path)[20:30].any()
    with pytest.raises(ImageError, match="strips or tiles are missing"):
        read_image(path)


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits", "zstd"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_height_within_the_last_strip_is_seen(tmp_path: Path, compression: str, layout: str) -> None:
    """As many strips are there, and the first one is whole."""
    shape, options = LAYOUTS[layout]
    path = tmp_path / "i.tif"
    tifffile.imwrite(path, noise(shape, "u1"), compression=compression, rowsperstrip=10, metadata=None, **options)
    for height in (31, 32, 34, 40):
        with tifffile.TiffFile(path, mode="r+") as file:
            file.pages.first.tags["ImageLength"].overwrite(height)
        with pytest.raises(ImageError, match="last strip or tile has"):
            read_image(path)


def test_a_last_strip_that_its_writer_filled_is_read(tmp_path: Path) -> None:
    levels = noise((40, 47), "u1")
    path = tmp_path / "i.tif"
    tifffile.imwrite(path, levels, compression="lzw", rowsperstrip=10, metadata=None)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages.first.tags["ImageLength"].overwrite(33)
    assert_reads(path, levels[:33], 255)


def test_a_tag_of_a_thousand_numbers_is_not_told_in_full(tmp_path: Path) -> None:
    path = tmp_path / "i.tif"
    for options, tag in (({"compression": "zlib"}, "Compression"), ({"ome": True}, "ImageWidth")):
        tifffile.imwrite(path, noise((9, 12), "u1"), photometric="minisblack", **options)
        with tifffile.TiffFile(path, mode="r+") as file:
            file.pages.first.tags[tag].overwrite(tuple(range(1000)), dtype="H")
        with pytest.raises(ImageError) as caught:
            read_image(path)
        assert len(str(caught.value)) < 400 + len(str(path))
