"""The distribution of an image of droplets against closed forms."""

import math

import numpy as np
import pyro
import pytest
import torch
from hypothesis import given, settings
from models.channel_scenes import SCENE, Scene, assert_gradient, closed_form, scenes
from scipy import stats

from pyrodrop.models.channel_fit import DropletImage


@settings(max_examples=40, deadline=None)
@given(s=scenes(outside=True))
def test_droplet_image_is_normal_around_the_image(s: Scene) -> None:
    """Its log density and gradient, wherever the centres lie."""
    distribution = s.distribution()
    leaves = {
        "x": distribution.x,
        "y": distribution.y,
        "r": distribution.r,
        "amplitude": distribution.amplitude,
        "bg": distribution.bg,
    }
    for leaf in leaves.values():
        leaf.requires_grad_()
    density = distribution.log_prob(torch.tensor(s.channel))
    expected = closed_form(s)
    np.testing.assert_allclose(distribution.mean.detach().numpy(), expected.image, rtol=1e-9, atol=1e-9)
    assert density.item() == pytest.approx(expected.log_likelihood, rel=1e-9, abs=1e-9)
    found = torch.autograd.grad(density, list(leaves.values()))
    assert_gradient(dict(zip(leaves, found, strict=True)), expected.by)


def test_a_batch_of_droplet_images_is_its_rows() -> None:
    rows = [SCENE, SCENE._replace(x=SCENE.x[::-1] + 1, bg=0.6)]
    columns = [
        torch.stack([torch.tensor(np.array(getattr(row, name), dtype=np.float64)) for row in rows])
        for name in ("x", "y", "r", "amplitude", "bg")
    ]
    batch = DropletImage(*columns, 0.2, (6, 7))
    assert (batch.batch_shape, batch.event_shape) == ((2,), (6, 7))
    channel = torch.tensor(SCENE.channel)
    for row, mean, density in zip(rows, batch.mean, batch.log_prob(channel), strict=True):
        expected = closed_form(row)
        np.testing.assert_allclose(mean.numpy(), expected.image, rtol=1e-9)
        assert float(density) == pytest.approx(expected.log_likelihood, rel=1e-9)


def test_expanding_a_droplet_image_repeats_it() -> None:
    wide = SCENE.distribution().expand([4, 2])
    assert (wide.batch_shape, wide.event_shape) == ((4, 2), (6, 7))
    expected = closed_form(SCENE)
    np.testing.assert_allclose(wide.mean.numpy(), np.broadcast_to(expected.image, (4, 2, 6, 7)), rtol=1e-9)
    density = wide.log_prob(torch.tensor(SCENE.channel))
    np.testing.assert_allclose(density.numpy(), np.full((4, 2), expected.log_likelihood), rtol=1e-9)


@pytest.mark.global_rng
def test_draws_of_a_droplet_image_have_its_mean_and_noise() -> None:
    pyro.set_rng_seed(0)
    distribution = SCENE.distribution()
    draws = distribution.sample((4000,))
    assert draws.shape == (4000, 6, 7)
    assert draws.dtype == torch.float64
    image = closed_form(SCENE).image
    np.testing.assert_allclose(draws.mean(0).numpy(), image, atol=5 * 0.2 / math.sqrt(4000))
    standard = (draws - torch.tensor(image)) / 0.2
    assert stats.kstest(standard.flatten().numpy(), "norm").pvalue > 1e-3


@pytest.mark.global_rng
def test_draws_of_a_droplet_image_carry_gradients() -> None:
    distribution = SCENE.distribution()
    distribution.amplitude.requires_grad_()
    (by_amplitude,) = torch.autograd.grad(distribution.rsample().sum(), distribution.amplitude)
    rows, columns = np.mgrid[:6, :7]
    profiles = [
        np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * r**2)).sum()
        for x, y, r in zip(SCENE.x, SCENE.y, SCENE.r, strict=True)
    ]
    np.testing.assert_allclose(by_amplitude.numpy(), profiles, rtol=1e-9)
