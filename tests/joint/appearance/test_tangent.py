"""The Jacobian of droplets as they look, its transpose and its blocks, against differences and each other."""

import pytest
import torch
from joint.appearance.looks import looks
from pyro import poutine

from pyrodrop.joint.appearance.blocks import blocks_of, solved
from pyrodrop.joint.appearance.fit import unit_prior
from pyrodrop.joint.appearance.newton import loss_of
from pyrodrop.joint.appearance.state import Look, Step, moved, predicted, sites_of
from pyrodrop.joint.appearance.tangent import backward, curvature, forward, prior_pull, tangent_at
from pyrodrop.models import appearance

both = pytest.mark.parametrize("in_colour", [False, True])


def random_step(state: Look, size: float, seed: int = 0) -> Step:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((len(state.x), 3), state.weights.shape, state.pictures.shape, state.bg.shape, (1,))
    return Step(*(size * torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes))


@both
def test_forward_is_the_derivative_of_the_image(in_colour: bool) -> None:
    state, data = looks(in_colour)
    step = random_step(state, 1e-5)
    back = Step(*(-part for part in step))
    expected = (predicted(moved(state, step), data) - predicted(moved(state, back), data)) / 2
    found = forward(tangent_at(state, data, unit_prior(state.pictures)), step)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6 * float(expected.abs().max()))


@both
def test_backward_is_the_transpose_of_forward(in_colour: bool) -> None:
    state, data = looks(in_colour)
    tangent = tangent_at(state, data, unit_prior(state.pictures))
    step = random_step(state, 1.0)
    image = torch.randn(data.channels.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close((forward(tangent, step) * image).sum(), step.dot(backward(tangent, image)))


@both
def test_the_loss_is_that_of_the_model(in_colour: bool) -> None:
    """Up to a constant, and to the densities' being those of the logs of radius, edge and noise."""
    state, data = looks(in_colour)
    prior, scales = unit_prior(state.pictures), data.scales
    other = moved(state, random_step(state, 0.01))

    def density(of: Look) -> float:
        model = poutine.condition(appearance, sites_of(of))
        count = of.weights.shape[1]
        trace = poutine.trace(model).get_trace(data.channels, len(of.x), count, scales, in_colour, 20.0)
        return float(trace.log_prob_sum() + of.log_r.sum() + of.log_edge + of.log_noise.sum())

    # The loss has the log-normal densities without their 1 / value.
    found = loss_of(other, data, prior) - loss_of(state, data, prior)
    assert found == pytest.approx(density(state) - density(other), rel=1e-6)


@both
def test_the_gradient_is_that_of_the_loss(in_colour: bool) -> None:
    state, data = looks(in_colour)
    state = moved(state, random_step(state, 0.01, seed=3))
    prior = unit_prior(state.pictures)
    tangent = tangent_at(state, data, prior)
    residual = (data.channels - predicted(state, data)) * tangent.precision[:, None, None]
    gradient = backward(tangent, residual).plus(prior_pull(tangent))
    step = random_step(state, 1e-6)
    there, back = moved(state, step), moved(state, Step(*(-part for part in step)))
    expected = (loss_of(back, data, prior) - loss_of(there, data, prior)) / 2
    assert float(gradient.dot(step)) == pytest.approx(expected, rel=1e-3)


@both
def test_blocks_are_those_of_the_curvature(in_colour: bool) -> None:
    """A step of one droplet alone, or of the background alone, is bent as its block says."""
    state, data = looks(in_colour)
    tangent = tangent_at(state, data, unit_prior(state.pictures))
    blocks = blocks_of(tangent)
    whole = random_step(state, 1.0)
    nothing = Step(*(torch.zeros_like(part) for part in whole))
    one = nothing._replace(place=nothing.place.clone(), weights=nothing.weights.clone())
    one.place[2], one.weights[2] = whole.place[2], whole.weights[2]
    back = solved(blocks, curvature(tangent, one))
    torch.testing.assert_close(back.place[2], one.place[2], rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(back.weights[2], one.weights[2], rtol=1e-6, atol=1e-8)
    ground = nothing._replace(bg=whole.bg)
    torch.testing.assert_close(solved(blocks, curvature(tangent, ground)).bg, whole.bg, rtol=1e-6, atol=1e-8)
