"""The models of samples against closed forms: what images say together, summed over what nobody knows."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyro import poutine
from scipy import stats

from pyrodrop.models.images_of_samples import (
    FLAT,
    SPREAD_OF_NUMBERS,
    SPREAD_OF_SIZES,
    numbers_of_images,
    sizes_of_images,
    typical_sizes,
)
from pyrodrop.models.unknown_mean import AroundUnknownMean


def double(*values: object) -> list[torch.Tensor]:
    return [torch.as_tensor(np.asarray(value), dtype=torch.float64) for value in values]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.floats(0.1, 10), st.integers(0, 999))
def test_around_an_unknown_mean_is_a_multivariate_normal(n: int, flat: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    scale, y = generator.uniform(0.05, 3, n), generator.normal(0, 2, n)
    expected = stats.multivariate_normal(np.zeros(n), np.diag(scale**2) + flat**2).logpdf(y)
    assert float(AroundUnknownMean(double(scale)[0], flat).log_prob(double(y)[0])) == pytest.approx(expected, abs=1e-9)


def test_draws_around_an_unknown_mean_have_its_covariance() -> None:
    scale = np.array([0.3, 1.0])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = AroundUnknownMean(double(scale)[0], 2.0).sample(torch.Size([40_000]))
    assert np.cov(drawn.numpy().T) == pytest.approx(np.diag(scale**2) + 4.0, abs=0.12)


def test_far_too_large_a_scale_is_improbable_and_no_failure() -> None:
    scale, y = double([1e200, 1e200], [0.1, 0.2])
    assert torch.isfinite(AroundUnknownMean(scale, 3.0).log_prob(y))


def test_what_is_known_of_the_typical_image_is_the_conjugate_update() -> None:
    y, errors, spread = np.array([[0.1, 0.3]]), np.array([[0.05, 0.2]]), np.array([0.1])
    variance = spread[:, None] ** 2 + errors**2
    precision = (1 / variance).sum() + 1 / FLAT**2
    known = typical_sizes(*double(spread, y, errors))
    assert float(known.loc) == pytest.approx((y / variance).sum() / precision)
    assert float(known.scale) == pytest.approx(precision**-0.5)


def test_the_density_of_the_model_of_sizes_is_its_closed_form() -> None:
    y, errors, spread = np.array([[0.1, -0.1], [0.0, 0.4]]), np.full((2, 2), 0.05), np.array([0.1, 0.3])
    (value,) = double(spread)
    trace = poutine.trace(poutine.condition(sizes_of_images, {"spread": value})).get_trace(*double(y, errors))
    expected = sum(
        stats.halfcauchy(scale=SPREAD_OF_SIZES).logpdf(s)
        + stats.multivariate_normal(np.zeros(2), np.diag(s**2 + e**2) + FLAT**2).logpdf(row)
        for s, e, row in zip(spread, errors, y, strict=True)
    )
    assert float(trace.log_prob_sum()) == pytest.approx(expected)


def test_the_density_of_the_model_of_numbers_is_its_closed_form() -> None:
    numbers, areas, errors = np.array([[12.0, 0.0]]), np.array([[10.0, 3.0]]), np.array([[0.05, 0.2]])
    density, spread = 1.3, 0.4
    values = dict(zip(("density", "spread"), double([[density]], [[spread]]), strict=True))
    trace = poutine.trace(poutine.condition(numbers_of_images, values)).get_trace(*double(numbers, areas, errors))
    k = 1 / (spread**2 + errors**2)
    expected = (
        stats.nbinom(k, k / (k + density * areas)).logpmf(numbers).sum()
        + stats.lognorm(FLAT).logpdf(density)
        + stats.halfcauchy(scale=SPREAD_OF_NUMBERS).logpdf(spread)
    )
    assert float(trace.log_prob_sum()) == pytest.approx(expected)


def test_the_density_is_the_mean_over_images() -> None:
    given = double(np.zeros((1, 20_000)), np.full((1, 20_000), 5.0), np.full((1, 20_000), 1e-3))
    values = dict(zip(("density", "spread"), double([[2.0]], [[0.7]]), strict=True))
    model = poutine.uncondition(poutine.condition(numbers_of_images, values))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        trace: Any = poutine.trace(model).get_trace(*given)
    numbers, density = (trace.nodes[site]["value"] for site in ("numbers", "density"))
    # Standard error of the mean: sqrt(10 + 49) / sqrt(20,000) = 0.05.
    assert float(numbers.mean() / density) == pytest.approx(5.0, abs=0.25)
