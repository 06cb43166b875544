"""The flat density against Pyro's own traces and Jacobians, and what a captured graph holds and does not hold."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import Tensor
from torch.distributions import biject_to, constraints

from pyrodrop.inference.density import Density, NotFlatError, capture, check, flatten, side_by_side
from pyrodrop.models import centres, channel_fit, colours

F64 = torch.float64


def many_supports(data: Tensor, strength: float, *, shift: Tensor) -> None:
    """Latents on the line, the half-line, an interval, the simplex and a Cholesky factor, with data."""
    a = pyro.sample("a", dist.Normal(data.new_zeros(()), 2.0))
    b = pyro.sample("b", dist.Gamma(data.new_full((3,), 2.0), 1.5).to_event(1))
    with pyro.plate("rows", 2):
        c = pyro.sample("c", dist.Uniform(data.new_full((), -1.0), 3.0))
        d = pyro.sample("d", dist.Dirichlet(data.new_tensor([2.0, 3.0, 0.7])))
    e = pyro.sample("e", dist.LKJCholesky(3, data.new_full((), 1.5)))
    pyro.deterministic("total", a + c.sum())
    mean = a + b.sum() + strength * c.mean() + d[0, 1] + e.sum() + shift
    pyro.sample("obs", dist.Normal(mean.expand_as(data), 0.5).to_event(1), obs=data)


def ordinary(dtype: torch.dtype = F64) -> Density:
    data = torch.linspace(-1, 1, 5, dtype=dtype)
    return flatten(many_supports, (data, 0.7), {"shift": torch.tensor(0.3, dtype=dtype)}, dtype=dtype)


def droplets(n: int = 3) -> Density:
    channel = torch.rand(5, 6, generator=torch.Generator().manual_seed(0), dtype=F64)
    return flatten(channel_fit, (6, 5, n, channel, 0.1, False), dtype=F64)


DENSITIES: dict[str, Callable[[], Density]] = {
    "many supports": ordinary,
    "droplets": droplets,
    "colours": lambda: flatten(colours, (6, 5, 2), dtype=F64),
}
EACH = pytest.mark.parametrize("density_of", DENSITIES.values(), ids=DENSITIES)


def somewhere(density: Density, rows: int = 1, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.empty(rows, density.size, dtype=F64).uniform_(-2, 2, generator=generator).to(density.dtype)


def pyros_own(density: Density, z: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """Log density and gradient at one row, put together from Pyro's transforms and a trace, site by site."""
    z = z.detach().requires_grad_()
    shapes = {"a": (), "b": (3,), "c": (2,), "d": (2, 2), "e": (3,)}
    supports = {"a": constraints.real, "b": constraints.positive, "c": constraints.interval(-1.0, 3.0)}
    supports |= {"d": constraints.simplex, "e": constraints.corr_cholesky}
    values, jacobian, place = {}, z.new_zeros(()), 0
    for name, shape in shapes.items():
        part = z[place : place + math.prod(shape)].reshape(shape)
        place += math.prod(shape)
        transform = biject_to(supports[name])
        values[name] = transform(part)
        jacobian = jacobian + transform.log_abs_det_jacobian(part, values[name]).sum()
    trace = poutine.trace(poutine.condition(density.model, data=values)).get_trace(*args, **kwargs)
    total = trace.log_prob_sum() + jacobian
    (gradient,) = torch.autograd.grad(total, z)
    return total.detach(), gradient


@pytest.mark.parametrize("seed", range(4))
def test_value_and_gradient_are_pyros_own(seed: int) -> None:
    density = ordinary()
    z = somewhere(density, seed=seed)
    args, kwargs = density.arguments(density.tensors)
    expected, expected_gradient = pyros_own(density, z[0], *args, **kwargs)
    value, gradient = density.value_and_grad(z)
    assert (value.shape, gradient.shape) == ((1,), (1, density.size))
    torch.testing.assert_close(value[0], expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient[0], expected_gradient, rtol=1e-10, atol=1e-10)


def test_value_and_gradient_of_a_closed_form() -> None:
    """Exponential(1) at z = log x has log density z - exp(z) in unconstrained space, and gradient 1 - exp(z)."""
    density = flatten(lambda rate: pyro.sample("x", dist.Exponential(rate)), (torch.ones(2, dtype=F64),), dtype=F64)
    z = torch.tensor([[0.3, -1.2], [2.0, 0.0]], dtype=F64)
    value, gradient = density.value_and_grad(z)
    torch.testing.assert_close(value, (z - z.exp()).sum(-1), rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient, 1 - z.exp(), rtol=1e-12, atol=1e-15)


def test_sites_are_the_models_latents_in_its_order() -> None:
    sites = {site.name: (tuple(site.shape), site.stop - site.start) for site in ordinary().sites}
    assert sites == {"a": ((), 1), "b": ((3,), 3), "c": ((2,), 2), "d": ((2, 3), 4), "e": ((3, 3), 3)}
    assert list(sites) == ["a", "b", "c", "d", "e"]
    density = droplets(4)
    assert density.size == 1 + 4 * 4
    assert [site.start for site in density.sites] == [0, 1, 5, 9, 13]


@EACH
def test_there_and_back_is_the_same_place(density_of: Callable[[], Density]) -> None:
    density = density_of()
    z = somewhere(density, rows=6).reshape(2, 3, density.size)
    values = density.constrained(z)
    for site in density.sites:
        assert values[site.name].shape == (2, 3, *site.shape)
        assert bool(density_support(density, site.name).check(values[site.name]).all())
    torch.testing.assert_close(density.unconstrained(values), z, rtol=1e-9, atol=1e-9)
    one = density.unconstrained({name: value[1, 2] for name, value in values.items()})
    torch.testing.assert_close(one, z[1, 2], rtol=1e-9, atol=1e-9)


def density_support(density: Density, name: str) -> Any:
    """The support that the model itself declares."""
    args, kwargs = density.arguments(density.tensors)
    with torch.random.fork_rng(devices=[]):
        return poutine.trace(density.model).get_trace(*args, **kwargs).nodes[name]["fn"].support


@EACH
def test_chains_as_a_batch_are_the_rows_alone(density_of: Callable[[], Density]) -> None:
    density = density_of()
    z = somewhere(density, rows=4)
    values, gradients = density.value_and_grad(z)
    assert (values.shape, gradients.shape) == ((4,), (4, density.size))
    for row, value, gradient in zip(z, values, gradients, strict=True):
        alone, alone_gradient = density.value_and_grad(row[None])
        torch.testing.assert_close(value, alone[0], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(gradient, alone_gradient[0], rtol=1e-10, atol=1e-10)


def scaled(density: Density, factor: float) -> Density:
    """The density of the same model with other data."""
    args, kwargs = density.arguments([factor * tensor for tensor in density.tensors])
    return flatten(density.model, args, kwargs, dtype=F64)


def test_side_by_side_each_row_has_data_of_its_own() -> None:
    alone = [scaled(droplets(), factor) for factor in (1.0, 0.5, 1.5)]
    together = side_by_side(alone)
    z = somewhere(together, rows=3)
    values, gradients = together.value_and_grad(z)
    graph = capture(together.value_and_grad, torch.zeros_like(z), *together.tensors)
    for found, expected in zip(graph(z, *together.tensors), (values, gradients), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for row, density in enumerate(alone):
        value, gradient = density.value_and_grad(z[row : row + 1])
        torch.testing.assert_close(values[row], value[0], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(gradients[row], gradient[0], rtol=1e-10, atol=1e-10)
    # Other data through the same graph: nothing is baked in.
    others = [tensor.flip(0) for tensor in together.tensors]
    torch.testing.assert_close(graph(z.flip(0), *others)[0], values.flip(0), rtol=1e-12, atol=1e-12)


def test_densities_that_differ_in_more_than_data_do_not_go_side_by_side() -> None:
    for other in (droplets(4), ordinary(), flatten(droplets().model, *droplets().arguments(droplets().tensors))):
        with pytest.raises(ValueError, match="one model and arguments that differ in values alone"):
            side_by_side([droplets(), other])


@EACH
@pytest.mark.parametrize("rows", [1, 3])
def test_a_captured_graph_is_the_plain_function(density_of: Callable[[], Density], rows: int) -> None:
    density = density_of()
    graph = capture(density.value_and_grad, torch.zeros(rows, density.size, dtype=F64), *density.tensors)
    for seed in (1, 2):
        z = somewhere(density, rows, seed)
        for found, expected in zip(graph(z, *density.tensors), density.value_and_grad(z), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@EACH
def test_tensors_of_the_model_are_inputs_of_the_graph(density_of: Callable[[], Density]) -> None:
    """Other data through the same graph give what the model gives for other data: nothing is baked in."""
    density = density_of()
    z = somewhere(density)
    graph = capture(density.value_and_grad, torch.zeros_like(z), *density.tensors)
    others = [1.5 * tensor + 0.1 for tensor in density.tensors]
    args, kwargs = density.arguments(others)
    expected = flatten(density.model, args, kwargs, dtype=F64).value_and_grad(z)
    for found, true in zip(graph(z, *others), expected, strict=True):
        torch.testing.assert_close(found, true, rtol=1e-12, atol=1e-12)
    if density.tensors:
        assert not torch.allclose(graph(z, *others)[0], graph(z, *density.tensors)[0])
    torch.testing.assert_close(density.value_and_grad(z, *others)[0], expected[0], rtol=1e-12, atol=1e-12)


def test_one_tensor_in_two_places_stays_two_arguments() -> None:
    """Tracing takes one object for one argument: then the second place would silently follow the first."""
    same = torch.tensor([1.0, 2.0], dtype=F64)
    graph = capture(lambda a, b: a - 3 * b, same, same)
    other = torch.tensor([5.0, -1.0], dtype=F64)
    assert torch.equal(graph(same, other), same - 3 * other)


def test_arguments_puts_tensors_back_where_they_were() -> None:
    data, shift = torch.zeros(4), torch.ones(())
    density = flatten(many_supports, (data, 0.5), {"shift": shift})
    assert len(density.tensors) == 2
    args, kwargs = density.arguments([torch.full((4,), 7.0), torch.tensor(8.0)])
    assert torch.equal(args[0], torch.full((4,), 7.0))
    assert (args[1], kwargs) == (0.5, {"shift": torch.tensor(8.0)})


def test_float32_is_float64_to_its_rounding() -> None:
    exact, rounded = ordinary(), ordinary(torch.float32)
    z = somewhere(exact, rows=2)
    for found, expected in zip(rounded.value_and_grad(z.float()), exact.value_and_grad(z), strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("seed", range(2))
def test_droplets_are_pyros_own(seed: int) -> None:
    """With the image in one pass, without a trace of the image: still the density of the model with ``val``."""
    density = droplets()
    w, h, n, channel, error_scale, _ = density.arguments(density.tensors)[0]
    z = somewhere(density, seed=seed)
    plain = partial(channel_fit, w, h, n, channel, error_scale)
    values = density.constrained(z[0])
    trace = poutine.trace(poutine.condition(plain, data=values)).get_trace()
    unit = torch.cat([values[name].reshape(-1) for name in ("bg", "x", "y", "amplitude")])
    jacobian = (unit * (1 - unit)).log().sum() + values["r"].log().sum()
    torch.testing.assert_close(density.log_density(z)[0], trace.log_prob_sum() + jacobian, rtol=1e-12, atol=0)


def discrete() -> None:
    pyro.sample("ok", dist.Normal(0.0, 1.0))
    pyro.sample("coin", dist.Bernoulli(0.5))


def subsampled() -> None:
    with pyro.plate("few of many", 10, subsample_size=3):
        pyro.sample("x", dist.Normal(0.0, 1.0))


def parametrised() -> None:
    pyro.sample("x", dist.Normal(pyro.param("weight", torch.zeros(())), 1.0))


def nothing_hidden() -> None:
    pyro.sample("obs", dist.Normal(0.0, 1.0), obs=torch.zeros(()))


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (discrete, r"'coin' is discrete \(Bernoulli\)"),
        (subsampled, r"plate 'few of many' is subsampled"),
        (parametrised, r"pyro\.param\('weight'\)"),
        (nothing_hidden, "no latent sites"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_model_without_a_flat_density_is_refused_by_name(model: Callable[[], None], named: str) -> None:
    with pytest.raises(NotFlatError, match=named):
        flatten(model)


def looks_at_values(scale: Tensor) -> None:
    x = pyro.sample("x", dist.Normal(torch.zeros((), dtype=F64), scale))
    if x > 0.05:
        pyro.factor("bend", 5 * x)


def test_control_flow_on_values_is_found_out() -> None:
    """Whether tracing refuses it or bakes one branch in, ``check`` or ``capture`` says so before a run starts."""
    density = flatten(looks_at_values, (torch.ones((), dtype=F64),), dtype=F64)
    with pytest.raises((NotFlatError, RuntimeError)):
        check(density, capture(density.value_and_grad, torch.zeros(1, 1, dtype=F64), *density.tensors))


@pytest.mark.parametrize("off", [1e-3, math.nan])
def test_check_finds_a_graph_that_is_not_the_model(off: float) -> None:
    density = ordinary()

    def wrong_value(z: Tensor, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = density.value_and_grad(z, *tensors)
        return value + off * value.abs(), gradient

    def wrong_gradient(z: Tensor, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = density.value_and_grad(z, *tensors)
        return value, gradient.index_add(1, torch.tensor([2]), off * gradient.abs().amax(1, keepdim=True))

    check(density, density.value_and_grad)
    for wrong in (wrong_value, wrong_gradient):
        with pytest.raises(NotFlatError, match="branch on the values"):
            check(density, wrong)


@pytest.mark.parametrize("model", [centres, colours])
def test_flattening_leaves_the_random_stream_and_the_store_alone(model: Callable[..., None]) -> None:
    """The watch over global state would fail this test; here it is also seen not to hang on them."""
    before = torch.get_rng_state()
    first = flatten(model, (9, 8, 2), dtype=F64)
    assert torch.equal(torch.get_rng_state(), before)
    z = somewhere(first)
    assert torch.equal(first.log_density(z), flatten(model, (9, 8, 2), dtype=F64).log_density(z))
