"""Detectability is the signal-to-noise ratio of a matched filter, where that is known in closed form."""

import math

import numpy as np
import pytest

from pyrodrop.detection.simulation.droplets.columns import Droplets
from pyrodrop.detection.simulation.droplets.detectability import LEVELS, detectability, sign, spectrum, surviving
from pyrodrop.detection.simulation.droplets.painting import Painted, paint
from pyrodrop.detection.simulation.fields import bank
from pyrodrop.detection.simulation.filters import blurred


def spots(heights: list[float], r: float = 4.0, opacity: float = 0.0) -> tuple[Droplets, Painted]:
    """Gaussian spots of these heights, far from each other, and what painting told of them."""
    d = Droplets(len(heights))
    d.x, d.y, d.r = 20 + 30 * np.arange(len(heights)), 32, r
    d.body, d.gauss, d.opacity = heights, 1.0, opacity
    return d, paint(np.zeros((64, 160), np.float32), d, bank()[0, 0])


def ratio(d: Droplets, painted: Painted, sd: float) -> np.ndarray:
    """Detectability under white noise of this standard deviation."""
    return detectability(d, painted, np.full(LEVELS, sd**2), 0.0, np.zeros(len(d)), np.full(len(d), np.inf))


def test_a_gaussian_spot_under_white_noise() -> None:
    """The sum of squares of a Gaussian spot of height a and standard deviation s is pi a^2 s^2, within q half-height
    radii 1 - 2^(-2 q^2) of it.
    """
    d, painted = spots([0.7])
    s, within = 4.0 / math.sqrt(2 * math.log(2)), 1 - 2 ** (-2 * 1.3**2)
    assert painted.energy[0] == pytest.approx(within * math.pi * 0.49 * s**2, rel=0.02)
    assert ratio(d, painted, 0.2)[0] == pytest.approx(math.sqrt(within * math.pi) * 0.7 * s / 0.2, rel=0.2)


def test_it_grows_with_contrast_and_falls_with_noise() -> None:
    d, painted = spots([0.2, 0.5, 1.0, -1.4])
    clear, noisy = ratio(d, painted, 0.2), ratio(d, painted, 0.6)
    assert (np.diff(clear) > 0).all()
    np.testing.assert_allclose(clear / noisy, 3.0, rtol=1e-3)


def test_the_noise_of_white_noise_is_the_same_at_every_octave() -> None:
    field = np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32) * 0.3
    np.testing.assert_allclose(spectrum(field), 0.09, rtol=0.35)
    np.testing.assert_allclose(spectrum(field)[:3], 0.09, rtol=0.1)


def test_noise_of_coarse_grain_hides_large_spots_more_than_its_pixels_tell() -> None:
    field = np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32)
    coarse = blurred(field, 2.0)
    variance = spectrum(coarse / coarse.std())
    assert variance[2] > 4 * variance[0]


def test_a_gradient_is_no_noise() -> None:
    ramp = np.linspace(0, 100, 128, dtype=np.float32) * np.ones((128, 1), np.float32)
    assert (spectrum(ramp) < 1e-3).all()


def test_what_lies_under_an_opaque_droplet_is_not_seen() -> None:
    d = Droplets(2)
    d.x, d.y, d.r, d.body, d.opacity, d.level = 32, 32, [6.0, 12.0], 1.0, 1.0, 0.0
    painted = paint(np.zeros((64, 64), np.float32), d, bank()[0, 0])
    assert painted.seen[0] < 0.02 * painted.area[0]
    under, over = ratio(d, painted, 0.1)
    assert under < 0.05 * over


def test_sign_is_of_the_change() -> None:
    _, painted = spots([1.0, -1.0])
    np.testing.assert_array_equal(sign(painted), [1, -1])
    d = Droplets(1)
    d.x, d.y, d.r, d.body, d.light, d.light_strength = 32, 32, 10, 1.0, 1, 1.0
    assert sign(paint(np.zeros((64, 64), np.float32), d, bank()[0, 0]))[0] == 0


def test_what_clipping_takes_is_told() -> None:
    before = np.zeros((64, 64), np.float32)
    before[20:30, 20:30], before[40:50, 40:50] = 1.0, 1.0
    after = before.copy()
    after[40:50, 40:50] = 0.0
    x, r = np.array([24.5, 44.5]), np.array([5.0, 5.0])
    left, stray, contrast = surviving(before, after, x, x, r)
    np.testing.assert_allclose(left, [1, 0], atol=1e-6)
    np.testing.assert_allclose(stray, 0, atol=1e-6)
    # A square of 100 px in a disc of radius 6.75 px.
    np.testing.assert_allclose(contrast, [np.sqrt(100 / (np.pi * 6.75**2)), 0], rtol=0.05, atol=1e-6)


def test_what_nobody_sees_is_not_asked_for_however_little_noise_there_is() -> None:
    """People see differences of one to two parts in a hundred of a level, which are two to four of the range."""
    d, painted = spots([0.7, 0.7])
    seen, unseen = detectability(d, painted, np.full(LEVELS, 1e-12), 0.0, np.zeros(2), np.array([0.06, 0.01]))
    assert seen > 6
    assert unseen < 3


def test_a_faint_spot_on_the_flank_of_a_strong_one_is_masked() -> None:
    """Beside the strong one, three radii off, it is seen as if it were alone; a radius off it is not."""
    seen = []
    for far in (1.0, 3.5):
        d = Droplets(2)
        d.x, d.y, d.r, d.body, d.gauss = [30.0, 30.0 + far * 6], 32.0, [6.0, 4.0], [1.0, 0.08], 1.0
        seen.append(ratio(d, paint(np.zeros((64, 96), np.float32), d, bank()[0, 0]), 0.001))
    near, apart = seen
    assert near[0] > 6  # the strong one
    assert near[1] < 3
    assert apart[1] > 6


def test_equals_side_by_side_do_not_mask_each_other() -> None:
    d = Droplets(9)
    d.x, d.y = 30 + 12.0 * (np.arange(9) % 3), 30 + 12.0 * (np.arange(9) // 3)
    d.r, d.body, d.edge = 6.0, 1.0, 0.5
    assert ratio(d, paint(np.zeros((84, 84), np.float32), d, bank()[0, 0]), 0.001).min() > 6
