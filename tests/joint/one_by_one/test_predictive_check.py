"""A predictive check is uniform where the model is true, and sees each way in which it is not."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, kstest

from pyrodrop.joint.one_by_one.one_droplet import LocalView
from pyrodrop.joint.one_by_one.predictive_check import FittedDroplets, PredictiveCheck, predictive_check
from pyrodrop.rendering import profile_named
from pyrodrop.rendering.kernels.columns import columns_of_droplets

Array = NDArray[np.float64]
SIZE, NOISE = (60, 70), np.array([0.02])
DROPLETS = FittedDroplets(
    profile_named("disc"),
    np.array([15.0, 40.3, 55.0]),
    np.array([17.2, 20.0, 44.0]),
    np.array([6.0, 4.0, 8.5]),
    np.array([0.9]),
    np.array([[0.3, 0.2, 0.4]]),
)


@pytest.fixture(scope="module")
def basis() -> Array:
    """An orthonormal basis of what a linear fit of the droplets takes from an image, (pixels, 12)."""
    profile = DROPLETS.profile
    columns = columns_of_droplets(profile, DROPLETS.x, DROPLETS.y, DROPLETS.r, DROPLETS.shape, SIZE, profile.left_out)
    matrix = []
    for k in range(3):
        view = LocalView.of(columns, k)
        for derivative in view.derivatives(DROPLETS.amplitude[:, k], NOISE).T:
            whole = np.zeros(SIZE)
            whole[view.window] = derivative.reshape(view.pictures.shape[1:])
            matrix.append(whole.ravel())
    return np.linalg.qr(np.array(matrix).T)[0]


def left_of(image: Array, basis: Array) -> Array:
    """What a linear fit leaves of an image, (1, H, W)."""
    return (image.ravel() - basis @ (basis.T @ image.ravel())).reshape(1, *SIZE)


def noise(seed: int) -> Array:
    return np.random.default_rng(seed).normal(0, NOISE[0], SIZE)


def checked(residual: Array, known: NDArray[np.bool_] | None = None) -> PredictiveCheck:
    return predictive_check(DROPLETS, residual, NOISE, 0, known)


def test_where_the_model_is_true_the_probabilities_are_uniform(basis: Array) -> None:
    checks = np.array([checked(left_of(noise(seed), basis)) for seed in range(400)])
    assert kstest(checks[:, 0], "uniform").pvalue > 0.01
    assert kstest(checks[:, 1], "uniform").pvalue > 0.01
    alarms = int((2 * checks.min(1) < 0.05).sum())
    assert binom.ppf(0.005, 400, 0.05) <= alarms <= binom.ppf(0.995, 400, 0.05)


def test_a_rim_that_the_profile_has_not_shows_in_the_rings(basis: Array) -> None:
    row, column = np.mgrid[: SIZE[0], : SIZE[1]]
    distance = np.hypot(column - 55.0, row - 44.0)
    rimmed = noise(1) + 0.08 * np.exp(-(((distance - 7.5) / 1.2) ** 2))
    assert checked(left_of(rimmed, basis)).rings < 1e-6
    assert checked(left_of(noise(1), basis)).rings > 0.01


def test_structure_far_from_droplets_shows_in_neighbouring_pixels(basis: Array) -> None:
    striped = noise(2)
    striped[2:4] += 0.1
    check = checked(left_of(striped, basis))
    assert check.neighbours < 1e-6
    assert check.rings > 0.01
    assert check.p_value == pytest.approx(2 * check.neighbours)
    # Nothing is asked of what was not looked at.
    known = np.ones(SIZE, bool)
    known[1:5] = False
    assert checked(left_of(striped, basis), known).neighbours > 0.01


def test_without_droplets_only_neighbours_say_something() -> None:
    empty = DROPLETS._replace(**{name: np.zeros(0) for name in "xyr"}, amplitude=np.zeros((1, 0)))
    check = predictive_check(empty, noise(3)[None], NOISE, 0)
    assert check.rings == 1.0
    assert 0.01 < check.neighbours < 0.99
