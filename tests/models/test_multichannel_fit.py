"""The model of measured droplets against closed forms, and under stock Pyro."""

from typing import Any

import numpy as np
import pyro
import pytest
import torch
from pyro import poutine
from pyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from scipy import stats

from pyrodrop.models.bspline_background import spline_basis
from pyrodrop.models.multichannel_fit import measured
from pyrodrop.models.prior_scales import PriorScales, image_scales
from pyrodrop.rendering import PROFILES, render


def sites(profile: str, count: int, n: int, scales: PriorScales, size: tuple[int, int]) -> dict[str, torch.Tensor]:
    """A place in the model's latent space."""
    g = np.random.default_rng(0)
    grid = tuple(spline_basis(side, scales.spacing).shape[1] for side in size)
    made = {
        "x": g.uniform(0, size[1] - 1, n),
        "y": g.uniform(0, size[0] - 1, n),
        "r": g.uniform(2, 5, n),
        "amplitude": g.normal(0, 0.3, (count, n)),
        "bg": g.normal(0.2, 0.1, (count, *grid)),
        "noise": g.uniform(0.05, 0.1, count),
    }
    for shared in PROFILES[profile].parameters:
        free = shared.mean + g.normal(0, 0.4, () if shared.entries is None else shared.entries)
        made[shared.name] = np.exp(free) if shared.log else np.asarray(free)
    return {name: torch.tensor(value) for name, value in made.items()}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("profile", ["gaussian", "disc", "radial", "rimmed"])
def test_the_density_is_the_closed_form(profile: str, count: int) -> None:
    size, n = (20, 26), 4
    channels = np.random.default_rng(1).normal(0.3, 0.2, (count, *size))
    scales = PriorScales(np.full(count, 0.7), np.full(count, 0.3), np.full(count, 0.4), np.full(count, 0.05), 4.0, 12.0)
    at = sites(profile, count, n, scales, size)
    trace = poutine.trace(poutine.condition(measured, at)).get_trace(torch.tensor(channels), n, scales, profile)
    got = float(trace.log_prob_sum())

    v = {name: value.numpy() for name, value in at.items()}
    expected = -n * np.log(size[0] * size[1]) + stats.lognorm(1, scale=4.0).logpdf(v["r"]).sum()
    expected += stats.norm(0, 0.7).logpdf(v["amplitude"]).sum() + stats.norm(0.3, 0.4).logpdf(v["bg"]).sum()
    expected += stats.lognorm(2, scale=0.05).logpdf(v["noise"]).sum()
    shape = None
    if profile != "gaussian":
        widths = {"edge": 0.0, "core_edge": 0.0, "thickness": np.log(0.2)}
        expected += sum(stats.lognorm(0.75, scale=np.exp(m)).logpdf(v[name]) for name, m in widths.items() if name in v)
        expected += sum(stats.norm(0, 1).logpdf(v[name]).sum() for name in ("curve", "core") if name in v)
        shape = torch.cat([at[shared.name].reshape(-1) for shared in PROFILES[profile].parameters])
    down, along = (spline_basis(side, 12.0) for side in size)
    for c in range(count):
        flat = torch.zeros((), dtype=torch.float64)
        droplets = render(at["x"], at["y"], at["r"], at["amplitude"][c], flat, size, profile, "reference", shape)
        image = droplets.numpy() + down @ v["bg"][c] @ along.T
        expected += stats.norm(image, v["noise"][c]).logpdf(channels[c]).sum()
    assert got == pytest.approx(expected, rel=1e-9)


def test_presence_switches_droplets_off() -> None:
    channels, scales = torch.zeros(1, 16, 16), PriorScales(*(np.ones(1) for _ in range(4)), 3.0, 20.0)
    at = {name: value.float() for name, value in sites("disc", 1, 3, scales, (16, 16)).items()}
    densities = []
    for heights, present in (
        (at["amplitude"], [1.0, 0.0, 1.0]),
        (at["amplitude"] * torch.tensor([1.0, 0.0, 1.0]), [1.0] * 3),
    ):
        data: dict[str, Any] = {**at, "amplitude": heights, "presence": torch.tensor(present)}
        trace = poutine.trace(poutine.condition(measured, data)).get_trace(channels, 3, scales, "disc", 0.3)
        trace.compute_log_prob()
        densities.append(trace.nodes["obs"]["log_prob_sum"])
    assert torch.equal(densities[0], densities[1])


@pytest.mark.global_rng
def test_predictive_draws_images_from_the_prior() -> None:
    channels, scales = torch.zeros(2, 12, 15), PriorScales(*(np.ones(2) for _ in range(4)), 3.0, 20.0)
    pyro.set_rng_seed(0)
    model = poutine.uncondition(measured)
    drawn = Predictive(model, num_samples=3)(channels, 4, scales, "radial")
    # Pyro leaves room for the plates of the droplets and channels.
    assert drawn["obs"].shape == (3, 1, 1, 2, 12, 15)
    assert drawn["amplitude"].shape == (3, 2, 4)
    assert bool(drawn["obs"].isfinite().all())


@pytest.mark.global_rng
@pytest.mark.parametrize("given", [(), ("x", "y", "r", "amplitude"), ("edge", "curve", "bg"), ("noise",)], ids=str)
@pytest.mark.parametrize("profile", ["gaussian", "disc", "radial", "rimmed"])
def test_particles_side_by_side_have_the_densities_of_each_alone(profile: str, given: tuple[str, ...]) -> None:
    """Also where some sites are given one value for all particles."""
    size, count, n = (12, 15), 2, 3
    channels = torch.tensor(np.random.default_rng(1).normal(0.3, 0.2, (count, *size)))
    scales = PriorScales(*(np.full(count, v) for v in (0.7, 0.3, 0.4, 0.05)), 4.0, 20.0)
    alike = sites(profile, count, n, scales, size)
    model = poutine.condition(measured, {name: value for name, value in alike.items() if name in given})
    arguments = (channels, n, scales, profile)
    pyro.set_rng_seed(0)
    with pyro.plate("particles", 4, dim=-3):
        together = poutine.trace(model).get_trace(*arguments)
    together.compute_log_prob()
    found = together.nodes["obs"]["log_prob"].reshape(4)
    for row in range(4):
        data = {
            name: together.nodes[name]["value"][row].reshape(own.shape)
            for name, own in alike.items()
            if not together.nodes[name]["is_observed"]
        }
        alone = poutine.trace(poutine.condition(model, data)).get_trace(*arguments)
        alone.compute_log_prob()
        assert float(found[row]) == pytest.approx(float(alone.nodes["obs"]["log_prob"]), rel=1e-9)


@pytest.mark.global_rng
@pytest.mark.parametrize("profile", ["gaussian", "disc", "radial", "rimmed"])
def test_stock_svi_and_nuts_run_on_the_model(profile: str) -> None:
    """Pyro's own inference finds every site and a finite density: no gradient is missing."""
    scales = PriorScales(*(np.full(1, v) for v in (0.5, 0.2, 0.2, 0.05)), 3.0, 20.0)
    channels = torch.randn(1, 14, 16, generator=torch.Generator().manual_seed(0)).double() * 0.05 + 0.2
    pyro.set_rng_seed(0)
    arguments = (channels, 2, scales, profile)
    with pyro.get_param_store().scope():
        guide = AutoNormal(measured)
        losses = [SVI(measured, guide, pyro.optim.Adam({"lr": 0.01}), Trace_ELBO()).step(*arguments) for _ in range(3)]
    assert np.isfinite(losses).all()
    mcmc = MCMC(NUTS(measured, max_tree_depth=3), num_samples=3, warmup_steps=3, disable_progbar=True)
    mcmc.run(*arguments)
    drawn = mcmc.get_samples()
    shared: dict[str, set[str]] = {
        "gaussian": set(),
        "disc": {"edge"},
        "radial": {"edge", "curve"},
        "rimmed": {"edge", "core_edge", "core", "thickness"},
    }
    assert set(drawn) == {"x", "y", "r", "amplitude", "bg", "noise"} | shared[profile]
    assert all(bool(value.isfinite().all()) for value in drawn.values())


def test_equal_control_points_are_a_level_background_and_lines_stay_lines() -> None:
    basis = spline_basis(50, 12.0)
    assert np.allclose(basis.sum(1), 1)
    line = basis @ np.arange(basis.shape[1])
    assert np.allclose(np.diff(line, 2), 0, atol=1e-12)


def test_scales_follow_the_units_of_the_image() -> None:
    channels = np.random.default_rng(4).normal(0.3, 0.1, (1, 80, 90))
    one, ten = image_scales(channels), image_scales(10 * channels)
    for name in ("amplitude", "level", "spread", "noise"):
        assert getattr(ten, name) == pytest.approx(10 * getattr(one, name))


def test_an_image_without_channels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"give \(C, H, W\)"):
        measured(torch.zeros(4, 4), 1, PriorScales(*(np.ones(1) for _ in range(4))))


def test_without_droplets_the_model_is_background_and_noise() -> None:
    channels = torch.tensor(np.random.default_rng(2).normal(0.3, 0.1, (1, 12, 14)))
    scales = PriorScales(*(np.full(1, v) for v in (0.7, 0.3, 0.4, 0.05)), 4.0, 20.0)
    at = {"bg": torch.full((1, 4, 4), 0.25).double(), "noise": torch.tensor([0.1]).double()}
    trace = poutine.trace(poutine.condition(measured, at)).get_trace(channels, 0, scales, "gaussian")
    trace.compute_log_prob()
    assert set(trace.nodes) == {"bg", "noise", "obs", "_INPUT", "_RETURN"}
    assert float(trace.nodes["obs"]["log_prob_sum"]) == pytest.approx(stats.norm(0.25, 0.1).logpdf(channels).sum())


def test_a_negative_number_of_droplets_is_refused() -> None:
    channels = torch.zeros(1, 12, 12)
    with pytest.raises(ValueError, match="n_droplets is -1: give 0 or more"):
        measured(channels, -1, image_scales(channels.numpy()))


def test_splines_are_the_cubic_b_splines_of_the_closed_form() -> None:
    for length, spacing in ((1, 64.0), (2, 5.0), (50, 12.0), (513, 64.0)):
        pieces = max(1, round(length / spacing))
        position = np.arange(length) / max(length - 1, 1) * pieces
        piece = np.minimum(position.astype(int), pieces - 1)
        t = position - piece
        four = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], 1) / 6
        expected = np.zeros((length, pieces + 3))
        np.put_along_axis(expected, piece[:, None] + np.arange(4), four, 1)
        assert np.abs(spline_basis(length, spacing) - expected).max() < 1e-12
