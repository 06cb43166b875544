"""The captured mean-field step against stock Pyro with the same random numbers, and what a run promises."""

import math
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import SVI, Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from pyro.infer.autoguide.initialization import init_to_value
from torch import Tensor

from pyrodrop.inference import svi
from pyrodrop.inference.density import Density, NotFlatError, flatten, side_by_side
from pyrodrop.inference.graphs import can_compile
from pyrodrop.inference.svi import MeanField, State, keep, uniform_start
from pyrodrop.models import channel_fit


def regression(data: Tensor) -> None:
    """A conjugate slope, a positive noise and weights on the simplex."""
    slope = pyro.sample("slope", dist.Normal(data.new_zeros(()), 1.0))
    noise = pyro.sample("noise", dist.LogNormal(data.new_zeros(()), 0.5))
    weights = pyro.sample("weights", dist.Dirichlet(data.new_tensor([1.0, 2.0, 3.0])))
    at = torch.linspace(-1, 1, len(data), dtype=data.dtype)
    pyro.sample("obs", dist.Normal(slope * at + weights[1], noise).to_event(1), obs=data)


def normal(data: Tensor) -> None:
    """Its posterior is Normal(mean, 1 / sqrt(1 + n)) with mean = sum(data) / (1 + n)."""
    mu = pyro.sample("mu", dist.Normal(data.new_zeros(2), 1.0).to_event(1))
    pyro.sample("obs", dist.Normal(mu.expand_as(data), 1.0).to_event(2), obs=data)


def regression_density(dtype: torch.dtype) -> Density:
    noise = torch.randn(7, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return flatten(regression, ((torch.linspace(0, 1, 7, dtype=torch.float64) + 0.1 * noise).to(dtype),), dtype=dtype)


def droplet_density(dtype: torch.dtype) -> Density:
    channel = torch.rand(8, 9, generator=torch.Generator().manual_seed(4), dtype=torch.float64).to(dtype)
    return flatten(channel_fit, (9, 8, 3, channel, 0.1, False), dtype=dtype)


# Stock SVI takes its time over the simplex: a step of it is no other after 300.
STEPS_OF = {regression_density: 80, droplet_density: 300}
DENSITIES = pytest.mark.parametrize("density_of", [regression_density, droplet_density], ids=["regression", "droplets"])


def pyros_run(density: Density, loc: Tensor, steps: int) -> tuple[list[float], Tensor, Tensor, Tensor]:
    """Losses, means and deviations of ``pyro.infer.SVI``, and the eps that it drew: (steps, D)."""
    args, kwargs = density.arguments(density.tensors)
    pyro.clear_param_store()
    pyro.set_rng_seed(11)
    values = density.constrained(loc.clone())  # a real site's value is loc itself, which Adam would move
    guide = AutoNormal(density.model, init_loc_fn=init_to_value(values=values))
    guide(*args, **kwargs)
    optimiser = SVI(density.model, guide, pyro.optim.Adam({"lr": 0.01}), Trace_ELBO())
    losses, eps = [], []
    for _ in range(steps):
        before = torch.get_rng_state()
        means, scales = flat(density, guide.locs), flat(density, guide.scales)
        trace = poutine.trace(guide).get_trace(*args, **kwargs)
        drawn = {s.name: trace.nodes[f"{s.name}_unconstrained"]["value"].detach().reshape(-1) for s in density.sites}
        eps.append((torch.cat([drawn[s.name] for s in density.sites]) - means) / scales)
        torch.set_rng_state(before)
        losses.append(optimiser.step(*args, **kwargs))
    return losses, flat(density, guide.locs), flat(density, guide.scales), torch.stack(eps)


def flat(density: Density, by_site: Any) -> Tensor:
    return torch.cat([getattr(by_site, site.name).detach().reshape(-1) for site in density.sites])


@pytest.fixture
def fed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Tensor], None]:
    """Let the steps take given eps, one row a step, in the place of the numbers of their own generator."""

    def feed(eps: Tensor) -> None:
        rows = iter(eps)
        monkeypatch.setattr(svi.torch, "randn", lambda shape, **_: next(rows).expand(shape).clone())

    return feed


@DENSITIES
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-3)])
@pytest.mark.global_rng
def test_the_steps_are_those_of_stock_svi(
    density_of: Callable[[torch.dtype], Density],
    dtype: torch.dtype,
    tolerance: float,
    fed: Callable[[Tensor], None],
) -> None:
    """AutoNormal, Trace_ELBO and pyro.optim.Adam, with the same random numbers: the same losses, the same guide."""
    density, steps = density_of(dtype), STEPS_OF[density_of]
    loc = uniform_start(density, seed=5)
    expected, means, scales, eps = pyros_run(density, loc[0], steps)
    stepper = MeanField(density, compiled=False)
    fed(eps)
    state, losses = stepper.run(svi.start(density, loc), steps)
    assert losses.dtype == dtype
    torch.testing.assert_close(losses[:, 0], torch.tensor(expected, dtype=dtype), rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(state.loc[0], means, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(state.scale[0], scales, rtol=tolerance, atol=tolerance)
    assert state.iteration == steps


def test_the_first_step_is_the_formula() -> None:
    """One step of Adam moves each parameter by the learning rate, against the sign of its gradient."""
    data = torch.tensor([[1.0, -2.0], [0.5, 0.0], [2.0, 1.0]], dtype=torch.float64)
    density = flatten(normal, (data,), dtype=torch.float64)
    before = svi.start(density, torch.tensor([0.3, -0.4], dtype=torch.float64), scale=0.2, seed=9)
    after, losses = MeanField(density, compiled=False).run(before, 1, learning_rate=0.05)
    generator = torch.Generator().manual_seed(9)
    eps = torch.randn(1, 2, generator=generator, dtype=torch.float64)[0]
    z = before.loc[0] + 0.2 * eps
    log_joint = -0.5 * (z**2).sum() - 0.5 * ((data - z) ** 2).sum() - 4 * math.log(2 * math.pi)
    log_guide = (-0.5 * eps**2 - math.log(0.2) - 0.5 * math.log(2 * math.pi)).sum()
    assert float(losses) == pytest.approx(float(log_guide - log_joint), rel=1e-12)
    by_z = z - (data - z).sum(0)  # of minus the log joint
    by_rho = (by_z * eps - 1 / 0.2) * (1 - math.exp(-0.2))  # softplus' = 1 - exp(-softplus)
    moved = after.params[:, 0] - before.params[:, 0]
    torch.testing.assert_close(moved, -0.05 * torch.stack([by_z, by_rho]).sign(), rtol=1e-6, atol=0)
    torch.testing.assert_close(after.first[:, 0], 0.1 * torch.stack([by_z, by_rho]), rtol=1e-9, atol=0)
    torch.testing.assert_close(after.second[:, 0], 0.001 * torch.stack([by_z, by_rho]) ** 2, rtol=1e-9, atol=0)


def test_a_conjugate_posterior_is_found() -> None:
    data = torch.randn(12, 2, generator=torch.Generator().manual_seed(6), dtype=torch.float64) + 1.0
    density = flatten(normal, (data,), dtype=torch.float64)
    falling = MeanField(density, compiled=False)
    state, losses = falling.run(svi.start(density, torch.zeros(2)), 1_000, lambda i: 0.05 * 0.1 ** (i / 400))
    torch.testing.assert_close(state.loc[0], data.sum(0) / 13, atol=0.03, rtol=0)
    torch.testing.assert_close(state.scale[0], torch.full((2,), 13**-0.5, dtype=torch.float64), atol=0.03, rtol=0)
    # At the posterior itself the loss has no variance: it is minus the evidence whatever was drawn.
    covariance = torch.eye(12, dtype=torch.float64) + 1.0
    law = torch.distributions.MultivariateNormal(torch.zeros(12, dtype=torch.float64), covariance)
    torch.testing.assert_close(losses[-200:].mean(), -law.log_prob(data.T).sum(), atol=0.02, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_runs_are_one_to_the_last_bit(dtype: torch.dtype) -> None:
    density = droplet_density(dtype)
    begun = svi.start(density, uniform_start(density, seed=1), seed=2)
    kept = [tensor.clone() for tensor in (begun.params, begun.first, begun.second, begun.random)]
    whole, losses = MeanField(density, compiled=False).run(begun, 60)
    half, first_losses = MeanField(density, compiled=False).run(begun, 23)
    rest, other_losses = MeanField(density, compiled=False).run(half, 37)
    assert torch.equal(torch.cat([first_losses, other_losses]), losses)
    assert rest.iteration == whole.iteration == 60
    for name in ("params", "first", "second", "random"):
        assert torch.equal(getattr(rest, name), getattr(whole, name)), name
    for tensor, before in zip((begun.params, begun.first, begun.second, begun.random), kept, strict=True):
        assert torch.equal(tensor, before)


def test_a_learning_rate_may_follow_the_iteration() -> None:
    """It is asked for the iterations since the first start, also by a run that goes on."""
    density = regression_density(torch.float64)
    begun, stepper = svi.start(density, uniform_start(density), seed=2), MeanField(density, compiled=False)
    asked: list[int] = []

    def rate(iteration: int) -> float:
        asked.append(iteration)
        return 0.01 if iteration < 4 else 0.0

    moving, _ = stepper.run(begun, 3, rate)
    still, _ = stepper.run(moving, 5, rate)
    assert asked == list(range(8))
    fourth, _ = stepper.run(begun, 4, 0.01)
    assert torch.equal(still.params, fourth.params)
    assert not torch.equal(still.first, fourth.first)


@DENSITIES
def test_starts_side_by_side_are_each_alone(
    density_of: Callable[[torch.dtype], Density], fed: Callable[[Tensor], None]
) -> None:
    density = density_of(torch.float64)
    loc = uniform_start(density, seed=3, starts=3)
    assert loc.shape == (3, density.size)
    assert loc.unique(dim=0).shape == loc.shape
    eps = torch.randn(40, 3, density.size, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    stepper = MeanField(density, compiled=False)
    fed(eps)
    together, losses = stepper.run(svi.start(density, loc), 40)
    assert losses.shape == (40, 3)
    for row in range(3):
        fed(eps[:, row : row + 1])
        alone, alone_losses = stepper.run(svi.start(density, loc[row]), 40)
        torch.testing.assert_close(losses[:, row], alone_losses[:, 0], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(together.params[:, row], alone.params[:, 0], rtol=1e-9, atol=1e-9)
        kept = keep(together, torch.tensor([row]))
        for name in ("params", "first", "second"):
            assert torch.equal(getattr(kept, name), getattr(together, name)[:, row : row + 1])


@pytest.mark.parametrize("starts", [1, 2])
def test_rows_with_data_of_their_own_are_each_alone(starts: int) -> None:
    """Each density's starts have the random numbers that they have by themselves, from one generator."""
    alone = [scaled_droplets(factor) for factor in (1.0, 0.6, 0.3)]
    loc = uniform_start(alone[0], seed=3, starts=starts)
    begun = [svi.start(density, loc, seed=4) for density in alone]
    rows = side_by_side([density for density in alone for _ in range(starts)])
    stepper = MeanField(rows, compiled=False, relative=True, repeats=3)
    half, first = stepper.run(svi.join(begun), 20)
    together, losses = stepper.run(half, 20)
    for number, (density, state) in enumerate(zip(alone, begun, strict=True)):
        own, own_losses = MeanField(density, compiled=False, relative=True).run(state, 40)
        part = slice(number * starts, (number + 1) * starts)
        torch.testing.assert_close(torch.cat([first, losses])[:, part], own_losses, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(together.params[:, part], own.params, rtol=1e-9, atol=1e-9)
        assert torch.equal(together.random, own.random)


def scaled_droplets(factor: float) -> Density:
    (channel,) = droplet_density(torch.float64).tensors
    return flatten(channel_fit, (9, 8, 3, factor * channel, 0.1, False), dtype=torch.float64)


def test_states_that_are_not_at_one_place_are_not_joined() -> None:
    density = droplet_density(torch.float64)
    begun = svi.start(density, uniform_start(density), seed=0)
    later, _ = MeanField(density, compiled=False).run(begun, 1)
    for other in (later, svi.start(density, uniform_start(density), seed=1)):
        with pytest.raises(ValueError, match="different iterations or random numbers"):
            svi.join([begun, other])


@pytest.mark.slow
def test_compiled_steps_are_the_plain_ones() -> None:
    """From iteration 0 on with compiled=True; only rounding may differ."""
    if not can_compile(torch.device("cpu")):
        pytest.skip("torch's compiler needs a C++ compiler, and there is none here")
    density = regression_density(torch.float64)
    begun = svi.start(density, uniform_start(density, seed=1), seed=2)
    plain, losses = MeanField(density, compiled=False).run(begun, 50)
    compiled = MeanField(density, compiled=True)
    fast, fast_losses = compiled.run(begun, 50)
    assert (1, True) in compiled._steps
    torch.testing.assert_close(fast_losses, losses, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(fast.params, plain.params, rtol=1e-9, atol=1e-9)
    assert torch.equal(fast.random, plain.random)


def test_where_the_compiler_fails_the_plain_step_runs_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    density = regression_density(torch.float64)
    begun = svi.start(density, uniform_start(density, seed=1), seed=2)

    def broken(*_: Any, **__: Any) -> Callable[..., Any]:
        def call(*_: Any) -> Any:
            raise RuntimeError("no such compiler\nand a long story")

        return call

    monkeypatch.setattr(svi.torch, "compile", broken)
    with pytest.warns(UserWarning, match=r"runs uncompiled, and slower: .*no such compiler.?$"):
        state, losses = MeanField(density, compiled=True).run(begun, 5)
    expected, expected_losses = MeanField(density, compiled=False).run(begun, 5)
    assert torch.equal(losses, expected_losses)
    assert torch.equal(state.params, expected.params)


@pytest.mark.parametrize("scale", [0.1, 1e-3, 2.0])
def test_a_start_is_where_it_was_asked_for(scale: float) -> None:
    density = regression_density(torch.float64)
    state: State = svi.start(density, torch.arange(density.size), scale)
    assert torch.equal(state.loc, torch.arange(density.size, dtype=torch.float64)[None])
    torch.testing.assert_close(state.scale, torch.full_like(state.loc, scale), rtol=1e-12, atol=0)
    assert state.iteration == 0
    assert not state.first.any()
    assert not state.second.any()


def test_the_posts_start_is_uniform_in_unconstrained_space() -> None:
    density = flatten(normal, (torch.zeros(3, 2),))
    loc = uniform_start(density, seed=0, starts=2_000)
    assert loc.dtype == torch.float32
    assert float(loc.min()) == pytest.approx(-2, abs=0.01)
    assert float(loc.max()) == pytest.approx(2, abs=0.01)
    assert float(loc.var()) == pytest.approx(16 / 12, rel=0.05)
    assert torch.equal(loc, uniform_start(density, seed=0, starts=2_000))
    assert not torch.equal(loc, uniform_start(density, seed=1, starts=2_000))
    assert float(uniform_start(density, radius=0.1).abs().max()) <= 0.1


def test_a_seed_makes_the_random_numbers() -> None:
    density = regression_density(torch.float64)
    stepper, loc = MeanField(density, compiled=False), uniform_start(density)
    runs = [stepper.run(svi.start(density, loc, seed=seed), 10)[1] for seed in (0, 0, 1)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_a_model_that_branches_on_values_is_not_stepped() -> None:
    def branching() -> None:
        x = pyro.sample("x", dist.Normal(torch.zeros(()), 1.0))
        if x > 0.05:
            pyro.factor("bend", 5 * x)

    with pytest.raises((NotFlatError, RuntimeError)):
        MeanField(flatten(branching))
