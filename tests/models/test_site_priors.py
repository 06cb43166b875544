"""Priors and noise families as arguments of the models: defaults to the bit, densities in closed form, refusals."""

import math
from functools import partial
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from models.channel_scenes import SCENE
from pyro import poutine
from pyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from scipy import stats

from pyrodrop.models import CameraNoise, StudentNoise, channel_fit
from pyrodrop.models.assumed.noise_families import NORMAL, noise_as_dict, noise_family, noise_of_dict
from pyrodrop.models.assumed.site_priors import site_priors
from pyrodrop.models.channel_fit import SITES, USUAL
from pyrodrop.models.multichannel_fit import measured
from pyrodrop.models.prior_scales import image_scales

CHANNEL = torch.tensor(SCENE.channel)
H, W = SCENE.size
JOB = (W, H, len(SCENE.x), CHANNEL, SCENE.error_scale)
SCALES = image_scales(SCENE.channel[None], 2.0)
PLACES = {"x": torch.tensor([1.5, 4.0]), "y": torch.tensor([2.0, 3.0]), "r": torch.tensor([1.0, 2.0])}


def density(model: Any, values: dict[str, Any]) -> torch.Tensor:
    return poutine.trace(poutine.condition(model, data=values)).get_trace().log_prob_sum()


def as_given() -> dict[str, Any]:
    return {prior.site: prior.like(CHANNEL) for prior in USUAL}


@pytest.mark.parametrize("with_val", [True, False])
def test_the_priors_of_the_model_given_by_hand_change_no_bit(with_val: bool) -> None:
    usual = density(partial(channel_fit, *JOB, with_val), SCENE.sites())
    given = density(partial(channel_fit, *JOB, with_val, priors=as_given(), noise="normal"), SCENE.sites())
    assert float(given) == float(usual)


def test_priors_that_the_model_has_anyway_are_not_kept() -> None:
    assert site_priors(as_given(), SITES, USUAL) == ()


def test_a_prior_stands_in_the_place_of_the_models_own() -> None:
    given = {"r": dist.Gamma(3.0, 0.5), "amplitude": dist.Normal(0.25, 0.125), "bg": dist.Beta(2.0, 5.0)}
    changed = density(partial(channel_fit, *JOB, priors=given), SCENE.sites())
    usual = density(partial(channel_fit, *JOB), SCENE.sites())
    expected = (
        stats.gamma.logpdf(SCENE.r, 3, scale=2) - stats.lognorm.logpdf(SCENE.r, 0.75, scale=math.exp(1.5))
    ).sum()
    expected += stats.norm.logpdf(SCENE.amplitude, 0.25, 0.125).sum()
    expected += stats.beta.logpdf(SCENE.bg, 2, 5)
    assert float(changed - usual) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("known", [None, torch.arange(H * W).reshape(H, W) % 3 > 0])
@pytest.mark.parametrize("noise", [StudentNoise(3.0), CameraNoise(0.05, 0.1)])
def test_noise_families_in_closed_form(noise: Any, known: torch.Tensor | None) -> None:
    model = partial(channel_fit, *JOB, False, known, noise=noise)
    trace = poutine.trace(poutine.condition(model, data=SCENE.sites())).get_trace()
    trace.compute_log_prob()
    val = SCENE.distribution().mean.numpy()
    if isinstance(noise, StudentNoise):
        expected = stats.t.logpdf(SCENE.channel, 3.0, val, SCENE.error_scale)
    else:
        sd = np.sqrt(SCENE.error_scale**2 + 0.05 * np.maximum(val - 0.1, 0))
        expected = stats.norm.logpdf(SCENE.channel, val, sd)
    here = np.ones((H, W), bool) if known is None else known.numpy()
    assert float(trace.nodes["obs"]["log_prob"].sum()) == pytest.approx(expected[here].sum(), rel=1e-9)


@pytest.mark.global_rng
@pytest.mark.parametrize("profile", ["gaussian", "disc", "rimmed"])
@pytest.mark.parametrize("noise", ["normal", "student", CameraNoise(0.01)])
def test_measured_takes_priors_and_noise(profile: str, noise: Any) -> None:
    priors = {"r": dist.LogNormal(0.5, 0.3), "amplitude": dist.StudentT(3.0, 0.0, 0.5), "noise": dist.HalfNormal(0.1)}
    pyro.set_rng_seed(0)
    model = partial(measured, CHANNEL[None], 2, SCALES, profile, priors=priors, noise=noise)
    draws = Predictive(poutine.uncondition(model), num_samples=5)()
    assert draws["obs"].shape == (5, 1, 1, 1, H, W)
    trace = poutine.trace(model).get_trace()
    assert type(trace.nodes["amplitude"]["fn"]).__name__ == "StudentT"
    assert bool(torch.isfinite(trace.log_prob_sum()))


@pytest.mark.global_rng
@pytest.mark.parametrize("noise", ["student", CameraNoise(0.01)])
def test_svi_nuts_and_predictive_work_with_them(noise: Any) -> None:
    priors = {"r": dist.LogNormal(0.5, 0.3)}
    fit = partial(channel_fit, W, H, 2, CHANNEL.float(), 0.2, priors=priors, noise=noise)
    joint = partial(measured, CHANNEL[None].float(), 2, SCALES, "gaussian", priors=priors, noise=noise)
    for model in (fit, joint):
        pyro.clear_param_store()
        pyro.set_rng_seed(0)
        guide = AutoNormal(model)
        svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.05}), Trace_ELBO())
        losses = [svi.step() for _ in range(150)]
        assert np.mean(losses[-20:]) < np.mean(losses[:20])
        drawn = Predictive(model, guide=guide, num_samples=7, parallel=True)()
        assert all(bool(value.isfinite().all()) for value in drawn.values())
        chain = MCMC(
            NUTS(model, jit_compile=False, max_tree_depth=4), num_samples=5, warmup_steps=5, disable_progbar=True
        )
        chain.run()
        assert bool(chain.get_samples()["r"].isfinite().all())


@pytest.mark.parametrize(
    ("priors", "words"),
    [
        ({"radius": dist.LogNormal(1.0, 0.1)}, ["'radius'", "bg, x, y, r, amplitude"]),
        ({"r": dist.Normal(4.0, 1.0)}, ["'r'", "Normal(loc=4.0, scale=1.0)", "above 0", "LogNormal"]),
        ({"x": dist.Uniform(0.0, 64.0)}, ["'x'", "from 0 to 64", "from 0 to 1"]),
        ({"r": dist.LogNormal(torch.zeros(3), 1.0)}, ["'r'", "(3,)", "shape ()"]),
        ({"r": dist.Poisson(4.0)}, ["'r'", "Poisson", "continuous"]),
        ({"r": 4.0}, ["'r'", "4.0", "distribution"]),
        (
            {"r": dist.TransformedDistribution(dist.Normal(0.0, 1.0), [torch.distributions.ExpTransform()])},
            ["'r'", "TransformedDistribution", "LogNormal"],
        ),
    ],
)
def test_priors_that_cannot_be_are_refused_in_a_line(priors: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ValueError, match=r".+") as refused:
        channel_fit(*JOB, priors=priors)
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in words), refused.value


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        ("camera", ["gain"]),
        ("poisson", ["'poisson'", "'student'", "CameraNoise"]),
        (dist.StudentT(4.0), ["StudentT", "'student'"]),
        (None, ["None"]),
    ],
)
def test_noises_that_cannot_be_are_refused_in_a_line(noise: Any, words: list[str]) -> None:
    with pytest.raises(ValueError, match=r".+") as refused:
        channel_fit(*JOB, noise=noise)
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in words), refused.value


@pytest.mark.parametrize(
    "made", [partial(StudentNoise, 0.0), partial(CameraNoise, -1.0), partial(CameraNoise, math.nan)]
)
def test_parameters_of_a_noise_out_of_range_are_refused(made: Any) -> None:
    with pytest.raises(ValueError, match="finite number"):
        made()


@pytest.mark.parametrize("family", [NORMAL, StudentNoise(2.5), CameraNoise(0.1, 0.02)])
def test_a_noise_comes_back_from_words_and_numbers(family: Any) -> None:
    assert noise_of_dict(noise_as_dict(family)) == family
    assert noise_family(family) == family


def test_students_weights_are_those_of_its_slope() -> None:
    """The slope of log t is that of a normal whose precision is the weight over scale^2: what reweighting stands on."""
    residual = torch.linspace(-9.0, 9.0, 41, dtype=torch.float64, requires_grad=True)
    family = StudentNoise(3.0)
    family.around(torch.zeros(41, dtype=torch.float64), 0.7).log_prob(residual).sum().backward()
    weights = family.weights(residual.detach(), None, 0.7)
    torch.testing.assert_close(residual.grad, -weights * residual.detach() / 0.7**2)
