"""Droplets told from clutter by what the circles of an image are like: clutter is weaker, not only less round."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pyrodrop.detection.circles import RAYS, Circles
from pyrodrop.detection.population import presence, two_populations
from pyrodrop.detection.selection import STRAY

Array = NDArray[np.float64]


def circles(features: Array) -> Circles:
    """Bright circles far out of the noise, of these logs of strength times radius and of roundness, (n, 2)."""
    n = len(features)
    one, r = np.ones(n), np.full(n, 8.0)
    misfit = STRAY * np.sqrt(np.maximum(-features[:, 1], 0.0))
    strength = np.exp(features[:, 0]) / r
    return Circles(one, one, r, one, one, one, strength, 100 * one, misfit, 0 * one, one, np.ones((n, RAYS)))


def counted(features: Array) -> int:
    return int((presence(circles(features), np.ones(len(features))) >= 0.5).sum())


def normal(generator: np.random.Generator, n: int, mean: tuple[float, float], sd: tuple[float, float]) -> Array:
    drawn = generator.normal(mean, sd, (n, 2))
    drawn[:, 1] = np.minimum(drawn[:, 1], 0.0)
    return drawn


def micrograph(seed: int, n: int) -> Array:
    """As in the post's micrograph: droplets of all sizes, the larger ones less round, and some that are hardly circles.

    The likelihood of two populations has two tops here. Which is the higher one is the same in all parts.
    """
    generator = np.random.default_rng(seed)
    kinds = [(0.40, (-2.15, -0.5), (0.65, 0.4)), (0.42, (-1.9, -1.5), (0.65, 0.7)), (0.18, (-2.25, -3.0), (0.35, 0.9))]
    drawn = np.concatenate([normal(generator, round(share * n), mean, sd) for share, mean, sd in kinds])
    return generator.permutation(drawn)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_parts_of_an_image_add_up_to_the_whole(seed: int) -> None:
    whole = micrograph(seed, 3600)
    parts = [counted(part) for part in np.array_split(whole, 4)]
    assert abs(sum(parts) / counted(whole) - 1) < 0.02


@pytest.mark.parametrize("seed", range(4))
def test_a_few_astray_do_not_make_clutter_of_all_that_are_as_strong(seed: int) -> None:
    generator = np.random.default_rng(seed)
    droplets = normal(generator, 128, (-1.91, -0.55), (0.15, 0.4))
    assert counted(np.concatenate([droplets, [[-1.97, -4.9], [-1.96, -5.1]]])) >= 126


@pytest.mark.parametrize("seed", range(4))
def test_what_is_much_weaker_and_astray_is_clutter(seed: int) -> None:
    generator = np.random.default_rng(seed)
    droplets = normal(generator, 40, (0.0, -0.2), (0.3, 0.2))
    clutter = normal(generator, 60, (-2.3, -3.5), (0.4, 0.8))
    assert 38 <= counted(np.concatenate([droplets, clutter])) <= 42


@pytest.mark.parametrize("seed", range(4))
def test_the_population_of_more_worth_comes_second(seed: int) -> None:
    mixture = two_populations(micrograph(seed, 900))
    assert mixture is not None
    assert mixture.mean[0].sum() <= mixture.mean[1].sum()


def test_one_population_is_not_taken_for_two() -> None:
    assert two_populations(np.random.default_rng(0).normal((0.0, -5.0), (0.6, 0.6), (300, 2))) is None
