"""Priors of other families and noise that is not normal in the joint fit, held against the Pyro model itself."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from joint.scenes import Scene, scene
from pyro import poutine
from scipy import stats

from pyrodrop.joint.assumed.other_priors import OtherPrior
from pyrodrop.joint.assumed.weights import changed_weights, read_noise, weighed_again, weighed_at_first
from pyrodrop.joint.joint_fit import JointFit, fit_jointly, refit_jointly
from pyrodrop.joint.pixels import Pixels
from pyrodrop.joint.priors import Normal
from pyrodrop.joint.pyro_sites import model_of, sites_of
from pyrodrop.joint.sums.by_torch import ByTorch
from pyrodrop.joint.sums.compiled import COMPILED
from pyrodrop.models.assumed.noise_families import CameraNoise, NoiseFamily, StudentNoise
from pyrodrop.models.assumed.site_priors import prior_of, site_priors
from pyrodrop.models.multichannel_fit import sites_of_measured
from pyrodrop.models.prior_scales import PriorScales, image_scales
from pyrodrop.rendering import profile_named

PLACES = [[16.0, 18.0, 5.0, 0.4], [44.0, 20.0, 7.0, 0.25], [30.0, 46.0, 6.0, -0.3]]
GIVEN = {
    "r": dist.Gamma(30.0, 6.0),
    "amplitude": dist.StudentT(3.0, 0.2, 0.1),
    "bg": dist.StudentT(4.0, 0.3, 0.1),
    "noise": dist.HalfNormal(0.05),
    "edge": dist.Gamma(4.0, 4.0),
}


def scales_of(channels: Any, priors: dict[str, Any], profile: str, family: NoiseFamily | None = None) -> PriorScales:
    checked = site_priors(
        {name: prior for name, prior in priors.items() if name in sites_of_measured(profile)},
        sites_of_measured(profile),
    )
    scales = image_scales(np.asarray(channels), 6.0, 32.0)
    return replace(scales, priors=checked, **({} if family is None else {"family": family}))


def slopes(fit: JointFit, channels: Any) -> Any:
    """The slope of the Pyro model's log density by x, y, log r and amplitude, in standard deviations, (N, 4)."""
    sites = sites_of(fit, np.arange(len(fit.x)))
    free = {name: sites[name].clone().requires_grad_() for name in ("x", "y", "r", "amplitude")}
    model = model_of(torch.as_tensor(np.asarray(channels)), fit.scales, fit.profile, sites)
    total = poutine.trace(poutine.condition(model, data=sites | free)).get_trace().log_prob_sum()
    (total + free["r"].log().sum()).backward()
    by = {name: value.grad.numpy() for name, value in free.items()}
    gradient = np.column_stack([by["x"], by["y"], by["r"] * fit.r, by["amplitude"][0]])
    return gradient * np.sqrt(np.einsum("nii->ni", fit.posterior.covariance)) / fit.posterior.inflation


@pytest.mark.parametrize("profile", ["gaussian", "disc"])
def test_the_mode_with_other_priors_is_that_of_the_model(profile: str) -> None:
    image = scene(profile, PLACES, noise=0.08)
    scales = scales_of(image.image, GIVEN, profile)
    fit = fit_jointly(image.image, *image.start(), profile=profile, scales=scales, tolerance=1e-5, max_steps=200)
    assert np.abs(slopes(fit, image.image)).max() < 0.05
    usual = replace(fit, scales=replace(scales, priors=()))
    assert np.abs(slopes(usual, image.image)).max() > 0.1, "these priors do not matter, and the test says nothing"


def test_normal_priors_given_by_hand_are_the_models_own_to_the_bit() -> None:
    image = scene("disc", PLACES)
    usual = image_scales(image.image, 6.0)
    edge = profile_named("disc").parameters[0]
    as_given = {
        "r": dist.LogNormal(torch.tensor(np.log(usual.radius_px)), 1.0),
        "amplitude": dist.Normal(torch.zeros((), dtype=torch.float64), torch.tensor(usual.amplitude[0])),
        "noise": dist.LogNormal(torch.tensor(np.log(usual.noise[0])), 2.0),
        "edge": dist.LogNormal(edge.mean, edge.sd),
    }
    given = replace(usual, priors=site_priors(as_given, sites_of_measured("disc")))
    fits = [fit_jointly(image.image, *image.start(), profile="disc", scales=scales) for scales in (usual, given)]
    for name in ("x", "y", "log_r", "amplitude", "bg", "shape"):
        assert np.array_equal(*(getattr(fit.state, name) for fit in fits)), name
    assert np.array_equal(*(fit.posterior.covariance for fit in fits))
    assert fits[0].evidence.log_evidence == fits[1].evidence.log_evidence


def test_a_narrow_prior_of_radii_adds_its_precision() -> None:
    image = scene("gaussian", [[30.0, 30.0, 6.0, 0.2]], noise=0.05)
    mean, sd = np.log(6.2), 0.01
    free, held = (
        fit_jointly(
            image.image,
            *image.start(),
            profile="gaussian",
            scales=scales_of(image.image, priors, "gaussian"),
            tolerance=1e-5,
        )
        for priors in ({}, {"r": dist.LogNormal(torch.tensor(mean), sd)})
    )
    variances = [fit.posterior.covariance[0, 2, 2] / fit.posterior.inflation[0, 2] ** 2 for fit in (free, held)]
    by_image = 1 / variances[0] - 1.0  # the model's own prior is LogNormal(log 6, 1)
    middle = (free.state.log_r[0] / variances[0] - np.log(6.0)) / by_image
    precision = by_image + sd**-2.0
    assert abs(held.state.log_r[0] - free.state.log_r[0]) > sd
    assert held.state.log_r[0] == pytest.approx((by_image * middle + mean / sd**2) / precision, abs=0.2 * sd)
    assert variances[1] == pytest.approx(1 / precision, rel=0.1)


def test_a_prior_of_the_noise_is_heard() -> None:
    """On an image of few pixels, which says little of its noise."""
    image = scene("gaussian", [[8.0, 8.0, 3.0, 0.4]], size=(16, 16), noise=0.02)
    firm = {"noise": dist.LogNormal(torch.tensor(np.log(0.04)), 0.001)}
    fit = fit_jointly(image.image, *image.start(), profile="gaussian", scales=scales_of(image.image, firm, "gaussian"))
    assert fit.noise[0] == pytest.approx(0.04, rel=0.01)
    free = fit_jointly(image.image, *image.start(), profile="gaussian", scales=scales_of(image.image, {}, "gaussian"))
    assert free.noise[0] == pytest.approx(0.02, rel=0.15)


@pytest.mark.parametrize(
    ("prior", "logs", "at"), [("Gamma", True, 0.7), ("Laplace", False, 1.3), ("StudentT", False, 9.0)]
)
def test_slopes_and_curvatures_are_those_of_the_density(prior: str, logs: bool, at: float) -> None:
    made = {"Gamma": dist.Gamma(3.0, 0.5), "Laplace": dist.Laplace(0.0, 1.0), "StudentT": dist.StudentT(3.0, 0.0, 1.0)}
    other = OtherPrior(prior_of("r", made[prior]), logs, ())
    step = 1e-4
    below, here, above = (float(other.log_density(np.array(at + d))) for d in (-step, 0.0, step))
    assert float(other.slope(np.array(at))) == pytest.approx((below - above) / 2 / step, rel=1e-5, abs=1e-7)
    curvature = (2 * here - below - above) / step**2
    assert float(other.precision_at(np.array(at))) == pytest.approx(max(curvature, 1e-3 * other.sd**-2.0), abs=1e-5)


def test_dropping_a_height_costs_what_two_densities_differ_by() -> None:
    """Of a normal likelihood of precision p, log p(y | a) - log p(y | 0) is what the quadratic and ``without`` say."""
    p, y = 40.0, 0.9
    for prior in (Normal(np.array(0.3), np.array(0.5)), OtherPrior(prior_of("a", dist.Normal(0.25, 0.5)), False, ())):
        middle = float(prior.mean) if isinstance(prior, Normal) else 0.25
        a = (p * y + middle / 0.25) / (p + 4.0)
        gained = stats.norm.logpdf(y, a, p**-0.5) - stats.norm.logpdf(y, 0.0, p**-0.5)
        quadratic = a**2 * (p + float(prior.precision_at(np.array(a)))) / 2
        assert quadratic + float(prior.without(np.array(a))) / 2 == pytest.approx(gained, rel=1e-6)


def settled(image: Scene, family: NoiseFamily, priors: dict[str, Any] | None = None) -> tuple[Pixels, JointFit]:
    """A fit and its weights, until these change no more."""
    scales = scales_of(image.image, priors or {}, "disc", family)
    pixels = weighed_at_first(Pixels.of(image.image), family, scales.priors)
    fit = fit_jointly(pixels, *image.start(), profile="disc", scales=scales, tolerance=1e-5)
    nothing = (np.zeros(0),) * 3
    for _ in range(12):
        again = weighed_again(pixels, fit)
        close = changed_weights(pixels, again) < 1e-4
        pixels = again
        fit = refit_jointly(pixels, fit, np.ones(len(fit.x), bool), nothing, image.start(), tolerance=1e-6)
        if close:
            break
    return pixels, fit


def test_reweighting_ends_at_the_mode_of_students_noise() -> None:
    image = scene("disc", PLACES)
    g = np.random.default_rng(1)
    spoiled = image._replace(image=image.image + 0.02 * g.standard_t(2.0, image.image.shape))
    _, fit = settled(spoiled, StudentNoise(4.0))
    assert np.abs(slopes(fit, spoiled.image)).max() < 0.05
    normal = fit_jointly(spoiled.image, *image.start(), profile="disc", scales=replace(fit.scales))
    assert np.abs(slopes(normal, spoiled.image)).max() > 0.5, "weights do not matter, and the test says nothing"


def test_reweighting_ends_nearly_at_the_mode_of_a_cameras_noise() -> None:
    """What variances say of the light is left out: with a hundred electrons a pixel and less, some percent."""
    image = scene("disc", PLACES, noise=0.0)
    g = np.random.default_rng(1)
    photons = image._replace(image=g.poisson(image.image * 300) / 300 + g.normal(0, 0.01, image.image.shape))
    pixels, fit = settled(photons, CameraNoise(1 / 300))
    assert np.abs(slopes(fit, photons.image)).max() < 0.4
    assert fit.noise_scale[0] == pytest.approx(0.01, rel=0.4)
    assert pixels.weights is not None
    light = photons.image[0] - fit.residuals.image[0] / pixels.weights.root
    variance = fit.noise[0] ** 2 / pixels.weights.root**2
    np.testing.assert_allclose(variance, 0.01**2 + light / 300, rtol=0.1)


def test_the_read_noise_is_found_and_its_prior_heard() -> None:
    g = np.random.default_rng(0)
    light = g.uniform(0.0, 0.5, 20_000)
    residual = np.sqrt(0.02**2 + 0.001 * light) * g.standard_normal(light.shape)
    family = CameraNoise(0.001)
    assert read_noise(family, light, residual, None) == pytest.approx(0.02, rel=0.03)
    firm = prior_of("noise", dist.LogNormal(torch.tensor(np.log(0.015)), 1e-4))
    assert read_noise(family, light, residual, firm) == pytest.approx(0.015, rel=0.01)


def test_weights_of_one_are_no_weights() -> None:
    """Student's noise of very many degrees of freedom is normal, and so is the fit, but for rounding."""
    image = scene("disc", PLACES)
    _, fit = settled(image, StudentNoise(1e7))
    normal = fit_jointly(image.image, *image.start(), profile="disc", scales=replace(fit.scales), tolerance=1e-6)
    away = np.abs(fit.state.amplitude - normal.state.amplitude) / np.sqrt(normal.posterior.covariance[:, 3, 3])
    assert away.max() < 0.02
    assert fit.noise[0] == pytest.approx(normal.noise[0], rel=1e-3)
    np.testing.assert_allclose(fit.posterior.covariance, normal.posterior.covariance, rtol=0.02, atol=1e-7)


def test_a_part_of_the_pixels_keeps_its_weights() -> None:
    image = scene("disc", PLACES)
    pixels = weighed_at_first(Pixels.of(image.image), StudentNoise(), ())
    part = pixels.part(slice(3, 30), slice(5, 40))
    assert pixels.weights is not None
    assert part.weights is not None
    assert np.array_equal(part.weights.root, pixels.weights.root[3:30, 5:40])
    assert part.digest != Pixels.of(part.channels).digest


def test_the_sums_of_torch_weigh_pixels_alike() -> None:
    image = scene("disc", PLACES)
    image.image[0, 40:, 40:] = np.nan
    scales = scales_of(np.nan_to_num(image.image, nan=0.3), GIVEN, "disc", StudentNoise())
    made = []
    for engine in (COMPILED, ByTorch(torch.device("cpu"))):
        pixels = weighed_at_first(Pixels(image.image, engine), StudentNoise(), scales.priors)
        fit = fit_jointly(pixels, *image.start(), profile="disc", scales=scales, tolerance=1e-6)
        made.append(refit_jointly(weighed_again(pixels, fit), fit, np.ones(3, bool), (np.zeros(0),) * 3, image.start()))
    sd = np.sqrt(made[0].posterior.covariance[:, 2, 2])
    assert np.abs((made[0].state.log_r - made[1].state.log_r) / sd).max() < 0.02
    np.testing.assert_allclose(made[0].posterior.covariance, made[1].posterior.covariance, rtol=0.01, atol=1e-8)
