"""Stacks and channels: the picture that was asked for, or a line that lists what there is."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray

from pyrodrop.images import CHANNELS, ImageError, Micrograph, read_image, write_png
from pyrodrop.images.reading.image_file import count_frames

RANDOM = np.random.default_rng(0)
STACK = RANDOM.integers(0, 65536, (3, 4, 2, 16, 21), dtype=np.uint16)  # T, Z, C, Y, X
WAYS: dict[str, dict[str, Any]] = {
    "ome": {"ome": True, "metadata": {"axes": "TZCYX", "Channel": {"Name": ["DAPI", "GFP"]}}},
    "imagej": {"imagej": True, "metadata": {"axes": "TZCYX"}},
    "shaped": {"metadata": {"axes": "TZCYX"}},
    "compressed ome": {"ome": True, "compression": "zlib", "metadata": {"axes": "TZCYX"}},
}


def write(path: Path, levels: NDArray[Any], **options: Any) -> None:
    tifffile.imwrite(path, levels, photometric="minisblack", **options)


def as_pixels(levels: NDArray[Any]) -> NDArray[np.float32]:
    """Channels first to channels last, in [0, 1]."""
    return (np.moveaxis(levels, 0, 2) / 65535).astype(np.float32)


@pytest.mark.parametrize("way", WAYS)
def test_frames_count_times_and_depths_and_each_has_all_channels(tmp_path: Path, way: str) -> None:
    write(tmp_path / "i.tif", STACK, **WAYS[way])
    for frame in range(12):
        image = read_image(tmp_path / "i.tif", frame=frame)
        np.testing.assert_allclose(image.pixels, as_pixels(STACK[frame // 4, frame % 4]), rtol=2e-7)
    assert image.channels == (("DAPI", "GFP") if way == "ome" else ("0", "1"))
    with pytest.raises(ImageError, match=r"holds 12 pictures \(T 3 x Z 4, the last counts fastest\).*0 to 11"):
        read_image(tmp_path / "i.tif")
    with pytest.raises(ImageError, match=r"no frame 12: it holds frames 0 to 11 \(T 3 x Z 4"):
        read_image(tmp_path / "i.tif", frame=12)


@pytest.mark.parametrize("order", ["CTZYX", "ZCTYX", "TCYX", "CZYX"])
def test_the_order_of_axes_is_that_of_the_file(tmp_path: Path, order: str) -> None:
    lengths = {"T": 3, "Z": 4, "C": 2, "Y": 16, "X": 21}
    levels = RANDOM.integers(0, 65536, [lengths[axis] for axis in order], dtype=np.uint16)
    write(tmp_path / "i.tif", levels, metadata={"axes": order})
    frames = np.moveaxis(levels, order.index("C"), -3).reshape(-1, 2, 16, 21)
    for frame, channels in enumerate(frames):
        pixels = read_image(tmp_path / "i.tif", frame=frame).pixels
        np.testing.assert_allclose(pixels, as_pixels(channels), rtol=2e-7)


@pytest.mark.parametrize("metadata", [{}, None])
def test_pages_without_axes_are_frames(tmp_path: Path, metadata: dict[str, Any] | None) -> None:
    write(tmp_path / "i.tif", STACK[0, :, 0], metadata=metadata)
    for frame in range(4):
        pixels = read_image(tmp_path / "i.tif", frame=frame).pixels
        np.testing.assert_allclose(pixels, as_pixels(STACK[0, frame, :1]), rtol=2e-7)


def test_pages_of_several_sizes_are_frames(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "i.tif") as writer:
        for page in range(3):
            writer.write(STACK[0, page, 0, : 10 + page], photometric="minisblack", metadata=None)
    for frame in range(3):
        pixels = read_image(tmp_path / "i.tif", frame=frame).pixels
        np.testing.assert_allclose(pixels, as_pixels(STACK[0, frame, :1, : 10 + frame]), rtol=2e-7)


def test_a_preview_is_no_frame(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "i.tif") as writer:
        writer.write(STACK[0, 0, 0], photometric="minisblack", metadata=None)
        writer.write(STACK[0, 0, 0, ::2, ::2], photometric="minisblack", metadata=None, subfiletype=1)
    assert read_image(tmp_path / "i.tif").size == (16, 21)


def test_frames_in_colour(tmp_path: Path) -> None:
    colours = RANDOM.integers(0, 256, (5, 16, 21, 3), dtype=np.uint8)
    # tifffile takes the first axis of the first for channels, of which each is in colour.
    for options in (
        {"imagej": True},
        {"imagej": True, "metadata": {"axes": "TYXS"}},
        {"ome": True, "metadata": {"axes": "TYXS"}},
        {"metadata": None},
    ):
        tifffile.imwrite(tmp_path / "i.tif", colours, photometric="rgb", **options)
        image = read_image(tmp_path / "i.tif", frame=3)
        np.testing.assert_allclose(image.pixels * 255, colours[3], atol=1e-4)
        assert image.channels == CHANNELS


def test_a_large_imagej_stack_has_one_page(tmp_path: Path) -> None:
    """Above 4 GB, ImageJ writes the tags of the first page alone and the planes end to end."""
    path = tmp_path / "i.tif"
    write(path, STACK, imagej=True, metadata={"axes": "TZCYX"})
    with tifffile.TiffFile(path, mode="r+") as file:
        file.filehandle.seek(file.pages.first.offset + 2 + 12 * len(file.pages.first.tags))
        file.filehandle.write(bytes(4))
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 1
        end = file.pages.first.dataoffsets[0] + STACK.nbytes
    np.testing.assert_allclose(read_image(path, frame=7).pixels, as_pixels(STACK[1, 3]), rtol=2e-7)
    path.write_bytes(path.read_bytes()[: end - 100])
    with pytest.raises(ImageError, match="cut short"):
        read_image(path, frame=7)


def test_channels_are_chosen_by_name_and_by_number(tmp_path: Path) -> None:
    write(tmp_path / "i.ome.tif", STACK[0, 0], ome=True, metadata={"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}})
    image = read_image(tmp_path / "i.ome.tif")
    for name, index in [("DAPI", 0), ("GFP", 1), ("0", 0), ("1", 1)]:
        torch.testing.assert_close(image.channel(name), image.pixels[..., index])
    for missing in ("2", "dapi", "gray", "hue", "-1", ""):
        with pytest.raises(ImageError, match=r"unknown: this image has 0 \(DAPI\), 1 \(GFP\)"):
            image.channel(missing)
    half = image.resize(0.5)
    assert half.channels == image.channels
    assert half.size == (8, 10)


def test_a_name_comes_before_a_number() -> None:
    pixels = torch.rand(4, 5, 2, generator=torch.Generator().manual_seed(0))
    image = Micrograph(pixels, channel_names=("1", "2"))
    assert torch.equal(image.channel("1"), pixels[..., 0])
    assert torch.equal(image.channel("0"), pixels[..., 0])
    twins = Micrograph(pixels, channel_names=("GFP", "GFP"))
    with pytest.raises(ImageError, match=r"name of several: this image has 0 \(GFP\), 1 \(GFP\)"):
        twins.channel("GFP")
    assert torch.equal(twins.channel("1"), pixels[..., 1])


def test_a_single_channel_is_gray_and_goes_by_its_name(tmp_path: Path) -> None:
    write(tmp_path / "i.ome.tif", STACK[0, 0, 0], ome=True, metadata={"axes": "YX", "Channel": {"Name": "DAPI"}})
    image = read_image(tmp_path / "i.ome.tif")
    assert image.channels == ("gray", "DAPI")
    assert torch.equal(image.channel("gray"), image.channel("DAPI"))
    with pytest.raises(ImageError, match=r"0 \(DAPI\) or gray"):
        image.channel("hue")


def test_positions_of_an_ome_file_are_frames_with_their_own_metadata(tmp_path: Path) -> None:
    path = tmp_path / "i.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for position, (size, names) in enumerate([(0.5, ["DAPI", "GFP"]), (0.25, ["GFP", "mCherry"])]):
            sides = {"PhysicalSizeX": size, "PhysicalSizeY": size}
            metadata = {"axes": "ZCYX", "Name": f"at {position}", "Channel": {"Name": names}, **sides}
            writer.write(STACK[position], photometric="minisblack", metadata=metadata)
    with pytest.raises(ImageError, match=r"holds 8 pictures \(in 2 series\)"):
        read_image(path)
    for frame in range(8):
        image = read_image(path, frame=frame)
        np.testing.assert_allclose(image.pixels, as_pixels(STACK[frame // 4, frame % 4]), rtol=2e-7)
        assert image.pixel_size_um == pytest.approx([0.5, 0.25][frame // 4])
        assert image.channels == (("DAPI", "GFP") if frame < 4 else ("GFP", "mCherry"))


def test_a_vendors_own_layout_is_refused(tmp_path: Path) -> None:
    description = "Aperio Image Library v1.0\n21x16 [0,0 21x16]"
    write(tmp_path / "i.tif", STACK[0, 0, 0], description=description, tile=(16, 16), metadata=None)
    with pytest.raises(ImageError, match=r"vendor's own layout \(svs\): export it as OME-TIFF"):
        read_image(tmp_path / "i.tif")


def test_reading_leaves_the_log_of_tifffile_as_it_was(tmp_path: Path) -> None:
    write(tmp_path / "i.tif", STACK[0, 0, 0])
    before = list(logging.getLogger("tifffile").handlers)
    read_image(tmp_path / "i.tif")
    (tmp_path / "i.tif").write_bytes((tmp_path / "i.tif").read_bytes()[:200])
    with pytest.raises(ImageError):
        read_image(tmp_path / "i.tif")
    assert logging.getLogger("tifffile").handlers == before


def test_samples_of_a_pixel_that_are_no_colours_are_channels(tmp_path: Path) -> None:
    levels = RANDOM.integers(0, 256, (9, 12, 4), dtype=np.uint8)
    for count in (2, 4):
        tifffile.imwrite(
            tmp_path / "i.tif",
            levels[..., :count],
            photometric="minisblack",
            planarconfig="contig",
            extrasamples=["unspecified"] * (count - 1),
        )
        image = read_image(tmp_path / "i.tif")
        np.testing.assert_allclose(image.pixels * 255, levels[..., :count], atol=1e-4)
        assert image.channels == tuple("0123"[:count])


def test_several_channels_are_no_png(tmp_path: Path) -> None:
    for count in (2, 3):
        image = Micrograph(torch.zeros(4, 5, count), channel_names=tuple("abc"[:count]))
        with pytest.raises(ImageError, match="no colours"):
            write_png(image, tmp_path / "i.png")


def test_channel_names_fit_the_pixels() -> None:
    with pytest.raises(ImageError, match=r"expected torch.float32 of shape \(H, W, 2\)"):
        Micrograph(torch.zeros(4, 5, 3), channel_names=("DAPI", "GFP"))


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("way", WAYS)
def test_a_cut_stack_is_an_error_in_every_frame_unless_no_pixel_is_lost(tmp_path: Path, way: str, part: float) -> None:
    path = tmp_path / "i.tif"
    write(path, STACK, **WAYS[way])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    for frame in (0, 11):
        message = ""
        try:
            pixels = read_image(path, frame=frame).pixels
        except ImageError as error:
            message = str(error)
        else:
            # ImageJ's planes lie end to end before the tags of the second page, which few readers need.
            assert way == "imagej"
            assert part * len(whole) > STACK.nbytes
            np.testing.assert_allclose(pixels, as_pixels(STACK[frame // 4, frame % 4]), rtol=2e-7)
        assert "\n" not in message


def test_an_ome_file_that_lacks_planes_is_an_error(tmp_path: Path) -> None:
    """As one of several files that belong together, or one whose writing was broken off."""
    path = tmp_path / "i.ome.tif"
    write(path, STACK[0], ome=True, metadata={"axes": "ZCYX"})
    content = path.read_bytes()
    assert content.count(b'SizeZ="4"') == 1
    path.write_bytes(content.replace(b'SizeZ="4"', b'SizeZ="9"'))
    for frame in (0, 3, 8):
        with pytest.raises(ImageError, match="one of several files that belong"):
            read_image(path, frame=frame)


def test_a_depth_stated_by_ome_is_white(tmp_path: Path) -> None:
    levels = STACK[0, 0] // 16
    write(tmp_path / "i.ome.tif", levels, ome=True, metadata={"axes": "CYX", "SignificantBits": 12})
    pixels = read_image(tmp_path / "i.ome.tif").pixels
    np.testing.assert_allclose(pixels, np.moveaxis(levels, 0, 2) / 4095, rtol=2e-7)
    for says_nothing in ({"SignificantBits": 16}, {}):
        write(tmp_path / "i.ome.tif", levels, ome=True, metadata={"axes": "CYX", **says_nothing})
        with pytest.raises(ImageError, match="white level is uncertain"):
            read_image(tmp_path / "i.ome.tif")
    write(tmp_path / "i.ome.tif", STACK[0, 0], ome=True, metadata={"axes": "CYX", "SignificantBits": 12})
    with pytest.raises(ImageError, match="above the white level 4095 that it states"):
        read_image(tmp_path / "i.ome.tif")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("planes", [3, 4])
def test_three_or_four_frames_that_tifffile_took_for_colours_are_not_averaged(
    tmp_path: Path, planes: int, kind: str
) -> None:
    """``imwrite`` of an array (3, H, W) stores red, green and blue, as it does colours that lie in planes."""
    path = tmp_path / "i.tif"
    most = 1.0 if kind == "float32" else float(np.iinfo(kind).max)
    frames = (np.random.default_rng(0).random((planes, 20, 30)) * most).astype(kind)
    frames[:, 0, 0] = most
    tifffile.imwrite(path, frames)
    for refused in (lambda: read_image(path), lambda: count_frames(path)):
        with pytest.raises(ImageError, match=rf"{planes} frames of a stack or the colours of one.*frame=0") as error:
            refused()
        assert error.value.settings == ("frame",)
    for number in range(planes):
        image = read_image(path, frame=number)
        assert image.channels == ("gray",)
        np.testing.assert_allclose(image.pixels[..., 0], frames[number] / most, rtol=1e-6)
    with pytest.raises(ImageError, match=f"has no frame {planes}"):
        read_image(path, frame=planes)


def test_colours_that_a_file_says_lie_in_planes_or_last_are_colours(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "last.tif", colours)
    planes = np.moveaxis(colours, 2, 0)
    tifffile.imwrite(tmp_path / "planes.tif", planes, photometric="rgb", planarconfig="separate", metadata=None)
    for name in ("last.tif", "planes.tif"):
        np.testing.assert_allclose(read_image(tmp_path / name).pixels, colours / 255, rtol=1e-6)
