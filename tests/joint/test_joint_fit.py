"""The joint fit: the truth is recovered, the posterior is the model's own, and nothing runs away."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pyro
import pytest
import torch
from numpy.typing import NDArray
from pyro import poutine
from scipy import stats

from pyrodrop.joint.draws import draws
from pyrodrop.joint.joint_fit import JointFit, fit_jointly
from pyrodrop.joint.profile_choice import fit_best_profile
from pyrodrop.models.bspline_background import spline_basis
from pyrodrop.models.multichannel_fit import measured
from pyrodrop.models.prior_scales import image_scales
from pyrodrop.rendering import PROFILES, render

Numbers = NDArray[np.float64]
SHAPE = {"gaussian": [], "disc": [1.1], "radial": [1.1, 0.5, 0.2, 0.0, -0.3, -0.4]}


class Scene(NamedTuple):
    """An image (C, H, W) and the droplets in it."""

    image: Numbers
    x: Numbers
    y: Numbers
    r: Numbers
    amplitude: Numbers

    def start(self, seed: int = 1, px: float = 0.6, share: float = 0.1) -> tuple[Numbers, Numbers, Numbers]:
        """Where a finder would see the droplets."""
        g = np.random.default_rng(seed)
        n = len(self.x)
        return self.x + g.normal(0, px, n), self.y + g.normal(0, px, n), self.r * np.exp(g.normal(0, share, n))


def scene(
    profile: str, places: Any, size: tuple[int, int] = (64, 64), noise: float = 0.02, channels: int = 1, seed: int = 0
) -> Scene:
    """An image on a sloping background of droplets given as rows x, y, r, amplitude in every channel."""
    g = np.random.default_rng(seed)
    rows = np.array(places, dtype=np.float64).reshape(-1, 3 + channels)
    x, y, r, a = rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3:].T
    shape = torch.tensor(SHAPE[profile], dtype=torch.float64) if SHAPE[profile] else None
    slope = 0.3 + 0.1 * np.linspace(0, 1, size[0])[:, None] - 0.05 * np.linspace(0, 1, size[1])
    image = np.empty((channels, *size))
    for c in range(channels):
        at = [torch.tensor(np.ascontiguousarray(v)) for v in (x, y, r, a[c])]
        droplets = render(*at, at[0].new_zeros(()), size, profile, "reference", shape)
        image[c] = droplets.numpy() + slope + noise * g.standard_normal(size)
    return Scene(image, x, y, r, a)


def crowd(seed: int, size: tuple[int, int], apart: float, number: int, radii: tuple[float, float]) -> Numbers:
    """Droplets at random, no two nearer than a share of the sum of their radii."""
    g = np.random.default_rng(seed)
    kept: list[Numbers] = []
    for _ in range(50 * number):
        r = g.uniform(*radii)
        row = np.array([g.uniform(2 * r, size[1] - 2 * r), g.uniform(2 * r, size[0] - 2 * r), r, g.uniform(0.2, 0.5)])
        row[3] *= g.choice([-1, 1])
        if all(np.hypot(*(row[:2] - k[:2])) > apart * (r + k[2]) for k in kept):
            kept.append(row)
        if len(kept) == number:
            break
    return np.array(kept)


def errors(fit: JointFit, truth: Scene) -> Numbers:
    """Errors of x, y, log r and the amplitudes in reported standard deviations, shape (N, 3 + C)."""
    away = [
        fit.x - truth.x,
        fit.y - truth.y,
        np.log(fit.r / truth.r),
        *(fit.amplitude - truth.amplitude),
    ]
    return np.stack(away, 1) / np.sqrt(np.einsum("nii->ni", fit.posterior.covariance))


@pytest.mark.parametrize("profile", ["gaussian", "disc", "radial"])
def test_the_truth_is_recovered_within_its_intervals(profile: str) -> None:
    truth = scene(profile, crowd(0, (128, 128), 1.2, 12, (4, 9)), (128, 128))
    fit = fit_jointly(truth.image[0], *truth.start(), profile=profile)
    assert fit.convergence.converged
    assert not fit.convergence.at_bounds.any()
    assert np.abs(errors(fit, truth)).max() < 4.5
    assert fit.noise == pytest.approx([0.02], rel=0.03)
    assert fit.residuals.reduced_chi_square == pytest.approx([1], abs=0.1)
    if profile == "disc":
        assert abs(fit.shape[0] - 1.1) < 4 * fit.posterior.shape_sd[0]
    assert (fit.presence() > 0.99).all()


@pytest.mark.parametrize("profile", ["gaussian", "disc"])
@pytest.mark.parametrize("apart", [2.5, 0.7], ids=["isolated", "overlapping"])
def test_intervals_cover(profile: str, apart: float) -> None:
    """About 200 values of each kind: nine in ten lie inside, within what the binomial lets pass once in 10,000."""
    inside, sizes = np.zeros(4), 0
    for seed in range(4):
        truth = scene(profile, crowd(seed, (200, 200), apart, 50, (3, 7)), (200, 200), 0.03, seed=seed)
        z = errors(fit_jointly(truth.image, *truth.start(seed), profile=profile), truth)
        inside += (np.abs(z) < stats.norm.ppf(0.95)).sum(0)
        sizes += len(z)
    low, high = stats.binom(sizes, 0.9).ppf([5e-5, 1 - 5e-5])
    assert sizes > 60
    assert (inside >= low).all()
    assert (inside <= high).all()


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

        module.render = drawn  # type: ignore[assignment]

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


def test_colours_share_centres_and_have_their_own_heights() -> None:
    places = [[20, 20, 6, 0.3, -0.1, 0.0], [44, 40, 8, 0.1, 0.2, 0.4], [25, 45, 5, -0.2, 0.3, 0.1]]
    truth = scene("disc", places, channels=3)
    fit = fit_jointly(truth.image, *truth.start(), profile="disc")
    assert fit.amplitude.shape == (3, 3)
    assert np.abs(errors(fit, truth)).max() < 4.5
    assert fit.amplitude == pytest.approx(truth.amplitude, abs=0.02)
    # All channels together know the centre better than one.
    one = fit_jointly(truth.image[0], *truth.start(), profile="disc")
    assert (fit.posterior.covariance[:, 0, 0] < one.posterior.covariance[:, 0, 0]).all()
    assert draws(fit, 7)["amplitude"].shape == (7, 3, 3)


@pytest.mark.parametrize("profile", ["gaussian", "disc", "radial"])
def test_the_evidence_prefers_the_right_profile(profile: str) -> None:
    truth = scene(profile, crowd(2, (128, 128), 1.2, 12, (5, 10)), (128, 128))
    x, y, r = truth.start()
    best, evidence = fit_best_profile(truth.image, x, y, r * PROFILES[profile].half_share)
    assert best.profile == profile, evidence
    assert set(evidence) == {"gaussian", "disc", "radial"}


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


@pytest.mark.parametrize("profile", ["gaussian", "disc", "radial"])
def test_nothing_runs_away_on_an_image_that_is_no_droplets(profile: str) -> None:
    """Blocky texture and stripes: droplets stay about where they start, and within a factor in size; those that the
    border cuts may also go out, by two radii.
    """
    g = np.random.default_rng(0)
    image = np.kron(g.standard_normal((12, 12)), np.ones((8, 8))) + np.sin(np.arange(96) / 3)
    x, y, r = g.uniform(0, 95, 30), g.uniform(0, 95, 30), g.uniform(2, 12, 30)
    fit = fit_jointly(image, x, y, r, profile=profile)
    far = np.maximum(2.0, 0.5 * r) + 1e-6
    for start, end in ((x, fit.x), (y, fit.y)):
        least = np.where(start - r < -0.5, np.minimum(start - far, -0.5 - 2 * r - 1e-6), start - far)
        most = np.where(start + r > 95.5, np.maximum(start + far, 95.5 + 2 * r + 1e-6), start + far)
        assert ((least <= end) & (end <= most)).all()
    assert (np.abs(np.log(fit.r / r)) <= np.log(2) + 1e-6).all()
    assert np.isfinite(fit.posterior.covariance).all()
    assert np.isfinite(fit.evidence.log_bayes).all()
    # What the model leaves is correlated, and the intervals say so.
    assert fit.residuals.noise_correlation > 2
    assert fit.posterior.inflation.mean() > 1.2


def test_correlated_noise_widens_the_intervals_until_they_cover() -> None:
    from scipy.ndimage import gaussian_filter

    inside, sizes = np.zeros(4), 0
    for seed in range(4):
        truth = scene("disc", crowd(seed, (200, 200), 2.0, 30, (4, 8)), (200, 200), 0.0, seed=seed)
        smooth = gaussian_filter(np.random.default_rng(seed).standard_normal((200, 200)), 1.0, mode="wrap")
        image = truth.image + 0.03 * smooth / smooth.std()
        fit = fit_jointly(image, *truth.start(seed), profile="disc")
        z = errors(fit, truth)
        inside += (np.abs(z) < stats.norm.ppf(0.95)).sum(0)
        sizes += len(z)
        assert fit.residuals.noise_correlation == pytest.approx(4 * np.pi, rel=0.35)
    assert (inside >= stats.binom(sizes, 0.85).ppf(1e-4)).all()


def test_the_half_radius_of_soft_droplets_is_known_where_the_radius_is_not() -> None:
    """Draws of the half radius hold it, and are narrower than those of r, which edge and curve can stand for."""
    truth = scene("radial", crowd(7, (128, 128), 1.3, 12, (5, 9)), (128, 128))
    fit = fit_jointly(truth.image, *truth.start(), profile="radial", shape=[1.5, 0, 0, 0, 0, 0])
    drawn = draws(fit, 2000, torch.Generator().manual_seed(1))
    exact = PROFILES["radial"].half_radius(truth.r, np.array(SHAPE["radial"]))
    sd = np.log(drawn["half_radius_px"]).std(0)
    assert np.abs(np.log(fit.half_radius / exact) / sd).max() < 4.5
    assert np.median(sd) <= np.median(np.log(drawn["radius_px"]).std(0)) * 1.05
    truth = scene("disc", crowd(7, (128, 128), 1.3, 12, (5, 9)), (128, 128))
    disc = fit_jointly(truth.image, *truth.start(), profile="disc")
    assert disc.half_slopes[:, 0] == pytest.approx(np.ones(12), abs=0.07)
    assert disc.half_slopes[:, 1] == pytest.approx(np.zeros(12), abs=0.07)


def test_no_droplets_are_a_background() -> None:
    truth = scene("disc", np.zeros((0, 4)))
    fit = fit_jointly(truth.image, [], [], [], profile="disc")
    assert fit.noise == pytest.approx([0.02], rel=0.05)
    assert fit.posterior.covariance.shape == (0, 4, 4)
    assert draws(fit, 5)["x_px"].shape == (5, 0)


def test_droplets_at_and_over_the_edge_of_the_image() -> None:
    truth = scene("disc", [[2, 30, 6, 0.3], [62, 62, 5, 0.4], [30, -0.2, 7, -0.3]])
    fit = fit_jointly(truth.image, *truth.start(px=0.3), profile="disc")
    assert np.abs(errors(fit, truth)).max() < 4.5


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((np.zeros(4), [1.0], [1.0], [1.0]), r"\(C, H, W\)"),
        ((np.full((9, 9), np.nan), [1.0], [1.0], [1.0]), "not finite"),
        ((np.zeros((9, 9)), [1.0, 2.0], [1.0], [1.0]), "each"),
        ((np.zeros((9, 9)), [1.0], [1.0], [0.0]), "positive"),
        ((np.zeros((9, 9)), [1.0], [1.0], [1.0], np.zeros((2, 1))), "2 rows"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        fit_jointly(*arguments)


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
