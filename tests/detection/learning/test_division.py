"""What is held out teaches nothing, and is scored as the image is looked at in use."""

import numpy as np
import pytest
from detection.learning.toy_patches import discs

from pyrodrop.detection.learning.division import HeldOutImage, divided
from pyrodrop.detection.learning.laboratory import MarkedImage, marked_image
from pyrodrop.detection.learning.targets import COLUMN
from pyrodrop.detection.network.weights import SHIPPED


def images(number: int, size: int = 64, droplets: bool = True) -> list[MarkedImage]:
    patches = discs(number, size, 5)
    places = [circles[:, :3].astype(float) if droplets else np.zeros((0, 3)) for circles in patches.circles]
    return [marked_image(str(k), *pair) for k, pair in enumerate(zip(patches.images, places, strict=True))]


def test_one_image_in_four_is_held_out_with_droplets_and_without() -> None:
    division = divided([*images(8), *images(4, droplets=False)], seed=0)
    assert [len(image.part.circles) > 0 for image in division.held_out] == [True, True, False]
    assert len(division.taught) == 9
    held = {id(image.image.pixels) for image in division.held_out}
    assert held.isdisjoint(id(image.pixels) for image in division.taught)
    chosen = {tuple(sorted(image.image.name for image in divided(images(8), seed).held_out)) for seed in range(4)}
    assert len(chosen) > 1


@pytest.mark.parametrize("transpose", [False, True])
def test_of_a_single_image_the_part_with_the_last_quarter_of_its_droplets_is(transpose: bool) -> None:
    image = images(1, 128)[0]
    wide = MarkedImage(image.name, image.pixels[:100], image.circles[image.circles[:, COLUMN.y] < 99])
    if transpose:
        wide = MarkedImage(wide.name, wide.pixels.T, wide.circles[:, [1, 0, 2, 3, 4, 5, 6, 7]])
    division = divided([wide], seed=0)
    taught, held_out = division.taught[0], division.held_out[0]
    assert held_out.number == max(len(wide.circles) // 4, 1)
    assert len(taught.circles) + held_out.number == len(wide.circles)
    assert taught.pixels.size + held_out.part.pixels.size == wide.pixels.size
    joined = np.concatenate([taught.pixels, held_out.part.pixels], axis=0 if transpose else 1)
    np.testing.assert_array_equal(joined, wide.pixels)


def test_only_droplets_of_the_part_are_asked_for() -> None:
    image = images(1, 200)[0]
    whole = HeldOutImage(image, slice(0, 200), slice(0, 200)).scores(SHIPPED)
    part = HeldOutImage(image, slice(0, 200), slice(100, 200))
    assert whole.true == len(image.circles) > part.number > 0
    assert whole.matched >= whole.true - 1
    assert part.scores(SHIPPED).true == part.number
    assert part.scores(SHIPPED).reported <= part.number + 1


def test_too_few_droplets_are_refused() -> None:
    image = images(1)[0]
    with pytest.raises(ValueError, match="mark more"):
        divided([image._replace(circles=image.circles[:3])], seed=0)
