"""Pixels that are not known: the joint fit is that of the model whose likelihood does not have them."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from joint.scenes import scene
from pyro import poutine

from pyrodrop.joint.descent import initial_state
from pyrodrop.joint.joint_fit import fit_jointly
from pyrodrop.joint.normal_equations import columns_of, energy, equations_of, residual_of
from pyrodrop.joint.pixels import Pixels
from pyrodrop.joint.problem import Problem, State
from pyrodrop.joint.pyro_sites import model_of
from pyrodrop.models import multichannel_fit
from pyrodrop.models.prior_scales import image_scales
from pyrodrop.rendering import profile_named, render

PROFILES = ("gaussian", "disc", "radial", "rimmed")
PLACES = [(20.0, 20.0, 6.0, 0.4), (31.0, 24.0, 5.0, -0.3), (45.0, 44.0, 7.0, 0.5)]


def with_gaps(image: np.ndarray) -> np.ndarray:
    """A hole within a droplet, and a corner that cuts another."""
    seen = image.copy()
    seen[:, 18:23, 19:25] = np.nan
    seen[:, 44:, 40:] = np.nan
    return seen


def gapped(profile: str, channels: int = 1) -> tuple[Problem, State]:
    places = [(x, y, r, *([a] * channels)) for x, y, r, a in PLACES]
    truth = scene(profile, places, channels=channels)
    problem = Problem(Pixels.of(with_gaps(truth.image)), profile, image_scales(truth.image, 6.0, spacing=20.0))
    state = initial_state(problem, *truth.start(), truth.amplitude)
    wavy = state.bg + 0.05 * np.random.default_rng(0).standard_normal(state.bg.shape)
    return problem, replace(state, bg=wavy)


def flat(state: State) -> np.ndarray:
    """The unknowns in the order of the equations: droplet by droplet, then what they share."""
    own = np.stack([state.x, state.y, state.log_r, *state.amplitude], 1)
    return np.concatenate([own.ravel(), state.shape, state.bg.ravel()])


def of_flat(values: np.ndarray, like: State) -> State:
    n, c, s = len(like.x), len(like.amplitude), len(like.shape)
    own = values[: n * (3 + c)].reshape(n, 3 + c)
    rest = values[n * (3 + c) :]
    return State(own[:, 0], own[:, 1], own[:, 2], own[:, 3:].T, rest[:s], rest[s:].reshape(like.bg.shape))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("channels", [1, 2])
def test_gradient_and_precision_are_those_of_the_known_pixels_alone(profile: str, channels: int) -> None:
    problem, state = gapped(profile, channels)
    noise = np.full(channels, 0.02)

    def residual(values: np.ndarray) -> np.ndarray:
        there = of_flat(values, state)
        return residual_of(problem, there, columns_of(problem, there))

    columns = columns_of(problem, state)
    at = residual(flat(state))
    assert not at[:, ~problem.pixels.known].any()
    equations = equations_of(problem, state, columns, at, noise)
    middle = flat(state)
    jacobian = np.empty((at.size, len(middle)))
    for k in range(len(middle)):
        step = np.zeros_like(middle)
        step[k] = 1e-4
        jacobian[:, k] = ((residual(middle + step) - residual(middle - step)) / 2e-4).ravel()
    weighted = jacobian / np.repeat(noise, at[0].size)[:, None]
    own = problem.priors.droplet_precision(state.log_r, state.amplitude)
    expected = weighted.T @ weighted + np.diag(
        np.concatenate([own.ravel(), problem.priors.shared_precision(state.shape, state.bg)])
    )
    n, width = equations.droplet_gradient.shape
    whole = np.zeros_like(expected)
    for (i, j), block in zip(equations.pairs, equations.blocks, strict=True):
        whole[i * width : (i + 1) * width, j * width : (j + 1) * width] = block
        whole[j * width : (j + 1) * width, i * width : (i + 1) * width] = block.T
    whole[: n * width, n * width :] = equations.coupling.reshape(n * width, -1)
    whole[n * width :, : n * width] = whole[: n * width, n * width :].T
    whole[n * width :, n * width :] = equations.shared
    unit = np.sqrt(np.diag(expected))
    assert whole / unit / unit[:, None] == pytest.approx(expected / unit / unit[:, None], abs=5e-3)

    def cost(values: np.ndarray) -> float:
        there = of_flat(values, state)
        return energy(problem, there, residual(values), noise)

    gradient = np.concatenate([equations.droplet_gradient.ravel(), equations.shared_gradient])
    slopes = np.array([(cost(middle + h) - cost(middle - h)) / 2e-4 for h in 1e-4 * np.eye(len(middle))])
    assert gradient / unit == pytest.approx(slopes / unit, abs=0.05)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_energy_is_that_of_the_pyro_model_without_the_unknown_pixels(
    profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to a constant, which the noise of the unknown pixels is: of two states the difference is the same."""
    monkeypatch.setattr(multichannel_fit, "render", partial(render, kernel="reference"))
    problem, state = gapped(profile)
    noise = np.array([0.02])
    drawn = profile_named(profile)

    def both(there: State) -> tuple[float, float]:
        own = energy(problem, there, residual_of(problem, there, columns_of(problem, there)), noise)
        grid = (1, problem.down.shape[1], problem.along.shape[1])
        values = {"x": there.x, "y": there.y, "r": np.exp(there.log_r), "amplitude": there.amplitude}
        values |= {"noise": noise, "bg": there.bg.reshape(grid)}
        place, shape = 0, drawn.constrained(there.shape)
        for parameter in drawn.parameters:
            part = shape[place : place + parameter.size]
            values[parameter.name] = part if parameter.entries is not None else part.reshape(())
            place += parameter.size
        sites = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in values.items()}
        known = torch.from_numpy(problem.pixels.known)
        model = model_of(
            torch.from_numpy(np.nan_to_num(problem.pixels.channels)), problem.scales, profile, sites, known
        )
        log_density = float(poutine.trace(poutine.condition(model, sites)).get_trace().log_prob_sum())
        # Of radii and shapes, the joint fit has the densities of the logarithms.
        jacobian = there.log_r.sum() + np.log(shape[drawn.log]).sum()
        return own, -log_density - float(jacobian)

    elsewhere = replace(state, x=state.x + 0.7, amplitude=1.1 * state.amplitude, bg=state.bg + 0.03)
    here, there = both(state), both(elsewhere)
    assert here[0] - there[0] == pytest.approx(here[1] - there[1], rel=2e-3)


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_known_elsewhere_says_what_it_says_without_gaps(profile: str) -> None:
    truth = scene(profile, PLACES)
    whole = fit_jointly(truth.image, *truth.start(), profile=profile)
    seen = with_gaps(truth.image)
    fit = fit_jointly(seen, *truth.start(), profile=profile)
    garbage = np.where(np.isnan(seen), np.nan, truth.image)
    assert (fit.x == fit_jointly(garbage, *truth.start(), profile=profile).x).all()
    sd, before = (np.sqrt(np.einsum("nii->ni", each.posterior.covariance)) for each in (fit, whole))
    assert (np.abs(fit.x - truth.x) < 5 * sd[:, 0]).all()
    # The second is whole, but meets the first, and the curve or core that all share is known less well; the third loses
    # nearly half: it is known less well.
    assert sd[1] == pytest.approx(before[1], rel=0.4 if profile in ("radial", "rimmed") else 0.25)
    assert (sd[2, :2] > 1.15 * before[2, :2]).all()
    assert fit.noise[0] == pytest.approx(whole.noise[0], rel=0.05)
    assert fit.residuals.reduced_chi_square[0] == pytest.approx(1, abs=0.1)
    assert not fit.residuals.image[:, np.isnan(seen[0])].any()


def test_half_an_image_is_the_half_image() -> None:
    """But for the background's control points, which lie elsewhere, and for the part of a droplet beyond the cut."""
    truth = scene("disc", [(20.0, 20.0, 6.0, 0.4), (18.0, 45.0, 5.0, 0.3), (50.0, 30.0, 7.0, 0.5)])
    scales = image_scales(truth.image, 6.0, spacing=200.0)
    seen = truth.image.copy()
    seen[:, :, 36:] = np.nan
    places = truth.start()
    fit = fit_jointly(seen, *(p[:2] for p in places), profile="disc", scales=scales)
    half = fit_jointly(truth.image[:, :, :36], *(p[:2] for p in places), profile="disc", scales=scales)
    sd = np.sqrt(np.einsum("nii->ni", half.posterior.covariance))
    assert (np.abs(fit.x - half.x) < 0.15 * sd[:, 0]).all()
    assert np.sqrt(np.einsum("nii->ni", fit.posterior.covariance)) == pytest.approx(sd, rel=0.05)
    # The prior of a centre is uniform in what is seen, in both.
    cost, of_half = (each.evidence.log_bayes - each.evidence.gain for each in (fit, half))
    assert cost == pytest.approx(of_half, abs=0.2)


def test_a_droplet_in_the_unknown_has_no_evidence() -> None:
    truth = scene("disc", PLACES)
    seen = truth.image.copy()
    seen[:, 30:, 34:] = np.nan
    fit = fit_jointly(seen, *truth.start(), profile="disc")
    assert fit.evidence.gain[2] == pytest.approx(0, abs=1e-3)
    assert fit.amplitude[0, 2] == pytest.approx(0, abs=1e-3)
    assert fit.evidence.log_bayes[2] < 0


def test_what_is_known_is_counted() -> None:
    truth = scene("disc", PLACES)
    assert Pixels.of(truth.image).all_known
    assert Pixels.of(with_gaps(truth.image)).known_number == 64 * 64 - 5 * 6 - 20 * 24
    with pytest.raises(ValueError, match="nothing but NaN"):
        fit_jointly(np.full((1, 20, 20), np.nan), [5.0], [5.0], [3.0])
