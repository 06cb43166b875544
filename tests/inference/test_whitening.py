"""The whitened density: the same density in other coordinates, and a factor along principal axes."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pyrodrop.inference.density import flatten
from pyrodrop.inference.whitening import Whitened, principal_factor


def supports() -> None:
    with pyro.plate("n", 2):
        pyro.sample("u", dist.Uniform(-1.0, 3.0))
        pyro.sample("l", dist.LogNormal(0.5, 0.4))


def covariance(seed: int, size: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(size, size, generator=generator, dtype=torch.float64)
    scales = torch.logspace(-3, 3, size, dtype=torch.float64)
    return scales[:, None] * (root @ root.T + 0.01 * torch.eye(size, dtype=torch.float64)) * scales


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 6))
def test_the_factor_squares_to_the_covariance_and_its_columns_are_axes_of_the_correlation(seed: int, size: int) -> None:
    given_ = covariance(seed, size)
    factor, widths = principal_factor(given_), given_.diagonal().sqrt()
    torch.testing.assert_close(factor @ factor.T, given_, rtol=1e-7, atol=1e-7 * float(widths.min()) ** 2)
    axes = factor / widths[:, None]
    apart = axes.T @ axes
    torch.testing.assert_close(apart, torch.diag(apart.diagonal()), rtol=0.0, atol=1e-10)
    assert bool((apart.diagonal().diff() >= -1e-10).all())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_value_gradient_and_sites_are_those_of_the_density(seed: int) -> None:
    density = flatten(supports, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    centre, w = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((4,), (3, 4)))
    root = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    around = Whitened(density, centre, principal_factor(root @ root.T + 0.1 * torch.eye(4, dtype=torch.float64)))
    z = around.coloured(w)
    torch.testing.assert_close(around.whitened(z), w, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(around.whitened(z[0]), w[0], rtol=1e-8, atol=1e-8)
    value, grad = around.value_and_grad(w)
    torch.testing.assert_close(value, density.log_density(z))
    step = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    rise = density.log_density(around.coloured(w + 1e-5 * step)) - density.log_density(around.coloured(w - 1e-5 * step))
    torch.testing.assert_close((grad * step).sum(-1), rise / 2e-5, rtol=1e-5, atol=1e-5)
    for name, site in around.constrained(w).items():
        torch.testing.assert_close(site, density.constrained(z)[name])


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (torch.tensor([[1.0, 0.5], [0.2, 1.0]]), "symmetric"),
        (torch.ones(2, 3), "symmetric"),
        (torch.tensor([[1.0, 2.0], [2.0, 1.0]]), "positive definite"),
        (torch.tensor([[0.0, 0.0], [0.0, 1.0]]), "diagonal is not positive"),
    ],
)
def test_what_is_no_covariance_is_refused(matrix: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        principal_factor(matrix)
