"""Chains that leave a mode for a higher one are followed; from the highest there is nowhere to go."""

import pyro
import pyro.distributions as dist
import pytest
import torch

from pyrodrop.inference.laplace import laplace
from pyrodrop.inference.modes import search_higher


def two_heights() -> None:
    x = pyro.sample("x", dist.Normal(torch.zeros((), dtype=torch.float64), 100.0))
    pyro.sample("y", dist.Normal(x, 1.0))
    pyro.factor("wells", torch.logaddexp(-0.5 * (x + 2.0) ** 2, 4.0 - 0.5 * (x - 2.0) ** 2))


def test_a_lower_mode_is_left_for_the_higher() -> None:
    low = laplace(two_heights, initial=torch.tensor([-2.5, -2.5]))
    assert float(low.mode[0]) < 0.0
    search = search_higher(low, iterations=60, rounds=5)
    assert float(search.laplace.mode[0]) == pytest.approx(2.0, abs=0.05)
    assert sum(search.rises) == pytest.approx(search.laplace.value - low.value)
    assert sum(search.rises) == pytest.approx(4.0, abs=0.2)


def test_the_highest_mode_is_kept() -> None:
    high = laplace(two_heights, initial=torch.tensor([2.5, 2.5]))
    search = search_higher(high, iterations=30)
    assert search.laplace is high
    assert search.rises == ()


def test_no_rounds_give_back_what_was_found() -> None:
    low = laplace(two_heights, initial=torch.tensor([-2.5, -2.5]))
    assert search_higher(low, rounds=0) == (low, ())
