"""Circles lie where the paint is: the outer rim is where the outermost edge is at half its height."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from pyrodrop.detection.simulation.droplets.columns import Droplets
from pyrodrop.detection.simulation.droplets.looks import LOOKS
from pyrodrop.detection.simulation.droplets.painting import paint
from pyrodrop.detection.simulation.droplets.rims import blurred_disc, rim_after
from pyrodrop.detection.simulation.fields import bank
from pyrodrop.detection.simulation.filters import blurred

CENTRE = 64


def droplet(r: float) -> Droplets:
    """One droplet in the middle of a patch of 129 px."""
    d = Droplets(1)
    d.x, d.y, d.r = CENTRE, CENTRE, r
    return d


def profile(d: Droplets, blur: float) -> NDArray[np.float32]:
    """Heights from the centre to the right border."""
    image = np.zeros((129, 129), np.float32)
    paint(image, d, bank()[0, 0])
    return blurred(image, blur)[CENTRE, CENTRE:]


def half_height(heights: NDArray[np.float32], start: int = 0) -> float:
    """Distance at which the profile has fallen to half of its height at start, from there on."""
    half = heights[start] / 2
    last = start + int(np.argmax(heights[start:] < half))
    return last - 1 + float((heights[last - 1] - half) / (heights[last - 1] - heights[last]))


@pytest.mark.parametrize("r", [2.0, 5.0, 17.3])
@pytest.mark.parametrize("blur", [0.0, 1.0, 2.0])
def test_a_gaussian_spot(r: float, blur: float) -> None:
    d = droplet(r)
    d.body, d.gauss = 1.0, 1.0
    assert rim_after(d, blur)[0] == pytest.approx(math.sqrt(r**2 + 2 * math.log(2) * blur**2))
    assert half_height(profile(d, blur)) == pytest.approx(rim_after(d, blur)[0], rel=0.03, abs=0.1)


@pytest.mark.parametrize("r", [3.0, 8.0, 20.5])
@pytest.mark.parametrize("blur", [0.0, 1.0, 2.0])
def test_a_disc(r: float, blur: float) -> None:
    d = droplet(r)
    d.body = 1.0
    assert half_height(profile(d, blur)) == pytest.approx(rim_after(d, blur)[0], rel=0.01, abs=0.1)


@pytest.mark.parametrize("blur", [0.0, 1.0, 2.0])
def test_a_ring(blur: float) -> None:
    d = droplet(24.0)
    LOOKS["ring"].dress(np.random.default_rng(1), d, blur)
    d.body, d.ring1_in = 0.0, 1.0
    heights = profile(d, blur)
    peak = int(np.argmax(heights))
    assert peak < 24
    assert half_height(heights, peak) == pytest.approx(24.0, abs=0.3)


def test_a_disc_far_smaller_than_the_blur_is_a_gaussian() -> None:
    r, blur = np.array([1.0]), np.array([12.0])
    assert blurred_disc(r, blur)[0] == pytest.approx(math.sqrt(2 * math.log(2) * (0.25 + 144)), rel=2e-3)


def test_a_disc_far_larger_than_the_blur_keeps_its_rim() -> None:
    """To second order the half height of the plateau is at r - blur^2 / 2r."""
    assert blurred_disc(np.array([50.0]), np.array([5.0]))[0] == pytest.approx(50 - 25 / 100, abs=0.02)


def test_an_ellipse_has_its_axes_where_they_are_told() -> None:
    d = droplet(12.0)
    d.body, d.ratio, d.angle = 1.0, 0.5, math.pi / 2
    image = np.zeros((129, 129), np.float32)
    paint(image, d, bank()[0, 0])
    assert half_height(image[CENTRE, CENTRE:]) == pytest.approx(12 * math.sqrt(0.5), abs=0.15)
    assert half_height(image[CENTRE:, CENTRE]) == pytest.approx(12 / math.sqrt(0.5), abs=0.15)


@pytest.mark.parametrize("look", sorted(LOOKS.keys() - {"hologram"}))
def test_every_look_but_holograms_paints_inside_its_rim(look: str) -> None:
    """At least four fifths of what a droplet changes are within 1.6 times its rim, and something is."""
    for seed in range(20):
        d = droplet(max(12.0, LOOKS[look].smallest))
        LOOKS[look].dress(np.random.default_rng(seed), d, 0.0)
        image = np.zeros((129, 129), np.float32)
        paint(image, d, bank()[0, 0])
        assert np.isfinite(image).all()
        y, x = np.mgrid[:129, :129] - CENTRE
        inside = np.hypot(x, y) < 1.6 * d.r[0] / math.sqrt(d.ratio[0])
        total = float((image**2).sum())
        assert total > 0
        assert float((image[inside] ** 2).sum()) > 0.8 * total
