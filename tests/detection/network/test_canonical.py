"""One view for all eight turns and mirrors, and for the inverted image."""

import itertools

import numpy as np
import pytest

from pyrodrop.detection.network.canonical import View, Viewed, canonical_view

VIEWS = [View(*flags, sign) for *flags, sign in itertools.product([False, True], [False, True], [False, True], [1, -1])]


def seen(image: np.ndarray) -> np.ndarray:
    """The image in its canonical view."""
    view = canonical_view(image, float(np.median(image)))
    return view.of(image)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("shape", [(40, 40), (30, 50), (50, 30)])
def test_every_turn_is_seen_alike(view: View, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).gamma(2, size=shape).astype(np.float32)
    np.testing.assert_allclose(seen(view.of(image)), seen(image), rtol=1e-6)


@pytest.mark.parametrize("view", VIEWS)
def test_a_symmetric_arrangement_of_opposite_signs_is_seen_alike(view: View) -> None:
    """Its energy does not tell left from right; its odd powers do not tell its sign."""
    image = np.zeros((20, 20), np.float32)
    image[4, 4], image[4, 15] = 1, -1
    image[12, 9] = 0.5
    np.testing.assert_array_equal(np.unique(seen(view.of(image))), np.unique(seen(image)))


@pytest.mark.parametrize("view", VIEWS)
def test_points_and_angles_come_back(view: View) -> None:
    image = np.zeros((30, 50), np.float32)
    image[7, 11], image[7, 12] = 1, 1
    rows, columns = np.nonzero(view.of(image))
    x, y = view.point_back(columns.astype(float), rows.astype(float), image.shape)
    assert sorted(x) == [11, 12]
    assert list(y) == [7, 7]
    ahead = np.arctan2(rows[1] - rows[0], columns[1] - columns[0])
    assert np.sin(view.angle_back(np.array(float(ahead)))) == pytest.approx(0, abs=1e-12)


def test_a_constant_image_has_a_view() -> None:
    assert canonical_view(np.ones((9, 9), np.float32), 1.0) == View()


@pytest.mark.parametrize("view", VIEWS)
def test_parts_of_a_viewed_image_are_those_of_the_whole_in_that_view(view: View) -> None:
    image = np.random.default_rng(1).normal(size=(30, 50)).astype(np.float32)
    viewed, whole = Viewed(image, view), view.of(image)
    assert viewed.shape == whole.shape
    for box in ((slice(0, 30), slice(0, 30)), (slice(3, 17), slice(5, 6)), (slice(20, 99), slice(0, 4))):
        np.testing.assert_array_equal(viewed[box], whole[box])
