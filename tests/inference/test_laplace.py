"""The Laplace approximation against closed forms: exact where the posterior is normal, Stirling's series elsewhere."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from pyrodrop.inference.density import NotFlatError, flatten
from pyrodrop.inference.laplace import LARGEST, Laplace, around_mode, laplace

MEAN = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
COVARIANCE = torch.tensor([[1.0, 1.2, 0.0], [1.2, 4.0, -0.5], [0.0, -0.5, 0.25]], dtype=torch.float64)


def correlated() -> None:
    pyro.sample("g", dist.MultivariateNormal(MEAN, COVARIANCE))


def regression(x: Tensor, y: Tensor) -> None:
    slope = pyro.sample("slope", dist.Normal(0.0, 10.0))
    scale = pyro.sample("scale", dist.HalfNormal(2.0))
    with pyro.plate("data", len(x)):
        pyro.sample("y", dist.StudentT(4.0, slope * x, scale), obs=y)


def two_wells() -> None:
    x = pyro.sample("x", dist.Normal(torch.zeros((), dtype=torch.float64), 100.0))
    pyro.factor("wells", -4.0 * (x * x - 1.0) ** 2)


def linear(design: Tensor, y: Tensor) -> None:
    zeros = design.new_zeros(design.shape[1])
    with pyro.plate("numbers", design.shape[1]):
        weights = pyro.sample("weights", dist.Normal(zeros, 3.0))
    with pyro.plate("data", len(y)):
        pyro.sample("y", dist.Normal(design @ weights, 0.1), obs=y)


def test_a_normal_posterior_is_found_exactly() -> None:
    found = laplace(correlated)
    torch.testing.assert_close(found.mode, MEAN, rtol=0.0, atol=1e-4)
    torch.testing.assert_close(found.covariance, COVARIANCE, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.precision, torch.linalg.inv(COVARIANCE), rtol=1e-6, atol=1e-6)
    assert found.log_evidence == pytest.approx(0.0, abs=1e-6)  # the density of a normal integrates to one
    assert found.floored == 0


def test_the_evidence_and_the_posterior_of_a_conjugate_model_are_exact() -> None:
    generator = torch.Generator().manual_seed(0)
    design = torch.randn(30, 12, generator=generator, dtype=torch.float64)
    design[:, 11] = design[:, 0] + 1e-3 * design[:, 11]  # two numbers that the data hardly tell apart
    y = torch.randn(30, generator=generator, dtype=torch.float64)
    found = laplace(linear, design, y)
    precision = torch.eye(12, dtype=torch.float64) / 9.0 + design.T @ design / 0.01
    torch.testing.assert_close(found.precision, precision, rtol=1e-6, atol=1e-5)
    mean = torch.linalg.solve(precision, design.T @ y / 0.01)
    whitened = torch.linalg.solve(found.factor, found.mode - mean)
    assert float(whitened.abs().max()) < 1e-2  # in standard deviations of the posterior
    marginal = 0.01 * torch.eye(30, dtype=torch.float64) + 9.0 * design @ design.T
    exact = dist.MultivariateNormal(torch.zeros(30, dtype=torch.float64), marginal).log_prob(y)
    assert found.log_evidence == pytest.approx(float(exact), abs=1e-4)


def test_a_bounded_site_is_approximated_where_its_transform_puts_it() -> None:
    found = laplace(lambda: pyro.sample("l", dist.LogNormal(torch.tensor(0.5, dtype=torch.float64), 0.4)))
    assert float(found.mode) == pytest.approx(0.5, abs=1e-4)  # of log l, which is normal
    assert float(found.covariance) == pytest.approx(0.16, rel=1e-6)
    assert found.log_evidence == pytest.approx(0.0, abs=1e-6)
    draws = found.draws(4_000)["l"]
    assert float(draws.log().mean()) == pytest.approx(0.5, abs=5 * 0.4 / math.sqrt(4_000))


def test_the_evidence_of_a_gamma_is_stirlings() -> None:
    shape = 20.0
    found = laplace(lambda: pyro.sample("g", dist.Gamma(torch.tensor(shape, dtype=torch.float64), 3.0)))
    stirling = shape * math.log(shape) - shape + 0.5 * math.log(2 * math.pi / shape)
    assert found.log_evidence == pytest.approx(stirling - math.lgamma(shape), abs=1e-6)


def test_the_precision_is_that_of_automatic_differentiation() -> None:
    x = torch.linspace(-1.0, 1.0, 9, dtype=torch.float64)
    y = 1.5 * x + torch.tensor([0.3, -0.2, 0.1, 0.4, -0.5, 0.2, -0.1, 0.3, -0.3], dtype=torch.float64)
    found = laplace(regression, x, y)
    density = flatten(regression, (x, y), dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(lambda z: density.log_density(z[None])[0], found.mode)
    torch.testing.assert_close(found.precision, -torch.as_tensor(hessian), rtol=1e-5, atol=1e-5)
    _, grad = density.value_and_grad(found.mode[None])
    assert 0.5 * float((grad @ found.factor).square().sum()) == pytest.approx(found.gain, rel=1e-2, abs=1e-9)
    assert found.gain < 1e-3


def test_scales_a_million_apart_need_no_hint() -> None:
    widths = torch.tensor([1e-3, 1.0, 1e3], dtype=torch.float64)

    def model() -> None:
        pyro.sample("z", dist.Normal(3.0 * widths, widths).to_event(1))

    found = laplace(model)
    torch.testing.assert_close(found.mode / widths, torch.full_like(widths, 3.0), rtol=1e-3, atol=0.0)
    torch.testing.assert_close(found.covariance.diagonal().sqrt(), widths, rtol=1e-4, atol=0.0)


def test_a_start_on_a_saddle_ends_in_a_well() -> None:
    found = laplace(two_wells, initial=torch.zeros(1))
    assert abs(float(found.mode)) == pytest.approx(1.0, abs=1e-3)
    assert float(found.precision) == pytest.approx(32.0, rel=1e-2)
    assert found.floored == 0


def test_a_direction_without_a_mode_is_counted_and_gives_no_evidence() -> None:
    def improper() -> None:
        pyro.sample("x", dist.Normal(torch.tensor(2.0, dtype=torch.float64), 1.0))
        free = pyro.sample("free", dist.Normal(torch.tensor(0.0, dtype=torch.float64), 1.0))
        pyro.factor("prior taken back", 0.5 * free**2)

    found = laplace(improper, initial=torch.zeros(2))
    assert found.floored == 1
    assert math.isnan(found.log_evidence)
    assert float(found.mode[0]) == pytest.approx(2.0, abs=1e-4)


def test_draws_have_the_covariance_and_belong_to_their_seed() -> None:
    found = laplace(correlated)
    draws = found.draws(20_000, seed=1)["g"]
    assert draws.shape == (20_000, 3)
    torch.testing.assert_close(draws.T.cov(), COVARIANCE, rtol=0.0, atol=0.2)
    assert torch.equal(found.draws(5, seed=1)["g"], found.draws(5, seed=1)["g"])
    assert not torch.equal(found.draws(5, seed=1)["g"], found.draws(5, seed=2)["g"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"initial": torch.zeros(2)}, "initial position of shape"),
        ({"initial": torch.full((3,), math.nan)}, "not finite at the start"),
        ({"scale": torch.zeros(3)}, "positive scale of shape"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        laplace(correlated, **settings)


def test_single_precision_and_too_many_numbers_are_refused() -> None:
    def many() -> None:
        pyro.sample("z", dist.Normal(torch.zeros(LARGEST + 1), 1.0).to_event(1))

    with pytest.raises(ValueError, match="float64"):
        around_mode(flatten(correlated, dtype=torch.float32))
    with pytest.raises(ValueError, match="4,096 at most"):
        laplace(many)


def test_a_model_without_a_flat_density_is_refused() -> None:
    with pytest.raises(NotFlatError, match="'k' is discrete"):
        laplace(lambda: pyro.sample("k", dist.Bernoulli(0.3)))


def test_an_approximation_is_what_its_factor_says() -> None:
    found = laplace(correlated)
    assert isinstance(found, Laplace)
    torch.testing.assert_close(found.factor @ found.factor.T @ found.precision, torch.eye(3, dtype=torch.float64))
