"""Patches of a laboratory's images: their circles lie where the droplets are, in every scale."""

import numpy as np
import pytest
from detection.learning.toy_patches import discs

from pyrodrop.detection.learning.augmentation import make_batch
from pyrodrop.detection.learning.laboratory import HalfAndHalf, LaboratoryPatches, MarkedImage, marked_image
from pyrodrop.detection.learning.targets import COLUMN


def image_of(size: int, seed: int) -> MarkedImage:
    """Bright discs in noise."""
    patches = discs(1, size, seed)
    return marked_image("discs", patches.images[0], patches.circles[0][:, :3].astype(float))


def contrasts(image: np.ndarray, circles: np.ndarray) -> np.ndarray:
    """Mean within each circle less that in a ring around it."""
    rows, columns = np.indices(image.shape)
    found = []
    for x, y, r in circles[:, :3]:
        distance = np.hypot(columns - x, rows - y)
        around = (distance > 1.2 * r) & (distance < 1.7 * r)
        found.append(np.nanmean(image[distance < 0.8 * r]) - np.nanmean(image[around]))
    return np.array(found)


def test_circles_go_where_the_droplets_go() -> None:
    block = LaboratoryPatches.of([image_of(180, 1)])(24, 96, 0)
    assert block.images.shape == (24, 96, 96)
    seen = np.concatenate([contrasts(*pair) for pair in zip(block.images, block.circles, strict=True) if len(pair[1])])
    assert len(seen) > 24
    assert np.median(seen) > 0.8
    assert (seen > 0.4).mean() > 0.95
    radii = np.concatenate([circles[:, COLUMN.radius] for circles in block.circles])
    assert len(np.unique(radii.round(4))) > 20  # some are resized


def test_the_seed_gives_the_same_patches_and_another_gives_others() -> None:
    patches = LaboratoryPatches.of([image_of(150, 1), image_of(150, 2)])
    one, same, other = (patches(6, 64, seed).images for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_around_a_small_image_nothing_is_known() -> None:
    image = image_of(64, 2)
    block = LaboratoryPatches.of([image])(12, 128, 0)
    assert (np.isfinite(block.images).mean((1, 2)) < 0.5).all()
    for pixels, circles in zip(block.images, block.circles, strict=True):
        column, row = circles[:, [COLUMN.x, COLUMN.y]].round().astype(int).T
        assert np.isfinite(pixels[row, column]).all()
        assert len(circles) == len(image.circles)
    channels = make_batch(block.images, block.circles).channels.numpy()
    assert np.isfinite(channels).all()
    np.testing.assert_array_equal(channels[:, 3], np.isfinite(block.images))


def test_large_droplets_are_learnt_in_the_scale_that_they_are_looked_for_in() -> None:
    rows, columns = np.indices((400, 400))
    pixels = (np.hypot(columns - 210, rows - 190) < 80).astype(np.float32)
    image = marked_image("large", pixels, np.array([[210.0, 190.0, 80.0]]))
    block = LaboratoryPatches.of([image])(30, 128, 0)
    tables = np.concatenate(block.circles)
    asked = tables[:, COLUMN.detectability] > 0
    assert asked.any()
    assert tables[asked, COLUMN.radius] == pytest.approx(10, rel=0.6)
    assert (tables[~asked, COLUMN.radius] > 12).all()


def test_it_is_seen_whether_a_droplet_is_brighter() -> None:
    image = image_of(128, 3)
    assert (image.circles[:, COLUMN.sign] == 1).all()
    dark = marked_image("dark", -image.pixels, image.circles[:, :3].astype(float))
    assert (dark.circles[:, COLUMN.sign] == -1).all()


def test_half_of_the_patches_are_broad() -> None:
    block = HalfAndHalf(LaboratoryPatches.of([image_of(150, 1)]), discs)(7, 64, 0)
    assert block.kinds == ["laboratory"] * 4 + ["disc"] * 3
    assert len(block.images) == len(block.circles) == 7
