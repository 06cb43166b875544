"""The oracle itself, against sums written out in numpy with gradients derived by hand."""

import numpy as np
import pytest
import torch
from torch import Tensor

from pyrodrop.rendering import log_likelihood, render


def closed_form(
    x: np.ndarray, y: np.ndarray, r: np.ndarray, a: np.ndarray, bg: float, size: tuple[int, int], seen: np.ndarray
) -> tuple[np.ndarray, float, dict[str, np.ndarray]]:
    """Image, half the sum of squared residuals, and its gradient; one droplet and one pixel at a time."""
    image = np.full(size, bg)
    for k in range(len(x)):
        for j in range(size[0]):
            for i in range(size[1]):
                image[j, i] += a[k] * np.exp(-((i - x[k]) ** 2 + (j - y[k]) ** 2) / (2 * r[k] ** 2))
    rest = image - seen
    gradient = {name: np.zeros(len(x)) for name in ("x", "y", "r", "amplitude")}
    rows, columns = np.mgrid[: size[0], : size[1]]
    for k in range(len(x)):
        dx, dy = columns - x[k], rows - y[k]
        weighted = rest * np.exp(-(dx**2 + dy**2) / (2 * r[k] ** 2))
        gradient["x"][k] = a[k] / r[k] ** 2 * (weighted * dx).sum()
        gradient["y"][k] = a[k] / r[k] ** 2 * (weighted * dy).sum()
        gradient["r"][k] = a[k] / r[k] ** 3 * (weighted * (dx**2 + dy**2)).sum()
        gradient["amplitude"][k] = weighted.sum()
    gradient["bg"] = rest.sum()
    return image, (rest**2).sum() / 2, gradient


@pytest.mark.parametrize("kernel", ["reference", "separable", "bands"])
def test_image_likelihood_and_gradient_are_those_of_the_closed_form(kernel: str) -> None:
    rng = np.random.default_rng(3)
    size = (13, 17)
    x, y = rng.uniform(-4, 20, 6), rng.uniform(-4, 16, 6)
    r, a, bg = np.array([0.3, 0.8, 1.5, 3.0, 9.0, 40.0]), rng.normal(size=6), 0.3
    seen = rng.normal(size=size)
    image, half_squares, gradient = closed_form(x, y, r, a, bg, size, seen)
    leaves = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (x, y, r, a, bg)]
    drawn = render(*leaves, size, kernel=kernel)
    np.testing.assert_allclose(drawn.detach().numpy(), image, rtol=1e-12, atol=1e-12)
    value = log_likelihood(*leaves, torch.tensor(seen), 0.2, kernel=kernel)
    expected = -half_squares / 0.04 - seen.size * (np.log(0.2) + np.log(2 * np.pi) / 2)
    np.testing.assert_allclose(value.detach().numpy(), expected, rtol=1e-12)
    by: tuple[Tensor, ...] = torch.autograd.grad(value, leaves)
    for name, found in zip(gradient, by, strict=True):
        np.testing.assert_allclose(found.numpy(), -gradient[name] / 0.04, rtol=1e-9, atol=1e-9, err_msg=name)


def test_likelihood_is_torchs_normal_and_differentiable_by_the_error_scale() -> None:
    generator = torch.Generator().manual_seed(0)
    seen = torch.randn(5, 6, generator=generator, dtype=torch.float64)
    empty = torch.zeros(0, dtype=torch.float64)
    scale = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    bg = torch.tensor(0.1, dtype=torch.float64)
    value = log_likelihood(empty, empty, empty, empty, bg, seen, scale)
    expected = torch.distributions.Normal(bg, scale).log_prob(seen).sum()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(torch.autograd.grad(value, scale), torch.autograd.grad(expected, scale))
