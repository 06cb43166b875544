"""Droplets out of focus among sharp ones, and light that slopes: what a joint fit says of them."""

import numpy as np
import pytest
from joint.blurred_discs import BLURRED, NOISE, SIDE, discs, fitted, noisy, places
from numpy.typing import NDArray

from pyrodrop.joint.joint_fit import JointFit
from pyrodrop.joint.one_by_one.own_edges import edge_scores, edges_differ, with_own_edges
from pyrodrop.joint.one_by_one.uneven_light import drift_of
from pyrodrop.joint.pixels import Pixels
from pyrodrop.joint.posterior import noise_by_light

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def some_blurred() -> tuple[Pixels, JointFit, Array]:
    droplets = places(1)
    image = noisy(discs(droplets[:, ~BLURRED], 0.7) + discs(droplets[:, BLURRED], 2.2), 1)
    return Pixels.of(image), fitted(image, droplets), droplets


def test_droplets_out_of_focus_have_edges_of_their_own(some_blurred: tuple[Pixels, JointFit, Array]) -> None:
    pixels, fit, droplets = some_blurred
    assert edges_differ(fit, pixels)[BLURRED].all()
    own = with_own_edges(fit, pixels)
    assert own.edges is not None
    assert own.edges[BLURRED] == pytest.approx(np.full(BLURRED.sum(), 2.2), rel=0.15)
    assert own.edges[~BLURRED] == pytest.approx(np.full((~BLURRED).sum(), 0.76), rel=0.15)
    z = (np.log(own.outlines[1][0]) - np.log(droplets[2])) / np.sqrt(own.posterior.covariance[:, 2, 2])
    assert np.abs(z).max() < 4
    assert np.abs(z[BLURRED]).mean() < 2
    worse = (np.log(fit.outlines[1][0]) - np.log(droplets[2])) / np.sqrt(fit.posterior.covariance[:, 2, 2])
    assert np.square(worse[BLURRED]).mean() > 4 * np.square(z[BLURRED]).mean()
    assert np.square(own.residuals.image).mean() < 0.9 * np.square(fit.residuals.image).mean()
    assert own.noise[0] == pytest.approx(NOISE, rel=0.05)


def test_edges_that_are_alike_stay_one() -> None:
    droplets = places(2)
    image = noisy(discs(droplets, 1.0), 2)
    fit = fitted(image, droplets)
    assert not edges_differ(fit, Pixels.of(image)).any()
    assert with_own_edges(fit, Pixels.of(image)) is fit
    assert 0.5 < np.square(edge_scores(fit, Pixels.of(image))).mean() < 2


@pytest.mark.parametrize(("multiplied", "share"), [(True, 1.0), (False, 0.0)])
def test_light_that_slopes_moves_centres_only_where_it_multiplies(multiplied: bool, share: float) -> None:
    droplets = places(5)
    slope = np.linspace(0.5, 1.5, SIDE)
    drawn = discs(droplets, 0.7)
    image = slope * (0.3 + drawn) if multiplied else slope * 0.3 + drawn
    fit = fitted(image + 0.004 * np.random.default_rng(6).standard_normal(image.shape), droplets)
    drift = drift_of(fit)
    assert drift.share == pytest.approx(share, abs=5 * drift.sd)
    assert drift.sd < 0.1
    off = fit.x - droplets[0]
    straight = off - drift.share * drift.by[:, 0]
    sd = np.sqrt(fit.posterior.covariance[:, 0, 0])
    assert np.square(straight / sd).mean() < 2
    if multiplied:
        assert np.square(off / sd).mean() > 4
        assert drift.by[:, 0] @ off > 0


def test_a_background_of_nothing_says_nothing_of_the_light() -> None:
    droplets = places(5)
    image = discs(droplets, 0.7) + 0.01 * np.random.default_rng(6).standard_normal((SIDE, SIDE))
    assert not drift_of(fitted(image, droplets)).by.any()


def test_noise_of_photons_is_larger_where_there_is_more_light() -> None:
    rng = np.random.default_rng(7)
    light = np.where(np.arange(100) < 50, 100.0, 400.0) * np.ones((1, 80, 1))
    shares = noise_by_light(light, rng.poisson(light) - light)
    assert shares[0, :, 0].mean() == pytest.approx(100 / 250, rel=0.1)
    assert shares[0, :, 99].mean() == pytest.approx(400 / 250, rel=0.1)
    assert (noise_by_light(light, rng.normal(0, 10, light.shape)) == 1).all()


def test_of_photons_bright_droplets_are_less_sure_than_dark_ones() -> None:
    droplets = places(8)
    dark = np.arange(16) % 2 == 0
    droplets[3], droplets[2] = np.where(dark, -0.3, 0.3), 6.0
    lit = 0.4 + discs(droplets, 0.7)
    fit = fitted(np.random.default_rng(8).poisson(500 * lit) / 500, droplets)
    sd = np.sqrt(fit.posterior.covariance[:, 3, 3])
    assert sd[~dark].mean() / sd[dark].mean() == pytest.approx(np.sqrt(0.7 / 0.1), rel=0.35)
