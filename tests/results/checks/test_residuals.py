"""The residual: noise alone passes, and each way of not fitting is told."""

import numpy as np
import pytest
import torch

from pyrodrop.results.checks.residuals import droplet_residuals, image_fit, residual_map
from pyrodrop.results.statistics.sizes import size_statistics

SIZE = (80, 100)


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SIZE)


def bump(x: float, y: float, r: float) -> np.ndarray:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * r**2))


def test_the_map_is_in_units_of_the_noise() -> None:
    channel, prediction = torch.full((3, 4), 0.5), torch.full((3, 4), 0.4, requires_grad=True)
    np.testing.assert_allclose(residual_map(channel, prediction, 0.05), np.full((3, 4), 2.0), rtol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_noise_alone_fits(seed: int) -> None:
    fit = image_fit(noise(seed), 0)
    assert fit.fits
    assert fit.degrees_of_freedom == 8000
    # The standard deviation of the reduced chi-square is sqrt(2 / n).
    assert abs(fit.reduced_chi_square - 1) < 5 * np.sqrt(2 / 8000)
    assert "fits" in fit.verdict


def test_parameters_take_degrees_of_freedom() -> None:
    """Noise that is fitted by 2,000 free basis images leaves a smaller sum, but the same reduced chi-square."""
    generator = np.random.default_rng(1)
    left = noise().ravel()
    left[generator.permutation(8000)[:2000]] = 0.0
    fit = image_fit(left.reshape(SIZE), 2000)
    assert abs(fit.reduced_chi_square - 1) < 5 * np.sqrt(2 / 6000)


@pytest.mark.parametrize(
    ("residual", "said"),
    [
        (2 * noise(), "2.0 times the noise"),
        (0.3 * noise(), "noise is smaller than was taken"),
        (noise() + 12 * bump(40, 40, 10), "neighbouring"),
        # The noise was fitted too and has taken in the misfit: the sum of squares looks well, the map does not.
        ((noise() + 5 * bump(40, 40, 12)) / (noise() + 5 * bump(40, 40, 12)).std(), "neighbouring"),
    ],
)
def test_a_misfit_is_told(residual: np.ndarray, said: str) -> None:
    fit = image_fit(residual, 10)
    assert not fit.fits
    assert said in fit.verdict
    assert fit.verdict.startswith("the model does not fit")


def test_outliers_are_counted() -> None:
    left = np.zeros(SIZE)
    left[3, 5:9] = -4.5
    assert image_fit(left, 0).beyond_4_sigma == 4 / 8000


def test_inside_a_circle_are_the_pixels_whose_centres_are() -> None:
    left = noise()
    x, y, r = np.array([40.3, 0.0, -50.0, 99.0]), np.array([20.8, 0.0, -50.0, 79.5]), np.array([7.2, 4.0, 3.0, 5.5])
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    found = droplet_residuals(left, x, y, r)
    for k in range(4):
        inside = (columns - x[k]) ** 2 + (rows - y[k]) ** 2 <= r[k] ** 2
        assert found.pixels[k] == inside.sum()
        assert found.chi_square[k] == pytest.approx((left[inside] ** 2).sum())
    assert np.isnan(found.reduced[2])
    assert np.isnan(found.sigmas[2])
    assert np.abs(found.sigmas[[0, 1, 3]]).max() < 4


def test_sigmas_are_standard_normal_for_noise() -> None:
    generator = np.random.default_rng(5)
    left = generator.standard_normal((400, 400))
    x, y = np.meshgrid(np.arange(8.0, 400, 16), np.arange(8.0, 400, 16))
    sigmas = droplet_residuals(left, x.ravel(), y.ravel(), np.full(x.size, 5.0)).sigmas
    assert abs(sigmas.mean()) < 5 / np.sqrt(625)
    assert abs(sigmas.std() - 1) < 5 / np.sqrt(2 * 625)


def test_no_droplets_leave_nothing_inside() -> None:
    assert droplet_residuals(noise(), [], [], []).reduced.shape == (0,)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="give both"):
        residual_map(torch.zeros(3, 4), torch.zeros(4, 3), 0.1)
    with pytest.raises(ValueError, match="noise is 0"):
        residual_map(torch.zeros(3, 4), torch.zeros(3, 4), 0.0)
    with pytest.raises(ValueError, match="more pixels than"):
        image_fit(np.zeros((2, 2)), 4)
    with pytest.raises(ValueError, match="at least 2 x 2"):
        image_fit(np.zeros(5), 0)
    with pytest.raises(ValueError, match="finite"):
        image_fit(np.full((3, 3), np.nan), 0)


def test_a_constant_image_is_told_so_and_neither_too_wide_nor_too_narrow() -> None:
    fit = image_fit(np.zeros((20, 30)), 3)
    said = "the image is constant, or smooth to the last digit: there is no noise that a droplet could be told from"
    assert fit.warnings == (said,)
    assert size_statistics(np.empty((4, 0)), np.empty(0), replicates=50).warnings == ()
