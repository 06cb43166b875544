"""Split HMC: exact for normal densities, reversible, true to densities that are not normal, and equal for all seeds."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from pyrodrop.inference.around.split_hmc import SplitHMC
from pyrodrop.inference.density import Model, flatten
from pyrodrop.inference.whitening import Whitened

MEAN = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
COVARIANCE = torch.tensor([[1.0, 1.2, 0.0], [1.2, 4.0, -0.5], [0.0, -0.5, 0.25]], dtype=torch.float64)


def normal() -> None:
    pyro.sample("g", dist.MultivariateNormal(MEAN, COVARIANCE))


def skewed() -> None:
    with pyro.plate("n", 3):
        pyro.sample("rate", dist.Gamma(torch.full((), 2.0, dtype=torch.float64), 3.0))


def chains_of(model: Model, factor: Tensor, centre: Tensor, chains: int = 4, warmup: int = 0) -> SplitHMC:
    around = Whitened(flatten(model, dtype=torch.float64), centre, factor)
    start = torch.randn(chains, len(centre), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return SplitHMC(around, start, warmup)


def test_of_a_normal_density_every_turn_is_accepted_whatever_the_dimension() -> None:
    chains = chains_of(normal, torch.linalg.cholesky(COVARIANCE), MEAN)
    for _ in range(20):
        turn = chains()
        torch.testing.assert_close(turn.acceptance, torch.ones(4, dtype=torch.float64), rtol=0.0, atol=1e-9)


def test_a_trajectory_that_is_turned_round_leads_back() -> None:
    chains = chains_of(skewed, 0.7 * torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    momentum = torch.randn(4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    there, turned = chains._trajectory(chains.at, momentum, 0.2, 7)
    back, begun = chains._trajectory(there, -turned, 0.2, 7)
    torch.testing.assert_close(back.w, chains.at.w, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(-begun, momentum, rtol=1e-9, atol=1e-9)


def test_the_error_of_a_trajectory_falls_with_the_square_of_its_step() -> None:
    chains = chains_of(skewed, 0.7 * torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    momentum = torch.randn(4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def energy(w: Tensor, p: Tensor, value: Tensor) -> Tensor:
        return 0.5 * (w * w + p * p).sum(-1) - value

    errors = []
    for steps in (16, 32):
        end, last = chains._trajectory(chains.at, momentum, 1.5 / steps, steps)
        error = energy(end.w, last, end.value) - energy(chains.at.w, momentum, chains.at.value)
        errors.append(float(error.abs().mean()))
    assert 3.5 < errors[0] / errors[1] < 4.5


@pytest.mark.parametrize("warmup", [0, 200])
def test_draws_are_of_the_density_and_not_of_the_approximation(warmup: int) -> None:
    """Of an approximation that is off by half a width and twice too narrow: means and variances of Gamma(2, 3)."""
    factor, centre = 0.4 * torch.eye(3, dtype=torch.float64), torch.full((3,), -1.0, dtype=torch.float64)
    chains = chains_of(skewed, factor, centre, 8, warmup)
    rates = []
    for number in range(warmup + 1_500):
        chains()
        if number >= warmup:
            rates.append(chains.z.exp())
    rate = torch.cat(rates)
    # Sampling errors of some 10,000 draws, by four: 0.47 / 100 and, of a variance with kurtosis 6, 0.22 * 2.2 / 100.
    assert abs(float(rate.mean()) - 2 / 3) < 0.02
    assert abs(float(rate.var(0).mean()) - 2 / 9) < 0.02


def test_the_warm_up_finds_centre_and_scales_and_steps_a_quarter_turn_where_the_density_is_normal() -> None:
    wrong = torch.linalg.cholesky(COVARIANCE) * torch.tensor([3.0, 0.3, 2.0], dtype=torch.float64)
    chains = chains_of(normal, wrong, MEAN + 0.5, 8, 400)
    for _ in range(400):
        chains()
    torch.testing.assert_close(chains.around.centre, MEAN, rtol=0.0, atol=0.2)
    found = chains.around.factor @ chains.around.factor.T
    torch.testing.assert_close(found, COVARIANCE, rtol=0.2, atol=0.2)
    assert chains.step_size > math.pi / 8


def test_what_cannot_be_started_from_is_refused() -> None:
    centre, factor = torch.zeros(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    around = Whitened(flatten(skewed, dtype=torch.float64), centre, factor)
    with pytest.raises(ValueError, match="target_accept"):
        SplitHMC(around, torch.zeros(2, 3, dtype=torch.float64), 10, target_accept=1.0)
    with pytest.raises(ValueError, match="expected a start of shape"):
        SplitHMC(around, torch.zeros(2, 4, dtype=torch.float64), 10)
    with pytest.raises(ValueError, match="not finite"):
        SplitHMC(around, torch.full((2, 3), 1e6, dtype=torch.float64), 10)
