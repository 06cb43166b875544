"""What is said of a joint fit: its posterior is the model's own, and its evidence that of one droplet more."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyro
import pytest
import torch
from joint.scenes import SHAPE, Numbers, crowd, scene
from pyro import poutine

from pyrodrop.images.simulation.simulate import simulate
from pyrodrop.joint.draws import draws, half_radius_sd
from pyrodrop.joint.joint_fit import fit_jointly
from pyrodrop.models.bspline_background import spline_basis
from pyrodrop.models.multichannel_fit import measured
from pyrodrop.models.prior_scales import image_scales
from pyrodrop.rendering import PROFILES, render


@pytest.mark.parametrize("profile", ["gaussian", "disc"])
def test_the_posterior_is_that_of_the_pyro_model(profile: str) -> None:
    """The covariance against the inverse Hessian of Pyro's own log density, all unknowns free, at the same mode."""
    truth = scene(profile, [[14, 15, 4.0, 0.4], [20.5, 17, 3.0, 0.3], [30, 30, 3.5, -0.3]], (40, 40), 0.01)
    scales = image_scales(truth.image, 4.0, 40.0)
    fit = fit_jointly(truth.image, *truth.start(), profile=profile, scales=scales)
    image, n = torch.tensor(truth.image), 3
    grid = [spline_basis(40, 40.0).shape[1]] * 2
    # The background's control points are those whose image is the background.
    down = spline_basis(40, 40.0)
    bg = np.linalg.pinv(down) @ fit.background[0].astype(np.float64) @ np.linalg.pinv(down).T
    at: dict[str, Numbers] = {
        "x": fit.x, "y": fit.y, "r": fit.r, "amplitude": fit.amplitude,
        "bg": bg.reshape(1, *grid), "noise": fit.noise,
    }  # fmt: skip
    if profile == "disc":
        at["edge"] = fit.shape[0]
    # x and y stay as they are; what is positive is taken in logarithms.
    free = {name: torch.tensor(value, dtype=torch.float64) for name, value in at.items()}
    logs = {"r", "edge", "noise"}
    flat = torch.cat([(v.log() if k in logs else v).reshape(-1) for k, v in free.items()])

    def log_density(vector: torch.Tensor) -> torch.Tensor:
        values, place, jacobian = {}, 0, vector.new_zeros(())
        for name, value in free.items():
            part = vector[place : place + value.numel()].reshape(value.shape)
            place += value.numel()
            jacobian = jacobian + (part.sum() if name in logs else 0)
            values[name] = part.exp() if name in logs else part
        with pyro.poutine.block(), reference_only():
            made = poutine.trace(poutine.condition(measured, values)).get_trace(image, n, scales, profile)
            return made.log_prob_sum() + jacobian

    hessian = torch.autograd.functional.hessian(log_density, flat).numpy()
    covariance = np.linalg.inv(-hessian)
    for k in range(n):
        places = [k, n + k, 2 * n + k, 3 * n + k]
        exact = covariance[np.ix_(places, places)]
        sd = np.sqrt(np.diag(exact))
        # Gauss and Newton leave out the second derivatives of the image, which the residual makes nearly nothing of.
        plain = fit.posterior.covariance[k] / np.outer(fit.posterior.inflation[k], fit.posterior.inflation[k])
        assert np.allclose(plain / np.outer(sd, sd), exact / np.outer(sd, sd), atol=0.06)


class reference_only:
    """The definition in place of the compiled kernel, which has no second derivative."""

    def __enter__(self) -> None:
        import pyrodrop.models.multichannel_fit as module

        self.module, self.drawn = module, module.render

        def drawn(*arguments: Any, **options: Any) -> torch.Tensor:
            return render(*arguments, kernel="reference", **options)

        module.render = drawn

    def __exit__(self, *_: object) -> None:
        self.module.render = self.drawn


def test_marginals_and_draws_are_those_of_the_whole_inverse() -> None:
    truth = scene("disc", crowd(5, (90, 90), 0.6, 25, (3, 8)), (90, 90))
    fit = fit_jointly(truth.image, *truth.start(), profile="disc")
    factor, n = fit.posterior.factor, len(truth.x)
    inner = np.zeros((4 * n, 4 * n))
    dense = (factor.droplets.L @ factor.droplets.U).toarray()
    order = factor.droplets.perm_c
    inner = np.linalg.inv(dense[np.ix_(order, order)]) * np.outer(factor.scale, factor.scale)
    whole = inner + factor.back @ factor.shared_covariance() @ factor.back.T
    blocks = np.stack([whole[4 * k : 4 * k + 4, 4 * k : 4 * k + 4] for k in range(n)])
    assert np.allclose(factor.marginals(), blocks, rtol=1e-8, atol=1e-14)
    drawn = draws(fit, 4000, torch.Generator().manual_seed(0))
    assert drawn["x_px"].shape == (4000, n)
    i = int(np.argmax(np.abs(whole[0::4, 0::4] - np.diag(np.diag(whole[0::4, 0::4]))).max(1)))
    j = int(np.argmax(np.abs(np.delete(whole[4 * i, 0::4], i))))
    j += j >= i
    expected = whole[4 * i, 4 * j] / np.sqrt(whole[4 * i, 4 * i] * whole[4 * j, 4 * j])
    got = np.corrcoef(drawn["x_px"][:, i], drawn["x_px"][:, j])[0, 1]
    assert got == pytest.approx(expected, abs=0.08)
    sd = np.sqrt(np.einsum("nii->ni", fit.posterior.covariance))
    assert drawn["x_px"].std(0) == pytest.approx(sd[:, 0], rel=0.06)
    assert np.log(drawn["radius_px"]).std(0) == pytest.approx(sd[:, 2], rel=0.06)
    assert drawn["amplitude"].std(0) == pytest.approx(sd[:, 3], rel=0.06)


def test_the_evidence_of_a_droplet_is_that_of_the_model_with_it_less_without_it() -> None:
    """A faint isolated disc: the Bayes factor against the difference of two fits' evidence."""
    truth = scene("disc", [[20, 20, 6, 0.4], [45, 45, 5, 0.012]], noise=0.02)
    scales = image_scales(truth.image, 5.0)
    both = fit_jointly(truth.image, truth.x, truth.y, truth.r, profile="disc", scales=scales)
    alone = fit_jointly(truth.image, truth.x[:1], truth.y[:1], truth.r[:1], profile="disc", scales=scales)
    assert both.evidence.log_bayes[1] == pytest.approx(
        both.evidence.log_evidence - alone.evidence.log_evidence, abs=1.0
    )
    assert both.evidence.log_bayes[0] > 1000


def test_droplets_that_are_not_there_are_not_believed() -> None:
    truth = scene("disc", [[20, 20, 6, 0.3]])
    g = np.random.default_rng(0)
    extra_x, extra_y = g.uniform(5, 58, 8), g.uniform(36, 58, 8)
    fit = fit_jointly(truth.image, np.r_[20.3, extra_x], np.r_[19.8, extra_y], np.full(9, 5.0), profile="disc")
    presence = fit.presence(1.0)
    assert presence[0] > 0.999
    assert (presence[1:] < 0.5).all()


def test_a_droplet_of_no_height_has_no_more_room_than_it_was_given() -> None:
    """Where the height is nothing, the image does not tell the centre: that is no evidence for a droplet."""
    generator = np.random.default_rng(1)
    side = 200
    flat = 0.2 + 0.01 * generator.standard_normal((1, side, side))
    # As wide as the finder's largest mistakes, among the many that an image may hold.
    places = generator.uniform(30, side - 30, (2, 4))
    made = fit_jointly(flat, *places, np.full(4, 15.0), profile="gaussian")
    assert np.all(np.abs(made.amplitude) < 0.01)
    assert np.all(made.presence(expected=340, white=True) < 0.1)


def test_the_half_radius_of_soft_droplets_is_known() -> None:
    """Draws of the half radius hold it, to a per cent of itself, whatever edge and curve stand for."""
    truth = scene("radial", crowd(7, (128, 128), 1.3, 12, (5, 9)), (128, 128))
    fit = fit_jointly(truth.image, *truth.start(), profile="radial", shape=[1.5, 0, 0, 0, 0, 0])
    drawn = draws(fit, 2000, torch.Generator().manual_seed(1))
    exact = PROFILES["radial"].half_radius(truth.r, np.array(SHAPE["radial"]))
    sd = np.log(drawn["half_radius_px"]).std(0)
    assert np.abs(np.log(fit.half_radius / exact) / sd).max() < 4.5
    assert np.median(sd) < 0.015
    truth = scene("disc", crowd(7, (128, 128), 1.3, 12, (5, 9)), (128, 128))
    disc = fit_jointly(truth.image, *truth.start(), profile="disc")
    assert disc.half_slopes[:, 0] == pytest.approx(np.ones(12), abs=0.07)
    assert disc.half_slopes[:, 1] == pytest.approx(np.zeros(12), abs=0.07)


def test_draws_of_a_droplet_of_which_hardly_anything_is_known_stay_finite() -> None:
    image = 0.5 + 0.1 * np.random.default_rng(1).standard_normal((40, 50))
    fit = fit_jointly(image, [25.0], [20.0], [3.0], profile="disc")
    fit.posterior.covariance[0, 2, 2] = 400.0
    posterior = fit.posterior._replace(inflation=np.full((1, 4), 300.0))
    drawn = draws(replace(fit, posterior=posterior), 500)
    assert drawn["radius_px"].max() <= 4 * fit.r[0] * (1 + 1e-9)
    assert drawn["radius_px"].min() >= fit.r[0] / 4 * (1 - 1e-9)


def test_a_bump_of_one_grey_level_is_within_rounding_and_one_of_five_is_not() -> None:
    """Where the noise is less than half a level, neighbours are rounded alike: their number makes a bump no surer."""
    row, column = np.mgrid[:60, :80]
    noise = 0.3 * np.random.default_rng(2).standard_normal((60, 80))
    smooth = 10 + 0.7 * np.exp(-((column - 25) ** 2 + (row - 30) ** 2) / 50)
    smooth += 5 * np.exp(-((column - 58) ** 2 + (row - 30) ** 2) / 50)
    fit = fit_jointly(np.round(smooth + noise), [25.0, 58.0], [30.0, 30.0], [5.0, 5.0], profile="gaussian")
    faint, plain = fit.evidence.log_bayes
    assert faint < 1
    assert plain > 10
    dithered = fit_jointly(np.round(smooth + 3 * noise), [25.0, 58.0], [30.0, 30.0], [5.0, 5.0], profile="gaussian")
    exact = fit_jointly(smooth + 3 * noise, [25.0, 58.0], [30.0, 30.0], [5.0, 5.0], profile="gaussian")
    assert dithered.evidence.log_bayes[1] == pytest.approx(exact.evidence.log_bayes[1], rel=0.15)
    assert fit.noise[0] >= 1 / np.sqrt(12)


@pytest.mark.parametrize("profile", ["gaussian", "disc", "radial", "rimmed"])
def test_the_spread_of_a_radius_is_that_of_its_draws(profile: str) -> None:
    image, truth = simulate(12, (90, 110), seed=3, kind="gray", profile="disc", radius_px=(4, 8), separation=0.8)
    places = (truth[name].to_numpy() for name in ("x_px", "y_px", "radius_px"))
    fit = fit_jointly(image.channel("gray").double().numpy(), *places, profile=profile)
    drawn = np.log(draws(fit, 10_000)["half_radius_px"]).std(0)
    assert half_radius_sd(fit) == pytest.approx(drawn, rel=0.03)
