"""How many pictures a file holds: those that can be read one by one, and no more."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from pyrodrop.images import ImageError, read_image
from pyrodrop.images.reading.image_file import count_frames

LEVELS = np.random.default_rng(0).integers(0, 255, (6, 8, 9), dtype=np.uint8)


def write(kind: str, folder: Path) -> Path:
    path = folder / f"image.{kind.split()[0]}"
    pages = [Image.fromarray(page) for page in LEVELS]
    if kind == "tif of axes":
        tifffile.imwrite(path, LEVELS.reshape(2, 3, 8, 9), imagej=True, metadata={"axes": "TZYX"})
    elif kind == "tif of channels":
        tifffile.imwrite(path, LEVELS.reshape(3, 2, 8, 9), imagej=True, metadata={"axes": "TCYX"})
    elif kind == "gif" or kind == "tif":
        pages[0].save(path, save_all=True, append_images=pages[1:])
    else:
        pages[0].save(path)
    return path


@pytest.mark.parametrize(
    ("kind", "count"),
    [("png", 1), ("jpg", 1), ("bmp", 1), ("gif", 6), ("tif", 6), ("tif of axes", 6), ("tif of channels", 3)],
)
def test_every_picture_that_is_counted_can_be_read_and_no_other(kind: str, count: int, tmp_path: Path) -> None:
    path = write(kind, tmp_path)
    assert count_frames(path) == count
    for frame in range(count):
        assert read_image(path, frame=frame).size == (8, 9)
    with pytest.raises(ImageError, match="frame"):
        read_image(path, frame=count)


@pytest.mark.parametrize("content", [b"", b"no image at all", b"II*\0\xff\xff\xff\xff"])
def test_what_is_no_image_has_no_number_of_pictures(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(ImageError, match="bad"):
        count_frames(tmp_path / "bad")
