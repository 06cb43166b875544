"""Files that say where to look: images of any kind, and ImageJ's regions."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from roifile import ROI_TYPE, ImagejRoi, roiwrite

from pyrodrop.images import ImageError
from pyrodrop.images.reading.mask_file import read_mask

SIZE = (20, 30)


@pytest.fixture
def looked_at() -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[3:9, 5:20] = True
    return mask


@pytest.mark.parametrize("kind", ["one bit", "0 and 255", "0 and 1", "colours", "palette", "labels", "floats"])
def test_an_image_says_so_wherever_it_is_not_zero(kind: str, looked_at: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / ("mask.tif" if kind in ("labels", "floats") else "mask.png")
    if kind == "one bit":
        Image.fromarray(looked_at).save(path)
    elif kind in ("0 and 255", "0 and 1"):
        Image.fromarray(looked_at.astype(np.uint8) * int(kind.split()[-1])).save(path)
    elif kind == "colours":
        Image.fromarray(np.stack([255 * looked_at, 0 * looked_at, 0 * looked_at], -1).astype(np.uint8)).save(path)
    elif kind == "palette":
        picture = Image.fromarray(looked_at.astype(np.uint8), "P")
        picture.putpalette([0, 0, 0, 200, 10, 10] + [0] * 762)
        picture.save(path)
    else:
        tifffile.imwrite(path, looked_at.astype(np.uint16 if kind == "labels" else np.float32) * 7)
    assert (read_mask(path, SIZE) == looked_at).all()


def test_a_rectangle_of_imagej_is_its_pixels(looked_at: np.ndarray, tmp_path: Path) -> None:
    roiwrite(tmp_path / "r.roi", ImagejRoi(roitype=ROI_TYPE.RECT, left=5, top=3, right=20, bottom=9))
    assert (read_mask(tmp_path / "r.roi", SIZE) == looked_at).all()


def test_ovals_and_polygons_and_several_together(looked_at: np.ndarray, tmp_path: Path) -> None:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    oval = ImagejRoi(roitype=ROI_TYPE.OVAL, left=2, top=4, right=12, bottom=10)
    triangle = ImagejRoi.frompoints([(2.0, 2.0), (28.0, 2.0), (2.0, 18.0)])
    for region, inside in (
        (oval, ((columns - 7) / 5) ** 2 + ((rows - 7) / 3) ** 2 <= 1),
        (triangle, (columns > 2) & (rows > 2) & ((columns - 2) / 26 + (rows - 2) / 16 < 1)),
    ):
        roiwrite(tmp_path / "one.roi", region)
        differing = read_mask(tmp_path / "one.roi", SIZE) ^ inside
        assert differing.sum() <= 2  # centres of pixels on the very line
        (tmp_path / "one.roi").unlink()
    box = ImagejRoi(roitype=ROI_TYPE.RECT, left=5, top=3, right=20, bottom=9)
    roiwrite(tmp_path / "all.zip", [oval, box])
    both = read_mask(tmp_path / "all.zip", SIZE)
    assert (both >= looked_at).all()
    assert both[6, 3]
    assert not both[15, 25]


def test_the_droplets_of_a_result_can_be_a_mask(tmp_path: Path) -> None:
    import pandas as pd

    from pyrodrop.results.exports.rois import write_rois

    write_rois(pd.DataFrame({"id": [0], "x_px": [10.0], "y_px": [8.0], "radius_px": [4.0]}), tmp_path / "rois.zip")
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    differing = read_mask(tmp_path / "rois.zip", SIZE) ^ (np.hypot(columns - 10, rows - 8) <= 4)
    assert differing.sum() <= 4


def test_what_encloses_nothing_or_is_no_file_of_regions_is_refused(tmp_path: Path) -> None:
    line = ImagejRoi(roitype=ROI_TYPE.LINE, x1=1, y1=1, x2=9, y2=9)
    roiwrite(tmp_path / "line.roi", line)
    with pytest.raises(ImageError, match="kind line, expected rectangles"):
        read_mask(tmp_path / "line.roi", SIZE)
    Image.new("L", (30, 20), 255).save(tmp_path / "mask.jpg")
    with pytest.raises(ImageError, match="save it as PNG"):
        read_mask(tmp_path / "mask.jpg", SIZE)
    (tmp_path / "bad.zip").write_bytes(b"nothing")
    with pytest.raises(ImageError, match="cannot be read as regions"):
        read_mask(tmp_path / "bad.zip", SIZE)
