"""Model 3 and its image distribution against closed forms written here, and under stock Pyro."""

import math
from functools import partial
from typing import Any

import numpy as np
import pyro
import pytest
import torch
from hypothesis import given, settings
from models.channel_scenes import LATENT, SCENE, Numbers, Scene, assert_gradient, closed_form, scenes
from pyro import poutine
from pyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO
from pyro.infer.autoguide import AutoLaplaceApproximation, AutoNormal
from pyro.infer.autoguide.initialization import init_to_uniform, init_to_value
from scipy import stats
from torch import Tensor
from torch.distributions import biject_to, constraints

from pyrodrop.models import channel_fit
from pyrodrop.rendering import render

WITH_VAL = pytest.mark.parametrize("with_val", [True, False], ids=["with val", "in one pass"])


def model_closed_form(s: Scene) -> tuple[float, dict[str, Numbers]]:
    """Log density of model 3 and its gradient by its sites: the likelihood, and the prior of the radii."""
    h, w = s.size
    _, likelihood, by = closed_form(s)
    prior = stats.lognorm.logpdf(s.r, 0.75, scale=math.exp(1.5)).sum()
    by_radius = by["r"] - (1 + (np.log(s.r) - 1.5) / 0.75**2) / s.r
    return likelihood + prior, by | {"x": by["x"] * w, "y": by["y"] * h, "r": by_radius}


def model(s: Scene, with_val: bool = True) -> partial[None]:
    h, w = s.size
    return partial(channel_fit, w, h, len(s.x), torch.tensor(s.channel), s.error_scale, with_val)


def trace_of(s: Scene, values: dict[str, Tensor], with_val: bool = True) -> Any:
    return poutine.trace(poutine.condition(model(s, with_val), data=values)).get_trace()


def density_and_gradient(s: Scene, with_val: bool) -> tuple[Tensor, dict[str, Tensor]]:
    leaves = {name: value.requires_grad_() for name, value in s.sites().items()}
    density = trace_of(s, leaves, with_val).log_prob_sum()
    return density.detach(), dict(zip(leaves, torch.autograd.grad(density, list(leaves.values())), strict=True))


@WITH_VAL
@settings(max_examples=40, deadline=None)
@given(s=scenes())
def test_log_density_and_gradient_are_the_closed_form(with_val: bool, s: Scene) -> None:
    density, gradient = density_and_gradient(s, with_val)
    expected, by_hand = model_closed_form(s)
    assert density.dtype == torch.float64
    assert float(density) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert_gradient(gradient, by_hand)


@settings(max_examples=20, deadline=None)
@given(s=scenes())
def test_with_and_without_val_are_one_density(s: Scene) -> None:
    (density, gradient), (fused, fused_gradient) = (density_and_gradient(s, with_val) for with_val in (True, False))
    assert float(fused) == pytest.approx(float(density), rel=1e-12, abs=1e-9)
    for name, expected in gradient.items():
        torch.testing.assert_close(fused_gradient[name], expected, rtol=1e-10, atol=1e-10 * float(expected.abs().max()))


@settings(max_examples=40, deadline=None)
@given(s=scenes(outside=True))
def test_val_and_diff_are_the_rendered_image_wherever_the_centres_lie(s: Scene) -> None:
    nodes = trace_of(s, s.sites()).nodes
    image = closed_form(s).image
    np.testing.assert_allclose(nodes["val"]["value"].numpy(), image, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(nodes["diff"]["value"].numpy(), image - s.channel, rtol=1e-9, atol=1e-9)
    assert torch.equal(nodes["obs"]["value"], torch.tensor(s.channel))


@WITH_VAL
def test_an_image_that_is_not_observed_has_the_gradient_of_the_density(with_val: bool) -> None:
    """Under ``uncondition`` the image is a site like others, as in denoising: by a pixel the log density falls as
    (pixel - image) / error_scale^2.
    """
    s = SCENE
    obs = torch.tensor(s.channel).mul(1.1).requires_grad_()
    free = poutine.condition(poutine.uncondition(model(s, with_val)), data=s.sites() | {"obs": obs})
    (by_obs,) = torch.autograd.grad(poutine.trace(free).get_trace().log_prob_sum(), obs)
    image, _, _ = closed_form(s)
    expected = -(obs.detach().numpy() - image) / s.error_scale**2
    np.testing.assert_allclose(by_obs.numpy(), expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


@WITH_VAL
@pytest.mark.global_rng
def test_the_posts_sites_shapes_and_supports(with_val: bool) -> None:
    trace = poutine.trace(model(SCENE, with_val)).get_trace()
    sites = [n for n, s in trace.nodes.items() if s["type"] == "sample" and n != "droplets"]
    assert sites == LATENT + (["val", "diff"] if with_val else []) + ["obs"]
    assert [n for n in sites if trace.nodes[n]["is_observed"]] == sites[5:]  # Pyro counts deterministic sites as data
    for name in LATENT:
        value = trace.nodes[name]["value"]
        assert value.shape == (() if name == "bg" else (3,))
        assert value.dtype == torch.float64
        assert bool((value >= 0).all())
        assert name == "r" or bool((value <= 1).all())
    assert trace.nodes["obs"]["fn"].event_shape == (6, 7)
    assert trace.nodes["obs"]["fn"].batch_shape == ()


def test_a_channel_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(6, 7\), expected \(h, w\) = \(7, 6\)"):
        channel_fit(6, 7, 3, torch.zeros(6, 7), 0.05)


@WITH_VAL
@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.global_rng
def test_predictive_draws_many_at_once(parallel: bool, with_val: bool) -> None:
    pyro.set_rng_seed(1)
    draws = Predictive(model(SCENE, with_val), num_samples=3, parallel=parallel)()
    assert set(draws) == set(LATENT) | ({"val", "diff", "obs"} if with_val else {"obs"})
    for k in range(3 if with_val else 0):
        row = {name: draws[name][k].reshape(() if name == "bg" else (3,)) for name in LATENT}
        s = SCENE._replace(
            bg=float(row["bg"]), x=row["x"].numpy() * 7, y=row["y"].numpy() * 6, r=row["r"].numpy(),
            amplitude=row["amplitude"].numpy(),
        )  # fmt: skip
        image = closed_form(s).image
        np.testing.assert_allclose(draws["val"][k].reshape(6, 7).numpy(), image, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(draws["diff"][k].reshape(6, 7).numpy(), image - s.channel, rtol=1e-9, atol=1e-9)


@WITH_VAL
@pytest.mark.parametrize("vectorized", [False, True])
@pytest.mark.global_rng
def test_stock_svi_loss_is_the_closed_form_on_average(vectorized: bool, with_val: bool) -> None:
    """At a narrow guide the ELBO is the log joint there, in unconstrained space, and the guide's entropy."""
    pyro.set_rng_seed(2)
    there = init_to_value(values=SCENE.sites())
    guide = AutoNormal(model(SCENE, with_val), init_loc_fn=there, init_scale=1e-6)
    elbo = Trace_ELBO(num_particles=3, vectorize_particles=vectorized, max_plate_nesting=1)
    with torch.no_grad():
        loss = elbo.loss(model(SCENE, with_val), guide)
    density, _ = model_closed_form(SCENE)
    values = SCENE.sites()
    unit = torch.cat([values[name].reshape(-1) for name in ("bg", "x", "y", "amplitude")])
    jacobian = float((unit * (1 - unit)).log().sum() + values["r"].log().sum())
    entropy = 13 * (0.5 * math.log(2 * math.pi * math.e) + math.log(1e-6))
    assert -loss == pytest.approx(
        density + jacobian + entropy, abs=12
    )  # eps^2 / 2 summed over 13 latents varies by 2.5


@WITH_VAL
@pytest.mark.global_rng
def test_stock_svi_lowers_the_loss(with_val: bool) -> None:
    pyro.set_rng_seed(3)
    s = SCENE._replace(channel=closed_form(SCENE).image, error_scale=0.05)
    guide = AutoNormal(model(s, with_val), init_loc_fn=init_to_uniform(radius=2))
    svi = SVI(model(s, with_val), guide, pyro.optim.Adam({"lr": 0.05}), Trace_ELBO())
    losses = [svi.step() for _ in range(100)]
    assert np.mean(losses[-30:]) < 0.5 * np.mean(losses[:30])
    assert set(guide.median()) == set(LATENT)


@WITH_VAL
@pytest.mark.global_rng
def test_stock_nuts_runs(with_val: bool) -> None:
    pyro.set_rng_seed(4)
    mcmc = MCMC(NUTS(model(SCENE, with_val), max_tree_depth=4), num_samples=4, warmup_steps=4, disable_progbar=True)
    mcmc.run()
    draws = mcmc.get_samples()
    assert {name: tuple(drawn.shape[1:]) for name, drawn in draws.items()} == {
        name: () if name == "bg" else (3,) for name in LATENT
    }
    assert draws["amplitude"].unique().numel() > 3
    assert bool(((draws["x"] > 0) & (draws["x"] < 1) & (draws["r"] > 0)).all())


@WITH_VAL
@pytest.mark.global_rng
def test_predictive_takes_values_for_some_of_the_sites(with_val: bool) -> None:
    """Conditioned sites keep their own shape (n,) beside those drawn for all at once, (draws, n)."""
    pyro.set_rng_seed(5)
    data = {name: value for name, value in SCENE.sites().items() if name in ("x", "y")}
    draws = Predictive(poutine.condition(model(SCENE, with_val), data=data), num_samples=3, parallel=True)()
    assert draws["obs"].shape == (3, 1, 6, 7)
    for k in range(3 if with_val else 0):
        s = SCENE._replace(bg=float(draws["bg"][k]), r=draws["r"][k].numpy(), amplitude=draws["amplitude"][k].numpy())
        np.testing.assert_allclose(draws["val"][k, 0].numpy(), closed_form(s).image, rtol=1e-9, atol=1e-9)


@WITH_VAL
@pytest.mark.parametrize("free", ["everything", "bg", "r", "error_scale"])
@pytest.mark.global_rng
def test_particles_side_by_side_have_the_densities_of_each_alone(with_val: bool, free: str) -> None:
    """Also where the noise is a site of the caller's, and where only some sites vary over the particles."""
    generator = np.random.default_rng(6)
    rows = []
    for _ in range(3):
        varied = {name: getattr(SCENE, name) * generator.uniform(0.5, 1.0) for name in (*LATENT, "error_scale")}
        rows.append(SCENE._replace(**(varied if free == "everything" else {free: varied[free]})))

    def particles() -> None:
        noise = pyro.sample("noise", pyro.distributions.Delta(scales))
        h, w = SCENE.size
        channel_fit(w, h, 3, torch.tensor(SCENE.channel), noise, with_val)

    columns = [row.sites() | {"noise": torch.tensor(row.error_scale, dtype=torch.float64)} for row in rows]
    data = {}
    for name in columns[0]:
        values = torch.stack([column[name] for column in columns])
        one = free != "everything" and name != {"error_scale": "noise"}.get(free, free)
        data[name] = values[0] if one else values.reshape(3, -1)
    scales = data["noise"]
    with pyro.plate("particles", 3, dim=-2):
        trace = poutine.trace(poutine.condition(particles, data=data)).get_trace()
    trace.compute_log_prob()
    found = trace.nodes["obs"]["log_prob"].reshape(3)
    np.testing.assert_allclose(found.numpy(), [closed_form(row).log_likelihood for row in rows], rtol=1e-9)


@WITH_VAL
@pytest.mark.global_rng
def test_images_with_noise_are_drawn_for_particles_of_different_noise(with_val: bool) -> None:
    pyro.set_rng_seed(7)
    h, w = SCENE.size
    data = SCENE.sites() | {"noise": torch.tensor([[1e-9], [1.0]], dtype=torch.float64)}

    def noisy() -> None:
        noise = pyro.sample("noise", pyro.distributions.LogNormal(data["noise"].new_zeros(()), 1.0))
        poutine.uncondition(channel_fit)(w, h, 3, torch.tensor(SCENE.channel), noise, with_val)

    with pyro.plate("particles", 2, dim=-2):
        trace = poutine.trace(poutine.condition(noisy, data=data)).get_trace()
    off = trace.nodes["obs"]["value"].reshape(2, h, w) - torch.tensor(closed_form(SCENE).image)
    assert float(off[0].abs().max()) < 1e-7
    assert 0.5 < float(off[1].std()) < 1.5


@pytest.mark.global_rng
def test_a_plate_that_takes_the_place_of_the_droplets_is_refused() -> None:
    """Rather than droplets and images being taken for each other."""
    with pytest.raises(ValueError, match="collide"), pyro.plate("images", 3, dim=-1):
        model(SCENE)()


@pytest.mark.parametrize(
    ("n_droplets", "channel", "message"),
    [
        (0, torch.zeros(4, 5), "n_droplets is 0, expected at least 1"),
        (2, np.zeros((4, 5), np.float32), r"the channel is a numpy\.ndarray and no tensor"),
        (2, torch.zeros(4, 5, dtype=torch.uint8), r"the channel is a tensor of torch\.uint8; make it floating point"),
    ],
)
@pytest.mark.global_rng
def test_what_no_model_can_be_of_is_refused(n_droplets: int, channel: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        channel_fit(5, 4, n_droplets, channel, 0.05)


@WITH_VAL
@pytest.mark.global_rng
def test_stock_laplace_finds_the_curvature_at_the_mode(with_val: bool) -> None:
    """It needs second derivatives, which the fast renderer alone does not have."""
    pyro.set_rng_seed(8)
    s = SCENE._replace(channel=closed_form(SCENE).image)
    guide = AutoLaplaceApproximation(model(s, with_val), init_loc_fn=init_to_value(values=s.sites()))
    guide()
    normal = guide.laplace_approximation()
    factor = (normal.scale[:, None] * normal.scale_tril).detach()

    def log_density(z: Tensor) -> Tensor:
        values = {name: transform(part) for name, transform, part in guide_parts(guide, z)}
        jacobian = sum(t.log_abs_det_jacobian(part, t(part)).sum() for _, t, part in guide_parts(guide, z))
        image = render(
            values["x"] * 7, values["y"] * 6, values["r"], values["amplitude"], values["bg"], s.size, kernel="reference"
        )
        likelihood = -(image - torch.tensor(s.channel)).square().sum() / (2 * s.error_scale**2)
        prior = -((values["r"].log() - 1.5) ** 2 / (2 * 0.75**2) + values["r"].log()).sum()
        return likelihood + prior + jacobian

    expected = -torch.autograd.functional.hessian(log_density, guide.loc.detach())
    whitened = factor.T @ expected @ factor
    torch.testing.assert_close(whitened, torch.eye(13, dtype=torch.float64), rtol=0, atol=1e-6)


def guide_parts(guide: AutoLaplaceApproximation, z: Tensor) -> list[tuple[str, Any, Tensor]]:
    """Site, transform and part of the flat vector, in the guide's order."""
    unit, positive = biject_to(constraints.unit_interval), biject_to(constraints.positive)
    return [(site["name"], positive if site["name"] == "r" else unit, part) for site, part in guide._unpack_latent(z)]
