"""The contract between the joint fit and the Pyro model ``measured``: one model, written once.

Energy, gradient and precision of the joint fit are those of the model's log density in transformed space, for every
profile and one to three channels, but for what the joint fit leaves out of a droplet's tail.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pyro import poutine
from torch import Tensor

from pyrodrop.joint.normal_equations import columns_of, energy, equations_of, residual_of
from pyrodrop.joint.pixels import Pixels
from pyrodrop.joint.priors import Normal, Uniform
from pyrodrop.joint.problem import Problem, State
from pyrodrop.models import multichannel_fit
from pyrodrop.models.multichannel_fit import measured
from pyrodrop.models.prior_scales import PriorScales
from pyrodrop.rendering import PROFILES, render

Array = NDArray[np.float64]
SIZE, N = (10, 12), 3
# What is left out of a droplet, as a share of its height, and of its derivatives, in units of height and px; see
# ``Profile.left_out``. Derivatives are kept in single precision.
LEFT_OUT, SLOPE_LEFT_OUT, ROUNDING = 1.3e-5, 2e-4, 1e-6


@pytest.fixture(autouse=True)
def _definition(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is drawn by the definition, whose Jacobian is taken in one pass."""
    monkeypatch.setattr(multichannel_fit, "render", partial(render, kernel="reference"))


class Place(NamedTuple):
    """A point in the space of all unknowns, the noise, and what each side says of it."""

    state: State
    noise: Array


def problem_of(profile: str, count: int, seed: int = 0) -> Problem:
    generator = np.random.default_rng(seed)
    scales = PriorScales(*(generator.uniform(0.5, 1.5, count) for _ in range(4)), 6.0, 10.0)
    return Problem(Pixels.of(generator.normal(0.5, 1.0, (count, *SIZE))), profile, scales)


def place(problem: Problem, seed: int) -> Place:
    """Droplets so large that the windows of Gaussians hold all of the image."""
    generator = np.random.default_rng([seed, 1])
    count = problem.pixels.count
    state = State(
        x=generator.uniform(0, SIZE[1] - 1, N),
        y=generator.uniform(0, SIZE[0] - 1, N),
        log_r=np.log(generator.uniform(4.0, 6.0, N)),
        amplitude=generator.normal(0, 1, (count, N)),
        shape=generator.normal(0, 0.5, problem.drawn.size),
        bg=generator.normal(0.5, 1, (count, problem.points)),
    )
    return Place(state, generator.uniform(0.6, 3.0, count))


def flat(state: State) -> Tensor:
    """All unknowns in the order of the joint fit: x, y, log r and amplitudes of each droplet, then what is shared."""
    droplets = np.column_stack([state.x, state.y, state.log_r, state.amplitude.T])
    return torch.tensor(np.concatenate([droplets.ravel(), state.shape, state.bg.ravel()]))


class Model:
    """The Pyro model as a function of the unknowns of the joint fit."""

    def __init__(self, problem: Problem, noise: Array) -> None:
        self.problem, self.noise = problem, torch.tensor(noise)
        self.channels = torch.tensor(problem.pixels.channels)

    def trace(self, unknowns: Tensor) -> poutine.Trace:
        problem, count, shapes = self.problem, len(self.problem.pixels.channels), self.problem.drawn.size
        droplets = unknowns[: N * (3 + count)].reshape(N, 3 + count)
        shape, bg = unknowns[N * (3 + count) :].split([shapes, unknowns.numel() - N * (3 + count) - shapes])
        sites = {
            "x": droplets[:, 0],
            "y": droplets[:, 1],
            "r": droplets[:, 2].exp(),
            "amplitude": droplets[:, 3:].mT,
            "bg": bg.reshape(count, problem.down.shape[1], problem.along.shape[1]),
            "noise": self.noise,
        }
        parameters = problem.drawn.parameters
        for parameter, own in zip(parameters, shape.split([p.size for p in parameters]), strict=True):
            value = own.exp() if parameter.log else own
            sites[parameter.name] = value[0] if parameter.entries is None else value
        model = poutine.condition(measured, sites)
        trace = poutine.trace(model).get_trace(self.channels, N, problem.scales, problem.profile)
        trace.compute_log_prob()
        return trace

    def image(self, unknowns: Tensor) -> Tensor:
        """What the model says without noise, flattened."""
        mean: Tensor = self.trace(unknowns).nodes["obs"]["fn"].mean
        return mean.reshape(-1)

    def prior_energy(self, unknowns: Tensor) -> Tensor:
        """Negative log density of the priors in transformed space."""
        nodes = self.trace(unknowns).nodes
        total = unknowns.new_zeros(())
        logs = {"r": True, "noise": True} | {p.name: p.log for p in self.problem.drawn.parameters}
        for name in {"x", "y", "amplitude", "bg", *logs}:
            total = total - nodes[name]["log_prob_sum"]
            if logs.get(name):  # the density of the logarithm is that times the value
                total = total - nodes[name]["value"].log().sum()
        return total

    def energy(self, unknowns: Tensor) -> Tensor:
        """Negative log density of all, in transformed space."""
        likelihood: Tensor = self.trace(unknowns).nodes["obs"]["log_prob_sum"]
        return self.prior_energy(unknowns) - likelihood


def joint_energy(problem: Problem, at: Place) -> float:
    residual = residual_of(problem, at.state, columns_of(problem, at.state))
    return energy(problem, at.state, residual, at.noise)


def dense(problem: Problem, at: Place) -> tuple[Array, Array]:
    """Gradient and precision of the joint fit, of all unknowns."""
    columns = columns_of(problem, at.state)
    equations = equations_of(problem, at.state, columns, residual_of(problem, at.state, columns), at.noise)
    width = 3 + problem.pixels.count
    count = N * width
    gradient = np.concatenate([equations.droplet_gradient.ravel(), equations.shared_gradient])
    precision = np.zeros((len(gradient), len(gradient)))
    for (i, j), block in zip(equations.pairs, equations.blocks, strict=True):
        rows, across = slice(i * width, (i + 1) * width), slice(j * width, (j + 1) * width)
        precision[rows, across], precision[across, rows] = block, block.T
    precision[:count, count:] = equations.coupling.reshape(count, -1)
    precision[count:, :count] = precision[:count, count:].T
    precision[count:, count:] = equations.shared
    return gradient, precision


def energy_disagreement(problem: Problem) -> float:
    """By how much differences of the energy between places differ, in units of what the cut may leave out."""
    places = [place(problem, seed) for seed in range(4)]
    apart, allowed = [], []
    for at in places:
        model = Model(problem, at.noise)
        unknowns = flat(at.state)
        apart.append(joint_energy(problem, at) - float(model.energy(unknowns)))
        residual = (model.image(unknowns) - model.channels.reshape(-1)).abs().reshape(len(at.noise), -1).numpy()
        off = (LEFT_OUT + ROUNDING) * np.abs(at.state.amplitude).sum(1)
        allowed.append(((residual.sum(1) * off + residual.shape[1] * off**2) / at.noise**2).sum() + 1e-9)
    differences = np.subtract.outer(apart, apart)
    return float(np.max(np.abs(differences) / np.add.outer(allowed, allowed)))


def curvature_disagreement(problem: Problem) -> tuple[float, float]:
    """The same of gradient and precision, at one place."""
    at = place(problem, 7)
    model, unknowns = Model(problem, at.noise), flat(at.state)
    gradient, precision = dense(problem, at)
    jacobian = torch.autograd.functional.jacobian(model.image, unknowns, vectorize=True).numpy()
    weight = np.repeat(at.noise**-2.0, SIZE[0] * SIZE[1])
    residual = (model.channels.reshape(-1) - model.image(unknowns)).numpy()
    slope = torch.autograd.functional.jacobian(model.prior_energy, unknowns).numpy()
    stiffness = torch.autograd.functional.hessian(model.prior_energy, unknowns).numpy()
    # A uniform prior has no curvature; in the joint fit it has that of the normal of its variance, side^2 / 12.
    width = 3 + problem.pixels.count
    for axis, side in ((0, SIZE[1]), (1, SIZE[0])):
        places = np.arange(N) * width + axis
        stiffness[places, places] += 12 / side**2
    size = float(np.abs(at.state.amplitude).max())
    off = SLOPE_LEFT_OUT * max(size, 1.0) * np.ones_like(jacobian) + ROUNDING * np.abs(jacobian)
    # The mean image of the joint fit is off by what is left out, too.
    image_off = (LEFT_OUT + ROUNDING) * np.abs(at.state.amplitude).sum()
    gradient_off = off.T @ (weight * np.abs(residual)) + np.abs(jacobian).T @ (weight * image_off) + 1e-9
    precision_off = off.T @ (weight[:, None] * np.abs(jacobian))
    precision_off = precision_off + precision_off.T + 1e-9
    expected_gradient = slope - jacobian.T @ (weight * residual)
    expected_precision = jacobian.T @ (weight[:, None] * jacobian) + stiffness
    return (
        float(np.max(np.abs(gradient - expected_gradient) / gradient_off)),
        float(np.max(np.abs(precision - expected_precision) / precision_off)),
    )


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("profile", list(PROFILES))
def test_energy_gradient_and_precision_are_the_models(profile: str, count: int) -> None:
    problem = problem_of(profile, count, seed=count)
    by_gradient, by_precision = curvature_disagreement(problem)
    assert energy_disagreement(problem) <= 1
    assert by_gradient <= 1
    assert by_precision <= 1


@pytest.mark.parametrize("name", ["x", "y", "log_r", "amplitude", "shape", "bg", "log_noise"])
def test_a_prior_that_is_changed_in_one_place_only_is_seen(name: str) -> None:
    """The contract is broken by any prior of the joint fit that is not the model's: a tenth narrower, or shifted."""
    problem = problem_of("radial", 2, seed=5)
    prior = getattr(problem.priors, name)
    if isinstance(prior, Uniform):
        others: list[Uniform | Normal] = [Uniform(prior.low, prior.low + 0.9 * (prior.high - prior.low))]
    else:
        others = [prior._replace(sd=0.9 * prior.sd), prior._replace(mean=prior.mean + 0.1 * prior.sd)]
    for other in others:
        problem.__dict__["priors"] = problem.priors._replace(**{name: other})
        assert energy_disagreement(problem) > 1 or max(curvature_disagreement(problem)) > 1
