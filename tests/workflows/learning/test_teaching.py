"""What teaches: draws that look as a measured image, and what a person has marked is held out before them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import pyrodrop
from pyrodrop.detection.learning.laboratory import marked_image
from pyrodrop.detection.learning.targets import COLUMN
from pyrodrop.detection.network.weights import SHIPPED
from pyrodrop.workflows.learning.appearance import drawn_like
from pyrodrop.workflows.learning.laboratory_folder import Laboratory, UnmarkedImage
from pyrodrop.workflows.learning.teaching import DRAWS, division_of
from pyrodrop.workflows.measuring.measurement import Measurement
from pyrodrop.workflows.settings import SettingError


@pytest.fixture(scope="module")
def picture() -> pyrodrop.Micrograph:
    image, _ = pyrodrop.simulate(8, (90, 120), seed=1, kind="gray", radius_px=(4.0, 7.0), noise=0.02)
    return image


@pytest.fixture(scope="module")
def measured(picture: pyrodrop.Micrograph) -> Measurement:
    return pyrodrop.measure(picture, profile="gaussian")


def blank() -> np.ndarray:
    return (0.5 + 0.02 * np.random.default_rng(0).normal(size=(64, 64))).astype(np.float32)


def test_draws_have_the_droplets_of_the_image_at_other_places(measured: Measurement) -> None:
    draws = drawn_like(measured, 3, seed=0)
    assert len(draws) == 3
    radii = measured.draws["radius_px"].mean(0).numpy()
    for draw in draws:
        assert draw.pixels.shape == measured.size
        assert 4 <= len(draw.circles) <= 8
        for x, y, radius in draw.circles[:, :3]:
            assert np.abs(np.log(radii / radius)).min() < 0.05
            assert draw.pixels[round(float(y)), round(float(x))] > np.median(draw.pixels) + 4 * float(measured.noise)
        assert (draw.circles[:, COLUMN.sign] == 1).all()
        assert np.std(np.diff(draw.pixels[:10])) == pytest.approx(2**0.5 * float(measured.noise), rel=0.3)
    assert not np.allclose(draws[0].circles[0, :2], draws[1].circles[0, :2])
    np.testing.assert_array_equal(drawn_like(measured, 1, seed=0)[0].pixels, draws[0].pixels)


def test_of_nothing_nothing_is_drawn() -> None:
    assert drawn_like(pyrodrop.measure(blank(), profile="gaussian"), 3, seed=0) == []


def test_images_that_nobody_has_marked_are_measured_and_a_draw_of_each_is_held_out(
    picture: pyrodrop.Micrograph,
) -> None:
    told: list[str] = []
    division = division_of(Laboratory([], [UnmarkedImage("a.png", picture)]), SHIPPED, 0, told.append)
    assert (len(division.taught), len(division.held_out)) == (DRAWS - 1, 1)
    assert told == ["measuring a.png, which has no table"]
    assert division.held_out[0].number == len(division.held_out[0].image.circles)


def test_where_somebody_has_marked_images_these_alone_are_held_out(picture: pyrodrop.Micrograph) -> None:
    own = [marked_image(str(k), picture.pixels[..., 0].numpy(), np.array([[30.0, 30, 5], [60, 60, 5]])) for k in "abcd"]
    say: Callable[[str], None] = lambda line: None  # noqa: E731
    division = division_of(Laboratory(own, [UnmarkedImage("a.png", picture)]), SHIPPED, 0, say)
    assert len(division.taught) == 3 + 1
    assert [image.image.name in "abcd" for image in division.held_out] == [True]


def test_too_little_to_learn_from_is_refused(picture: pyrodrop.Micrograph, tmp_path: Path) -> None:
    few = marked_image("a", blank(), np.array([[30.0, 30, 5]]))
    with pytest.raises(SettingError, match="fewer than 4 droplets"):
        division_of(Laboratory([few], []), SHIPPED, 0, str)
    with pytest.raises(SettingError, match="no droplet was seen"):
        division_of(Laboratory([], [UnmarkedImage("blank", blank())]), SHIPPED, 0, str)
