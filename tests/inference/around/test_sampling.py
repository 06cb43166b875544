"""Sampling until it is enough: the marks are reached, a seed has one result, and what falls short says so."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from pyrodrop.inference.around.sampling import sample_around
from pyrodrop.inference.laplace import Laplace, laplace

NEAR = 20


def centred(scale: Tensor) -> None:
    with pyro.plate("n", NEAR):
        pyro.sample("x", dist.StudentT(8.0, torch.zeros_like(scale), scale))
        pyro.sample("share", dist.Beta(torch.full_like(scale, 2.0), 5.0))


def approximation() -> Laplace:
    return laplace(centred, torch.tensor(2.0, dtype=torch.float64))


def test_chains_go_on_until_every_number_is_known() -> None:
    draws = sample_around(approximation(), num_warmup=200, progress=False)
    assert draws.converged
    assert draws.stats.min_effective >= 400
    assert draws["x"].shape == (4, draws.stats.num_samples, NEAR)
    assert draws.stats.leapfrog_steps.shape == (4, 200 + draws.stats.num_samples)
    # The variance of Student's t is 8 / 6 scale^2, that of Beta(2, 5) 10 / 392; both within 4 sampling errors.
    assert float(draws["x"].var((0, 1)).mean()) == pytest.approx(4.0 * 8 / 6, rel=0.15)
    assert float(draws["share"].var((0, 1)).mean()) == pytest.approx(10 / 392, rel=0.1)
    assert float(draws["share"].mean()) == pytest.approx(2 / 7, abs=0.01)


def test_a_seed_has_one_result_and_the_global_generator_is_left_alone() -> None:
    found = approximation()
    before = torch.get_rng_state()
    few = {"num_warmup": 20, "most_samples": 10, "progress": False}
    one, same, other = (sample_around(found, seed=seed, **few) for seed in (1, 1, 2))  # type: ignore[arg-type]
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one["x"], same["x"])
    assert not torch.equal(one["x"], other["x"])


def test_what_falls_short_says_so() -> None:
    draws = sample_around(approximation(), num_warmup=20, most_samples=12, progress=False)
    assert draws.stats.num_samples == 12
    assert draws.verdict().startswith("Not converged")
    with pytest.raises(ValueError, match="num_chains >= 2"):
        sample_around(approximation(), num_chains=1)
