"""A fit in a window: the joint fit itself where all is free and seen, and the same droplets where others are held."""

import numpy as np
import pytest
import torch

from pyrodrop.joint.joint_fit import JointFit, fit_jointly
from pyrodrop.joint.priors import Normal
from pyrodrop.joint.windowed.window_fit import (
    Window,
    control_points,
    held_image,
    shape_prior_of,
    window_around,
)
from pyrodrop.models.bspline_background import spline_basis
from pyrodrop.rendering import profile_named, render

SIZE = (160, 220)


@pytest.fixture(scope="module")
def fitted() -> tuple[np.ndarray, JointFit]:
    """An image of eight discs, two of which meet, and its joint fit."""
    x, y = np.array([30, 43, 90, 150, 190, 60, 120, 180.0]), np.array([30, 33, 40, 30, 60, 120, 110, 125.0])
    r = np.linspace(6, 9, 8)
    drawn = render(
        *(torch.tensor(v) for v in (x, y, r, np.full(8, 0.3))),
        0.4,
        SIZE,
        profile="disc",
        shape=torch.tensor([1.0], dtype=torch.float64),
    )
    image = (drawn.numpy() + 0.02 * np.random.default_rng(0).standard_normal(SIZE))[None]
    return image, fit_jointly(image, x, y, r, profile="disc", tolerance=1e-6)


def window_of(image: np.ndarray, fit: JointFit, free: np.ndarray, part: tuple[slice, slice]) -> Window:
    """A window of the image in which some droplets of the fit are free."""
    within = (slice(None), *part)
    background = fit.background.astype(np.float64)[within]
    residual = fit.residuals.image.astype(np.float64)
    squares, inside = (np.square(each).sum((1, 2)) for each in (residual, residual[within]))
    told = np.square(fit.amplitude[0]) * fit.r**2
    profile = profile_named("disc")
    sd = fit.posterior.shape_sd / fit.shape
    return Window(
        part[0].start,
        part[1].start,
        image[within],
        background,
        held_image(background, "disc", fit.scales, fit.state.those(~free), *part),
        "disc",
        fit.scales,
        fit.shape,
        shape_prior_of(fit.priors.shape, profile.unconstrained(fit.shape), sd, float(told[~free].sum() / told.sum())),
        squares - inside,
        squares / fit.noise**2,
    )


def again(window: Window, fit: JointFit, free: np.ndarray) -> JointFit:
    """The free droplets, from beside where they were."""
    state = window.state(fit.x[free], fit.y[free], fit.r[free], fit.amplitude[:, free])
    begin = window.state(fit.x[free] + 0.3, fit.y[free] - 0.3, 1.03 * fit.r[free], 0.95 * fit.amplitude[:, free])
    return window.fit(begin, state)


def test_with_all_droplets_free_in_all_of_the_image_it_is_the_joint_fit(
    fitted: tuple[np.ndarray, JointFit],
) -> None:
    image, fit = fitted
    everything = np.ones(8, bool)
    made = again(window_of(image, fit, everything, (slice(0, SIZE[0]), slice(0, SIZE[1]))), fit, everything)
    sd = np.sqrt(np.einsum("nii->ni", fit.posterior.covariance))
    assert (np.abs(made.x - fit.x) < 0.02 * sd[:, 0]).all()
    assert (np.abs(np.log(made.r / fit.r)) < 0.05 * sd[:, 2]).all()
    assert np.allclose(made.posterior.covariance, fit.posterior.covariance, rtol=0.02, atol=1e-9)
    assert made.noise == pytest.approx(fit.noise, rel=1e-3)
    assert made.shape == pytest.approx(fit.shape, rel=1e-3)
    assert np.abs(made.background - fit.background).max() < 1e-3 * fit.noise[0]


def test_some_droplets_are_where_the_joint_fit_has_them_and_as_sure(fitted: tuple[np.ndarray, JointFit]) -> None:
    image, fit = fitted
    free = np.arange(8) < 2
    made = again(window_of(image, fit, free, (slice(0, 95), slice(0, 110))), fit, free)
    sd = np.sqrt(np.einsum("nii->ni", fit.posterior.covariance)[free])
    own = np.sqrt(np.einsum("nii->ni", made.posterior.covariance))
    assert (np.abs(made.x - fit.x[free]) < 0.1 * sd[:, 0]).all()
    assert (np.abs(np.log(made.r / fit.r[free])) < 0.25 * sd[:, 2]).all()
    assert np.allclose(own, sd, rtol=0.15)
    assert made.noise == pytest.approx(fit.noise, rel=0.01)


def test_what_held_droplets_say_is_their_share_of_what_all_say() -> None:
    prior = Normal(np.array([0.0]), np.array([1.0]))
    none, half, every = (shape_prior_of(prior, np.array([0.4]), np.array([0.1]), share) for share in (0.0, 0.5, 1.0))
    assert (none.mean, none.sd) == (prior.mean, prior.sd)
    assert half.precision == pytest.approx(1 + 99 / 2)
    assert every.sd == pytest.approx(0.1)
    # With the prior itself taken off, the mode is that of all droplets.
    assert every.mean == pytest.approx(0.4 * 99 / 100)


def test_control_points_of_splines_are_theirs() -> None:
    down, along = (spline_basis(side, 40.0) for side in SIZE)
    points = np.random.default_rng(1).standard_normal((2, down.shape[1], along.shape[1]))
    assert control_points(down @ points @ along.T, 40.0) == pytest.approx(points)


def test_a_window_that_is_most_of_the_image_is_all_of_it() -> None:
    low, high = np.array([[40.0, 50.0]]), np.array([[60.0, 70.0]])
    assert window_around(low, high, 10.0, SIZE) == (slice(40, 81), slice(30, 71))
    assert window_around(low, high, 90.0, SIZE) == (slice(0, 160), slice(0, 220))
