"""The joint fit on the second device: its pixels and all sums over them; the sparse factor is the host's."""

from dataclasses import replace
from typing import Any

import numpy as np
from devices.asking import question, slow_question, waits
from devices.second_device import NAME, SecondTensor

import pyrodrop
from pyrodrop.joint.joint_fit import JointFit, fit_jointly, refit_jointly
from pyrodrop.joint.one_by_one.own_edges import with_own_edges
from pyrodrop.joint.pixels import Pixels
from pyrodrop.rendering import PROFILES

SIZE = (60, 70)


def image_of(profile: str, channels: int, n: int = 6, size: tuple[int, int] = SIZE) -> tuple[np.ndarray, Any]:
    """An image (C, H, W) of droplets, and these."""
    planes = []
    for c in range(channels):
        image, truth = pyrodrop.simulate(n, size, seed=1, kind="gray", profile=profile, radius_px=(4.0, 6.0), noise=0.0)
        noise = np.random.default_rng(c).normal(0, 0.02, size)
        planes.append((1 - 0.3 * c) * image.channel("gray").double().numpy() + noise)
    return np.stack(planes), truth


def fitted(device: str, image: np.ndarray, truth: Any, profile: str, **how: Any) -> JointFit:
    places = truth.x_px + 0.4, truth.y_px - 0.3, 1.1 * truth.radius_px
    return fit_jointly(Pixels.of(image, device), *places, profile=profile, **how)


def went_on(device: str, image: np.ndarray, fit: JointFit) -> JointFit:
    """A fit on this device that begins where another ended."""
    begun = {"amplitude": fit.amplitude, "shape": fit.shape, "scales": fit.scales, "profile": fit.profile}
    return fit_jointly(Pixels.of(image, device), fit.x, fit.y, fit.r, **begun)


def assert_alike(here: JointFit, there: JointFit) -> None:
    """Mode, standard deviations and evidence of two fits are the same but for rounding."""
    sd = [np.sqrt(np.einsum("nii->ni", fit.posterior.covariance)) for fit in (here, there)]
    modes = [np.column_stack([fit.x, fit.y, fit.state.log_r, fit.amplitude.T]) for fit in (here, there)]
    assert np.abs((modes[1] - modes[0]) / sd[0]).max() < 0.01
    assert np.allclose(sd[1], sd[0], rtol=2e-3)
    assert np.allclose(there.noise, here.noise, rtol=1e-4)
    assert np.allclose(there.posterior.shape_sd, here.posterior.shape_sd, rtol=1e-2)
    assert abs(there.evidence.log_evidence - here.evidence.log_evidence) < 0.01
    assert np.allclose(there.evidence.log_bayes, here.evidence.log_bayes, atol=0.01, rtol=1e-3)
    assert np.allclose(there.residuals.image, here.residuals.image, atol=1e-3)


@question
def a_joint_fit_is_that_of_the_cpu() -> None:
    image, truth = image_of("disc", 1)
    assert isinstance(Pixels.of(image, NAME).image, SecondTensor)
    assert_alike(*(fitted(device, image, truth, "disc") for device in ("cpu", NAME)))


@slow_question
def a_joint_fit_is_that_of_the_cpu_for_every_profile_and_one_to_three_channels() -> None:
    """Radius and curve of a rimmed droplet make up for each other: where a descent along that ridge stops hangs on how
    sums are rounded. So it is from the CPU's mode that both go on.
    """
    for profile in PROFILES:
        for channels in (1, 2, 3):
            image, truth = image_of(profile, channels)
            mode = fitted("cpu", image, truth, profile)
            assert_alike(*(went_on(device, image, mode) for device in ("cpu", NAME)))


@question
def a_joint_fit_of_an_image_with_gaps_and_its_refit_are_those_of_the_cpu() -> None:
    image, truth = image_of("disc", 2)
    image[:, 20:27, 30:39] = np.nan
    fits = [fitted(device, image, truth, "disc") for device in ("cpu", NAME)]
    assert_alike(*fits)
    kept = np.arange(6) > 0
    places, none = (fits[0].x[kept], fits[0].y[kept], fits[0].r[kept]), (np.zeros(0),) * 3
    again = [
        refit_jointly(Pixels.of(image, d), f, kept, none, places) for d, f in zip(("cpu", NAME), fits, strict=True)
    ]
    assert_alike(*again)


@question
def edges_of_the_droplets_own_are_those_of_the_cpu() -> None:
    image, truth = image_of("disc", 1, 8, (90, 100))
    own = []
    for device in ("cpu", NAME):
        pixels = Pixels.of(image, device)
        fit = fitted(device, image, truth, "disc")
        # So sure of all that edges differ beyond chance.
        fit = replace(fit, posterior=fit.posterior._replace(inflation=1e-3 * fit.posterior.inflation))
        own.append(with_own_edges(fit, pixels))
    here, there = own
    assert here.edges is not None
    assert there.edges is not None
    assert np.allclose(there.edges, here.edges, rtol=1e-3)
    assert np.allclose(there.half_radius, here.half_radius, rtol=1e-4)


@question
def the_host_waits_no_more_often_for_a_step_of_more_droplets_in_a_larger_image() -> None:
    """What goes over is numbers of droplets, and what all share: so many times a step, for however many of them."""

    def a_step(n: int, size: tuple[int, int]) -> float:
        image, truth = image_of("disc", 1, n, size)
        places = truth.x_px, truth.y_px, truth.radius_px
        pixels = Pixels.of(image, NAME)

        def steps(number: int) -> None:
            fit = fit_jointly(pixels, *places, profile="disc", max_steps=number, tolerance=-1.0)
            assert fit.convergence.steps == number

        steps(1)  # what hangs on the pixels alone is found once
        return (waits(lambda: steps(4)) - waits(lambda: steps(1))) / 3

    few, many = a_step(6, SIZE), a_step(24, (120, 140))
    assert many <= few + 2
    assert few <= 40
