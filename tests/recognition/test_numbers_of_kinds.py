"""Kinds of droplets: how many there are and which each is of, on populations of known kinds."""

import numpy as np
import pyro
import pytest
import torch
from numpy.typing import NDArray
from pyro import poutine

from pyrodrop.models import kinds
from pyrodrop.models.kinds import prior_of_kinds
from pyrodrop.recognition.kinds import kinds_of

Array = NDArray[np.float64]


def measured(rng: np.random.Generator, log_r: Array, heights: Array) -> tuple[Array, Array]:
    """What a measurement would say of droplets of these log radii (N,) and heights (N, C), and its errors."""
    n, channels = heights.shape
    sd_r, sd = 0.02 + 0.05 / np.exp(log_r), 0.02 / np.exp(log_r)
    log_r = log_r + sd_r * rng.standard_normal(n)
    heights = heights + sd[:, None] * rng.standard_normal(heights.shape)
    scale = np.median(sd)
    errors = np.zeros((n, 1 + channels, 1 + channels))
    errors[:, 0, 0] = sd_r**2
    for c in range(channels):
        errors[:, c + 1, c + 1] = sd**2 / (heights[:, c] ** 2 + scale**2)
    return np.column_stack([log_r, np.arcsinh(heights / scale)]), errors


def brightness(rng: np.random.Generator, n: int, spread: float) -> Array:
    return np.asarray(np.exp(spread * rng.standard_normal(n))[:, None])


@pytest.mark.parametrize("spread", [0.05, 0.3, 0.6])
@pytest.mark.parametrize("tint", [[0.3], [0.3, 0.15, 0.05]], ids=["gray", "colour"])
def test_a_broad_log_normal_is_one_kind(spread: float, tint: list[float]) -> None:
    rng = np.random.default_rng(int(100 * spread))
    log_r = np.log(5) + spread * rng.standard_normal(300)
    modes = kinds_of(*measured(rng, log_r, brightness(rng, 300, spread) * np.array(tint)))
    assert len(modes) == 1


def test_two_colours_are_two_kinds() -> None:
    rng = np.random.default_rng(3)
    kind = (rng.random(200) < 0.3).astype(int)
    heights = brightness(rng, 200, 0.2) * np.array([[0.3, 0.15, 0.05], [0.05, 0.15, 0.3]])[kind]
    modes = kinds_of(*measured(rng, np.log(5) + 0.3 * rng.standard_normal(200), heights))
    assert len(modes) == 2
    told = modes[-1].membership.argmax(1)
    assert max((told == kind).mean(), (told != kind).mean()) >= 0.95
    assert np.sort(modes[-1].share) == pytest.approx([0.3, 0.7], abs=0.07)


def test_bright_and_faint_beads_are_two_kinds() -> None:
    rng = np.random.default_rng(4)
    kind = np.repeat([0, 1], [215, 255])
    heights = brightness(rng, 470, 0.2) * np.array([[0.5], [0.15]])[kind]
    modes = kinds_of(*measured(rng, np.log(3) + 0.1 * rng.standard_normal(470), heights))
    assert len(modes) == 2
    told = modes[-1].membership.argmax(1)
    assert max((told == kind).mean(), (told != kind).mean()) >= 0.95


def test_improbable_droplets_make_no_kind() -> None:
    """Of two populations, the one that is not there does not count."""
    rng = np.random.default_rng(5)
    kind = np.repeat([0, 1], [100, 60])
    features, errors = measured(rng, np.log(5) + 0.1 * rng.standard_normal(160), np.array([[0.5], [0.1]])[kind])
    assert len(kinds_of(features, errors)) == 2
    assert len(kinds_of(features, errors, np.where(kind == 0, 1.0, 1e-3))) == 1


def test_what_is_found_is_a_mode_of_the_model() -> None:
    """The density of ``models.kinds`` falls whichever way one goes."""
    rng = np.random.default_rng(6)
    features, errors = measured(rng, rng.normal(1.5, 0.2, 60), np.array([[0.5], [0.1]])[np.repeat([0, 1], 30)])
    mode = kinds_of(features, errors)[-1]
    x, s = torch.tensor(features), torch.tensor(errors)
    _, psi = prior_of_kinds(x, s)

    def density(share: Array, centre: Array, covariance: Array) -> float:
        """Of share, centre and precision: that of the sites of its root has a derivative more."""
        root = torch.linalg.cholesky(torch.linalg.inv(torch.tensor(covariance))) * psi.diagonal().sqrt()[:, None]
        sites = {
            "share": torch.tensor(share),
            "centre": torch.tensor(centre),
            "strength": root.diagonal(dim1=-2, dim2=-1).square(),
            "below": root[:, 1, :1],
        }
        trace = poutine.trace(poutine.condition(kinds, sites)).get_trace(x, s, 2)
        return float(trace.log_prob_sum()) - float(root[:, 0, 0].log().sum())

    best = density(mode.share, mode.centre, mode.covariance)
    for sign in (-0.03, 0.03):
        assert density(mode.share + sign * np.array([1, -1]), mode.centre, mode.covariance) < best
        assert density(mode.share, mode.centre + sign, mode.covariance) < best
        assert density(mode.share, mode.centre, mode.covariance * np.exp(10 * sign)) < best


def test_turned_about_they_are_the_same() -> None:
    """The order of the droplets does not matter."""
    rng = np.random.default_rng(7)
    features, errors = measured(rng, rng.normal(1.5, 0.2, 80), np.array([[0.5], [0.1]])[np.repeat([0, 1], 40)])
    one, other = kinds_of(features, errors)[-1], kinds_of(features[::-1].copy(), errors[::-1].copy())[-1]
    assert np.sort(one.share) == pytest.approx(np.sort(other.share), abs=1e-3)


def test_without_droplets_there_is_nothing_to_tell() -> None:
    with pytest.raises(ValueError, match="no droplets"):
        kinds_of(np.zeros((0, 2)), np.zeros((0, 2, 2)))


def test_one_droplet_is_one_kind() -> None:
    assert len(kinds_of(np.array([[1.0, 2.0]]), np.zeros((1, 2, 2)) + np.eye(2))) == 1


@pytest.mark.global_rng
def test_pyro_keeps_its_random_numbers() -> None:
    pyro.set_rng_seed(0)
    before = torch.get_rng_state()
    kinds_of(np.random.default_rng(0).normal(0, 1, (20, 2)), np.zeros((20, 2, 2)))
    assert torch.equal(before, torch.get_rng_state())
