"""Nikon's ND2 through the nd2 library: frames, channels, the camera's depth, the calibration, and damage."""

import random
from pathlib import Path

import numpy as np
import pytest
from fresh_python import run_python
from fuzz.damaging import damaged
from images.reading.nikon_files import nd2_file

from pyrodrop.images import ImageError, read_image

pytest.importorskip("nd2")

RANDOM = np.random.default_rng(0)
FRAMES = RANDOM.integers(0, 4096, (3, 16, 21, 2)).astype(np.uint16)


def test_frames_channels_depth_and_calibration(tmp_path: Path) -> None:
    path = tmp_path / "i.nd2"
    path.write_bytes(nd2_file(FRAMES, ("DAPI", "GFP"), 12, 0.325))
    for frame in range(3):
        image = read_image(path, frame=frame)
        np.testing.assert_allclose(image.pixels, FRAMES[frame] / 4095, rtol=2e-7)
        np.testing.assert_array_equal(image.channel("GFP"), image.pixels[..., 1])
    assert image.channels == ("DAPI", "GFP")
    assert image.pixel_size_um == pytest.approx(0.325)
    assert read_image(path, 0.5, frame=0, pixel_size_um=1).pixel_size_um == pytest.approx(21 / 10)
    with pytest.raises(ImageError, match=r"holds 3 pictures \(T 3\), 0 to 2: choose one, as in frame=0"):
        read_image(path)
    with pytest.raises(ImageError, match="no frame 3"):
        read_image(path, frame=3)


def test_one_channel_and_no_calibration(tmp_path: Path) -> None:
    path = tmp_path / "i.nd2"
    path.write_bytes(nd2_file(FRAMES[:1, ..., :1], ("DAPI",), 12))
    image = read_image(path)
    np.testing.assert_allclose(image.pixels, FRAMES[0, ..., :1] / 4095, rtol=2e-7)
    assert image.channels == ("gray", "DAPI")
    assert image.pixel_size_um is None


def test_colours_are_refused(tmp_path: Path) -> None:
    colours = RANDOM.integers(0, 256, (1, 16, 21, 3), dtype=np.uint8)
    (tmp_path / "i.nd2").write_bytes(nd2_file(colours, ("Brightfield",), 8, 0.5))
    with pytest.raises(ImageError, match="order of colours"):
        read_image(tmp_path / "i.nd2")


def test_a_depth_that_is_not_stated_is_uncertain(tmp_path: Path) -> None:
    (tmp_path / "i.nd2").write_bytes(nd2_file(FRAMES[:1], ("DAPI", "GFP"), 16))
    with pytest.raises(ImageError, match="white level is uncertain"):
        read_image(tmp_path / "i.nd2")


def test_a_frame_without_data_is_no_black_picture(tmp_path: Path) -> None:
    (tmp_path / "i.nd2").write_bytes(nd2_file(FRAMES, ("DAPI", "GFP"), 12, left_out=(1,)))
    with pytest.raises(ImageError, match="no data in frame 1"):
        read_image(tmp_path / "i.nd2", frame=1)
    assert read_image(tmp_path / "i.nd2", frame=2).size == (16, 21)


@pytest.mark.filterwarnings("ignore")
def test_damage_never_raises_anything_else(tmp_path: Path) -> None:
    whole = nd2_file(FRAMES, ("DAPI", "GFP"), 12, 0.325)
    chance, messages, path = random.Random(0), [], tmp_path / "i.nd2"
    for _ in range(150):
        path.write_bytes(damaged(whole, chance))
        try:
            assert read_image(path, frame=1).pixels.isfinite().all()
        except ImageError as error:
            messages.append(str(error))
    assert len(messages) > 10
    assert not any("\n" in message for message in messages)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    whole = nd2_file(FRAMES, ("DAPI", "GFP"), 12, 0.325)
    for part in (0.05, 0.3, 0.6, 0.9, 0.99):
        (tmp_path / "i.nd2").write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(ImageError):
            read_image(tmp_path / "i.nd2", frame=0)


def test_without_nd2_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "i.nd2").write_bytes(nd2_file(FRAMES, ("DAPI", "GFP"), 12))
    code = (
        "import sys; sys.modules['nd2'] = None\nfrom pyrodrop.images import ImageError, read_image\n"
        f"try:\n    read_image({str(tmp_path / 'i.nd2')!r})\nexcept ImageError as error:\n    print(error)\n"
    )
    run = run_python("-c", code)
    assert "pip install 'pyrodrop[nd2]'" in run.stdout, run.stderr
