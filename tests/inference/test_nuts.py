"""NUTS against closed-form posteriors and stock Pyro; many chains against one; seeds; what it admits to."""

import math
import random
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import MCMC
from pyro.infer import NUTS as StockNUTS
from torch import Tensor

from pyrodrop.inference.density import flatten
from pyrodrop.inference.draws import Draws, SamplerStats, diagnose
from pyrodrop.inference.kernel import NUTS
from pyrodrop.inference.nuts import sample_nuts
from pyrodrop.inference.transitions import Noise


def correlated() -> None:
    covariance = torch.tensor([[1.0, 1.2, 0.0], [1.2, 4.0, -0.5], [0.0, -0.5, 0.25]], dtype=torch.float64)
    mean = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    pyro.sample("g", dist.MultivariateNormal(mean, covariance))


def supports() -> None:
    with pyro.plate("n", 2):
        pyro.sample("u", dist.Uniform(-1.0, 3.0))
        pyro.sample("b", dist.Beta(5.0, 2.0))
        pyro.sample("l", dist.LogNormal(0.5, 0.4))


def regression(x: Tensor, y: Tensor) -> None:
    slope = pyro.sample("slope", dist.Normal(0.0, 10.0))
    scale = pyro.sample("scale", dist.HalfNormal(2.0))
    mean = pyro.deterministic("mean", slope * x)
    with pyro.plate("data", len(x)):
        pyro.sample("y", dist.Normal(mean, scale), obs=y)


def funnel() -> None:
    v = pyro.sample("v", dist.Normal(0.0, 3.0))
    with pyro.plate("n", 9):
        pyro.sample("x", dist.Normal(0.0, (0.5 * v).exp()))


def conjugate(y: Tensor) -> None:
    mean = pyro.sample("mean", dist.Normal(torch.zeros((), dtype=y.dtype), 2.0))
    with pyro.plate("data", len(y)):
        pyro.sample("y", dist.Normal(mean, 0.5), obs=y)


def run(model: Any, *args: Any, **settings: Any) -> Draws:
    chosen = {"num_warmup": 100, "num_samples": 60, "num_chains": 48, "progress": False, "dtype": torch.float64}
    return sample_nuts(model, *args, **(chosen | {"compiled": False} | settings))


def assert_mean(draws: Draws, site: str, values: Tensor, expected: Tensor | float, sigmas: float = 5.0) -> None:
    """Whether the mean of ``values`` (chains, draws, ...) is within so many Monte Carlo errors of the truth."""
    _, effective = diagnose({site: values})
    error = values.double().std((0, 1)) / effective[site].sqrt()
    assert ((values.double().mean((0, 1)) - expected).abs() <= sigmas * error).all()


def test_the_moments_of_a_correlated_gaussian() -> None:
    draws = run(correlated, num_chains=16, num_samples=200, max_tree_depth=6)
    g = draws["g"]
    assert g.shape == (16, 200, 3)
    mean = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    assert_mean(draws, "g", g, mean)
    covariance = torch.tensor([[1.0, 1.2, 0.0], [1.2, 4.0, -0.5], [0.0, -0.5, 0.25]], dtype=torch.float64)
    products = ((g - mean)[..., :, None] * (g - mean)[..., None, :]).flatten(-2)
    assert_mean(draws, "g", products, covariance.flatten())
    assert draws.converged
    assert "Converged" in draws.verdict()


@pytest.mark.slow
def test_the_moments_of_bounded_and_positive_sites() -> None:
    draws = run(supports)
    expected = {
        "u": (1.0, 16.0 / 12.0),
        "b": (5.0 / 7.0, 10.0 / (49.0 * 8.0)),
        "l": (math.exp(0.58), math.expm1(0.16) * math.exp(1.16)),
    }
    for site, (mean, variance) in expected.items():
        assert_mean(draws, site, draws[site], mean)
        assert_mean(draws, site, (draws[site] - mean) ** 2, variance)
    assert 0.75 < draws.stats.mean_acceptance < 0.95


def test_a_conjugate_posterior_with_data_among_the_arguments() -> None:
    y = torch.linspace(0.5, 1.5, 7, dtype=torch.float64)
    precision = 1.0 / 4.0 + 7.0 / 0.25
    draws = run(conjugate, y)
    mean = float(y.sum()) / 0.25 / precision
    assert_mean(draws, "mean", draws["mean"], mean)
    assert_mean(draws, "mean", (draws["mean"] - mean) ** 2, 1.0 / precision)


def ridge() -> Tensor:
    """Covariance (20, 20) of numbers that nearly all move as one: condition number a million."""
    size = 20
    axes = torch.linalg.qr(torch.randn(size, size, generator=torch.Generator().manual_seed(3), dtype=torch.float64))[0]
    return axes * torch.logspace(-6, 0, size, dtype=torch.float64) @ axes.T


@pytest.mark.slow
def test_a_dense_mass_matrix_samples_a_ridge_with_short_trees() -> None:
    covariance = ridge()
    mean = torch.linspace(-1.0, 1.0, 20, dtype=torch.float64)
    start = mean + 2.0 * torch.randn(8, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64) @ (
        torch.linalg.cholesky(covariance).T
    )
    settings = {"num_chains": 8, "num_samples": 250, "initial": start}
    draws = run(
        lambda: pyro.sample("g", dist.MultivariateNormal(mean, covariance)), inverse_mass=covariance, **settings
    )
    assert draws.converged
    assert_mean(draws, "g", draws["g"], mean)
    products = ((draws["g"] - mean)[..., :, None] * (draws["g"] - mean)[..., None, :]).flatten(-2)
    assert_mean(draws, "g", products, covariance.flatten())
    assert float(draws.stats.leapfrog_steps[:, 100:].double().mean()) <= 15.0


@pytest.mark.slow
def test_a_dense_mass_matrix_draws_the_same_distribution_as_a_diagonal_one() -> None:
    root = torch.randn(6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    covariance = root @ root.T + torch.eye(6, dtype=torch.float64)  # of nothing in particular: any metric will do
    dense = run(supports, initial=torch.zeros(6), inverse_mass=covariance)
    diagonal = run(supports, initial=torch.zeros(6))
    for site, values in dense.items():
        for power in (1, 2):
            pair = values**power, diagonal[site] ** power
            variances = [v.var((0, 1)) / diagnose({site: v})[1][site] for v in pair]
            apart = (pair[0].mean((0, 1)) - pair[1].mean((0, 1))).abs()
            assert bool((apart <= 5.0 * (variances[0] + variances[1]).sqrt()).all())


@pytest.mark.global_rng
def test_the_moments_of_stock_pyro() -> None:
    x = torch.linspace(-1.0, 1.0, 12)
    y = 1.5 * x + torch.tensor([0.3, -0.2, 0.1, 0.4, -0.5, 0.2, -0.1, 0.3, -0.3, 0.1, -0.2, 0.2])
    draws = run(regression, x, y, dtype=None, deterministic=False)
    torch.manual_seed(0)
    stock = MCMC(StockNUTS(regression), num_samples=150, warmup_steps=100, disable_progbar=True)
    stock.run(x, y)
    theirs = {name: v[None] for name, v in stock.get_samples().items()}
    _, effective = diagnose(theirs)
    for site, value in theirs.items():
        error = float(value.std() / effective[site].sqrt())
        assert abs(float(draws[site].mean() - value.mean())) < 5.0 * error
        assert float(draws[site].std() / value.std()) == pytest.approx(1.0, abs=0.35)


def test_one_chain_has_no_chain_dimension_and_deterministic_sites_are_the_models() -> None:
    x = torch.linspace(-1.0, 1.0, 5)
    draws = run(regression, x, 2.0 * x, num_chains=1, num_warmup=30, num_samples=6, dtype=torch.float32)
    assert draws["slope"].shape == (6,)
    torch.testing.assert_close(draws["mean"], draws["slope"][:, None] * x)
    assert draws.stats.leapfrog_steps.shape == (1, 36)
    assert set(draws.stats.r_hat) == {"slope", "scale"}


class Column(Noise):
    """The random numbers of one chain among many."""

    def __init__(self, noise: Noise, chain: int) -> None:
        self._noise, self._chain = noise, chain

    def normal(self, size: int) -> Tensor:
        return self._noise.normal(size)[self._chain, None]

    def uniform(self, count: int) -> Tensor:
        return self._noise.uniform(count)[:, self._chain, None]


def transitions(kernel: NUTS, z: Tensor, count: int) -> Tensor:
    kernel.setup(0)
    params, draws = {"z": z}, []
    for _ in range(count):
        params = kernel.sample(params)
        draws.append(params["z"])
    return torch.stack(draws)


class Replayed(Noise):
    """The same numbers for whoever asks, dealt anew for each transition: chains stop drawing at different depths."""

    def __init__(self) -> None:
        self.transition = self.depth = 0

    def normal(self, size: int) -> Tensor:
        self.transition, self.depth = self.transition + 1, 0
        return torch.randn(3, size, dtype=torch.float64, generator=torch.Generator().manual_seed(self.transition))

    def uniform(self, count: int) -> Tensor:
        self.depth += 1
        generator = torch.Generator().manual_seed(1000 * self.transition + self.depth)
        return torch.rand(count, 3, dtype=torch.float64, generator=generator)


def test_a_chain_among_many_moves_as_it_does_alone() -> None:
    density = flatten(correlated, dtype=torch.float64)
    start = torch.tensor([[0.0, 0.0, 0.0], [1.0, -2.0, 3.0], [2.0, -6.0, 3.5]], dtype=torch.float64)
    mass = torch.tensor([1.0, 3.0, 0.3])
    many = _fixed_step(NUTS(density, num_chains=3, initial=start, inverse_mass=mass, max_tree_depth=6), Replayed())
    expected = transitions(many, start, 12)
    leaves = torch.stack([i.leaves for i in many.iterations])
    assert (leaves != leaves[:, :1]).any()
    for chain in range(3):
        one = NUTS(density, initial=start[chain], inverse_mass=mass, max_tree_depth=6)
        alone = _fixed_step(one, Column(Replayed(), chain))
        torch.testing.assert_close(transitions(alone, start[chain, None], 12)[:, 0], expected[:, chain])
        assert torch.equal(torch.stack([i.leaves for i in alone.iterations])[:, 0], leaves[:, chain])


def _fixed_step(kernel: NUTS, noise: Noise) -> NUTS:
    """The kernel without a search for a step size, which would depend on all chains."""
    kernel.noise = noise
    kernel._adapter.reset_step_size_adaptation = lambda z: None
    kernel._adapter._init_step_size = 0.3
    return kernel


def test_the_same_seed_gives_the_same_draws_and_another_one_others() -> None:
    first, again, other = (run(supports, num_warmup=20, num_samples=5, num_chains=2, seed=s) for s in (4, 4, 5))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["u"], other["u"])
    assert not torch.equal(first["u"][0], first["u"][1])


def test_no_global_generator_is_touched() -> None:
    # The old global stream of NumPy is looked at, not drawn from, whence the noqa.
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    run(supports, num_warmup=10, num_samples=4, num_chains=2)
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


def test_a_divergence_in_a_funnels_neck_is_counted_in_the_chain_that_had_it() -> None:
    density = flatten(funnel, dtype=torch.float64)
    start = torch.zeros(2, 10, dtype=torch.float64)
    start[0, 0] = -12.0
    start[0, 1:] = 0.01
    kernel = NUTS(density, num_chains=2, initial=start)
    kernel = _fixed_step(kernel, Noise(0, 2, density.dtype, density.device))
    moved = transitions(kernel, start, 1)[0]
    assert kernel.iterations[0].diverged.tolist() == [True, False]
    assert torch.equal(moved[0], start[0])
    assert not torch.equal(moved[1], start[1])
    assert kernel.diagnostics()["divergences"] == {0: [0], 1: []}


def test_divergent_draws_are_not_called_converged() -> None:
    fine = {"a": torch.tensor(1.001)}
    leaves = torch.empty(0)
    clean = Draws({}, SamplerStats(4, 100, 100, 0.1, leaves, 0.8, 0, 0, 1.0, fine, {"a": torch.tensor(300.0)}))
    diverged = Draws({}, SamplerStats(4, 100, 100, 0.1, leaves, 0.8, 3, 2, 1.0, fine, {"a": torch.tensor(300.0)}))
    assert clean.converged
    assert not diverged.converged
    assert "3 draw(s) diverged" in diverged.verdict()
    assert "2 trajectories were cut off" in diverged.verdict()


@pytest.mark.slow
def test_chains_that_stay_in_two_modes_are_flagged() -> None:
    def modes() -> None:
        m = pyro.sample("m", dist.Normal(0.0, 100.0))
        pyro.factor("wells", torch.logaddexp(-0.5 * (m - 20.0) ** 2, -0.5 * (m + 20.0) ** 2))

    start = torch.tensor([[-20.0], [20.0], [-20.0], [20.0]])
    draws = run(modes, num_chains=4, num_warmup=100, num_samples=100, initial=start, dtype=torch.float32)
    assert draws.stats.max_r_hat > 2.0
    assert not draws.converged
    assert "Not converged" in draws.verdict()
    assert "for m" in draws.verdict()
    # The modes are no wider for being far apart: the mass matrix is learnt within the chains.
    assert draws.stats.step_size < 3.0


def test_one_short_chain_claims_nothing() -> None:
    draws = run(supports, num_chains=1, num_warmup=100, num_samples=100)
    assert not draws.converged
    assert "not judged" in draws.verdict()


def test_a_number_that_never_moves_is_not_converged() -> None:
    r_hat, effective = diagnose({"a": torch.zeros(4, 10)})
    stats = SamplerStats(4, 0, 10, 0.1, torch.empty(0), 0.8, 0, 0, 1.0, r_hat, effective)
    assert not Draws({}, stats).converged


def test_a_start_from_a_fit_needs_no_warm_up() -> None:
    y = torch.linspace(0.5, 1.5, 7, dtype=torch.float64)
    precision = 1.0 / 4.0 + 7.0 / 0.25
    mean = torch.tensor([float(y.sum()) / 0.25 / precision], dtype=torch.float64)
    variance = torch.tensor([1.0 / precision], dtype=torch.float64)
    draws = run(conjugate, y, num_warmup=0, initial=mean, inverse_mass=variance)
    assert_mean(draws, "mean", draws["mean"], mean)
    assert draws.stats.leapfrog_steps.double().mean() < 8.0


def test_a_large_log_density_is_kept_in_double_precision() -> None:
    def large() -> None:
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.factor("constant", -5e6 + 0.0 * z)

    draws = run(large, dtype=None, num_warmup=100, num_samples=50)
    assert draws["z"].dtype == torch.float64
    assert_mean(draws, "z", draws["z"] ** 2, 1.0)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_a_discrete_site_falls_back_to_pyros_own_sampler() -> None:
    def mixture() -> None:
        k = pyro.sample("k", dist.Bernoulli(0.3), infer={"enumerate": "parallel"})
        x = pyro.sample("x", dist.Normal(0.0, 1.0))
        pyro.sample("y", dist.Normal(x + 4.0 * k, 1.0), obs=torch.tensor(1.0))

    with pytest.warns(UserWarning, match="'k' is discrete.*Pyro's own NUTS"):
        draws = run(mixture, num_chains=2, num_warmup=10, num_samples=10, max_tree_depth=3, deterministic=False)
    assert draws["x"].shape == (2, 10)
    assert not torch.equal(draws["x"][0], draws["x"][1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_samples": 0}, "num_samples >= 1"),
        ({"num_chains": 0}, "num_chains >= 1"),
        ({"target_accept": 1.5}, "target_accept < 1"),
        ({"initial": torch.zeros(2)}, "initial positions of shape"),
        ({"inverse_mass": torch.tensor([-1.0, 1.0, 1.0])}, "positive inverse mass"),
        ({"inverse_mass": torch.eye(3)}, "needs initial positions"),
        ({"inverse_mass": torch.eye(2), "initial": torch.zeros(3)}, r"inverse mass of shape \(3,\) or \(3, 3\)"),
        ({"inverse_mass": torch.eye(3), "initial": torch.zeros(2)}, "initial positions of shape"),
        ({"inverse_mass": -torch.eye(3), "initial": torch.zeros(3)}, "positive definite"),
        ({"initial": torch.full((3,), math.nan)}, "not finite at the initial positions"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(correlated, **settings)
