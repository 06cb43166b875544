"""The post's priors against closed forms written here, and under the handlers and engines of stock Pyro."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyro
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyro import poutine
from pyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from scipy import stats
from torch import Tensor

from pyrodrop.models import centres, colours, rendered

SITES = {centres: ["x", "y", "r"], colours: ["x", "y", "r", "h", "s", "v"], rendered: ["x", "y", "r"]}
MODELS = pytest.mark.parametrize("model", SITES, ids=lambda model: model.__name__)
SIZES = {"w": st.integers(1, 14), "h": st.integers(1, 14), "n": st.integers(1, 6), "seed": st.integers(0, 999)}
BETAS = {"s": (2.0, 2.0), "v": (5.0, 2.0)}


@pytest.fixture
def double() -> Iterator[None]:
    """The priors' constants follow torch's default dtype, as everything of Pyro does."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def inside(w: int, h: int, n: int, seed: int) -> dict[str, Tensor]:
    """Values within the support: radii from 0.1 px to three times the image, some centres beyond the last pixel."""
    generator = np.random.default_rng(seed)
    u = generator.uniform(0.001, 0.999, (6, n))
    columns = {"x": w * u[0], "y": h * u[1], "r": 0.1 * (30 * max(w, h)) ** u[2], "h": u[3], "s": u[4], "v": u[5]}
    return {name: torch.tensor(column, dtype=torch.float64) for name, column in columns.items()}


def closed_form(model: Callable[..., None], w: int, h: int, values: dict[str, Tensor]) -> tuple[float, dict[str, Any]]:
    """Log density by scipy, and its gradient by hand."""
    v = {name: value.numpy() for name, value in values.items()}
    total = -len(v["x"]) * (np.log(w) + np.log(h)) + stats.lognorm.logpdf(v["r"], 0.75, scale=np.exp(1.5)).sum()
    gradient = {"x": 0 * v["x"], "y": 0 * v["y"], "r": -(1 + (np.log(v["r"]) - 1.5) / 0.75**2) / v["r"]}
    if model is colours:
        gradient["h"] = 0 * v["h"]
        for site, (a, b) in BETAS.items():
            total += stats.beta.logpdf(v[site], a, b).sum()
            gradient[site] = (a - 1) / v[site] - (b - 1) / (1 - v[site])
    return float(total), gradient


def traced(model: Callable[..., None], w: int, h: int, values: dict[str, Tensor]) -> Any:
    conditioned = poutine.condition(model, data=values)
    return poutine.trace(conditioned).get_trace(w, h, len(values["x"]))


def density_and_gradient(
    model: Callable[..., None], w: int, h: int, values: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    leaves = {site: values[site].clone().requires_grad_() for site in SITES[model]}
    density = traced(model, w, h, leaves).log_prob_sum()
    found = torch.autograd.grad(density, list(leaves.values()), materialize_grads=True)
    return density.detach(), dict(zip(leaves, found, strict=True))


@MODELS
@pytest.mark.usefixtures("double")
@settings(max_examples=30, deadline=None)
@given(**SIZES)
def test_log_density_and_gradient_are_the_closed_form(
    model: Callable[..., None], w: int, h: int, n: int, seed: int
) -> None:
    values = inside(w, h, n, seed)
    density, gradient = density_and_gradient(model, w, h, values)
    expected, by_hand = closed_form(model, w, h, values)
    assert float(density) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert gradient.keys() == by_hand.keys()
    for site, found in gradient.items():
        np.testing.assert_allclose(found.numpy(), by_hand[site], rtol=1e-9, atol=1e-9 * np.abs(by_hand[site]).max())


@MODELS
def test_float64_values_under_a_float32_default_lose_only_the_rounding_of_constants(model: Callable[..., None]) -> None:
    values = inside(9, 7, 4, seed=1)
    density, gradient = density_and_gradient(model, 9, 7, values)
    expected, by_hand = closed_form(model, 9, 7, values)
    assert density.dtype == torch.float64
    assert float(density) == pytest.approx(expected, rel=1e-6)
    for site, found in gradient.items():
        np.testing.assert_allclose(found.numpy(), by_hand[site], rtol=1e-9, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(**SIZES)
def test_rendered_is_the_sum_of_gaussians_wherever_the_centres_lie(w: int, h: int, n: int, seed: int) -> None:
    values = inside(w, h, n, seed)
    generator = np.random.default_rng(seed)
    for site, side in (("x", w), ("y", h)):  # from wholly outside on one side to wholly outside on the other
        values[site] = torch.tensor(generator.uniform(-2 * side, 3 * side, n))
    val = traced(rendered, w, h, values).nodes["val"]["value"]
    rows, columns = np.mgrid[:h, :w]
    expected = np.zeros((h, w))
    for x, y, r in zip(*(values[site].tolist() for site in ("x", "y", "r")), strict=True):
        expected += np.exp(-0.5 * ((columns - x) ** 2 + (rows - y) ** 2) / r**2)
    assert val.dtype == torch.float64
    np.testing.assert_allclose(val.numpy(), expected, rtol=1e-9, atol=1e-9)


@MODELS
@pytest.mark.global_rng
def test_draws_have_the_posts_sites_shapes_and_supports(model: Callable[..., None]) -> None:
    trace = poutine.trace(model).get_trace(13, 8, 50)
    assert [name for name, site in trace.nodes.items() if site["type"] == "sample" and name != "droplets"] == (
        SITES[model] + (["val"] if model is rendered else [])
    )
    highest = {"x": 13.0, "y": 8.0, "r": np.inf, "h": 1.0, "s": 1.0, "v": 1.0}
    for site in SITES[model]:
        drawn = trace.nodes[site]["value"]
        assert drawn.shape == (50,)
        assert drawn.dtype == torch.float32
        assert bool(((drawn >= 0) & (drawn <= highest[site])).all())
    if model is rendered:
        assert trace.nodes["val"]["value"].shape == (8, 13)
        assert trace.nodes["val"]["infer"]["_deterministic"]


@pytest.mark.global_rng
def test_draws_follow_the_priors() -> None:
    pyro.set_rng_seed(0)
    drawn = {
        n: s["value"].numpy() for n, s in poutine.trace(colours).get_trace(30, 20, 4000).nodes.items() if n in "xyrhsv"
    }
    cdfs = {
        "x": stats.uniform(0, 30),
        "y": stats.uniform(0, 20),
        "r": stats.lognorm(0.75, scale=np.exp(1.5)),
        "h": stats.uniform(0, 1),
        "s": stats.beta(2, 2),
        "v": stats.beta(5, 2),
    }
    for site, law in cdfs.items():
        assert stats.kstest(drawn[site], law.cdf).pvalue > 1e-3, site


@MODELS
@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.global_rng
def test_predictive_draws_many_at_once(model: Callable[..., None], parallel: bool) -> None:
    pyro.set_rng_seed(1)
    draws = Predictive(model, num_samples=3, parallel=parallel)(6, 5, 4)
    for site in SITES[model]:
        assert draws[site].numel() == 3 * 4
        assert draws[site].shape[0] == 3
    if model is not rendered:
        return
    assert draws["val"].shape == (3, 1, 5, 6)  # Pyro leaves the plate's dimension in, even where it has no part
    for k in range(3):
        row = {site: draws[site][k].reshape(4) for site in ("x", "y", "r")}
        torch.testing.assert_close(draws["val"][k, 0], traced(rendered, 6, 5, row).nodes["val"]["value"])


@MODELS
@pytest.mark.global_rng
def test_stock_svi_finds_the_prior_again(model: Callable[..., None]) -> None:
    """Without data the posterior is the prior, and that of log r is Normal(1.5, 0.75): AutoNormal can be exact."""
    pyro.set_rng_seed(2)
    guide = AutoNormal(model)
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.05}), Trace_ELBO())
    for _ in range(80):
        svi.step(6, 5, 8)
    assert set(guide.median(6, 5, 8)) == set(SITES[model])
    assert float(guide.locs.r.detach().mean()) == pytest.approx(1.5, abs=0.2)
    assert float(guide.scales.r.detach().mean()) == pytest.approx(0.75, abs=0.2)


@MODELS
@pytest.mark.global_rng
def test_stock_nuts_runs(model: Callable[..., None]) -> None:
    pyro.set_rng_seed(3)
    mcmc = MCMC(NUTS(model), num_samples=4, warmup_steps=4, disable_progbar=True)
    mcmc.run(6, 5, 3)
    draws = mcmc.get_samples()
    assert {name: tuple(drawn.shape) for name, drawn in draws.items()} == dict.fromkeys(SITES[model], (4, 3))
    assert bool(((draws["x"] > 0) & (draws["x"] < 6) & (draws["r"] > 0)).all())
    assert draws["r"].unique().numel() > 3


@MODELS
def test_no_droplets_are_refused(model: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match="n_droplets is 0, expected at least 1"):
        model(8, 9, 0)


@MODELS
def test_a_plate_that_takes_the_place_of_the_droplets_is_refused(model: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match="collide"), pyro.plate("images", 3, dim=-1):
        model(8, 9, 4)


@pytest.mark.global_rng
def test_rendered_under_an_outer_plate_is_an_image_a_row() -> None:
    pyro.set_rng_seed(0)
    with pyro.plate("images", 3, dim=-2):
        nodes = poutine.trace(rendered).get_trace(8, 9, 4).nodes
    assert nodes["val"]["value"].shape == (3, 1, 9, 8)
    assert nodes["val"]["fn"].batch_shape == (3, 1)
