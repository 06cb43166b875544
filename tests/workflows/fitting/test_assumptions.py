"""Priors and noise families of a fit: the start, the search, births, deaths and the count go on to work with them."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

import pyrodrop
from pyrodrop.inference.laplace import laplace
from pyrodrop.models import CameraNoise, StudentNoise
from pyrodrop.results.tables.truth_comparison import compare_with_truth
from pyrodrop.workflows.checkpoint_checks import DamagedError, checked_settings, settings_as_dict
from pyrodrop.workflows.commands.fit import summarise
from pyrodrop.workflows.commands.subject import Subject
from pyrodrop.workflows.fitting.many import fit_many
from pyrodrop.workflows.settings import SettingError

USUAL = {
    "bg": dist.Uniform(0.0, 1.0),
    "x": dist.Uniform(0.0, 1.0),
    "y": dist.Uniform(0.0, 1.0),
    "r": dist.LogNormal(1.5, 0.75),
    "amplitude": dist.Uniform(0.0, 1.0),
}


def drawn(seed: int = 2) -> tuple[Tensor, pd.DataFrame]:
    image, truth = pyrodrop.simulate(8, (64, 80), seed=seed, kind="gray", radius_px=(3, 6), separation=0.9, noise=0.03)
    return image.channel("gray"), truth


def fitted(channel: Tensor, n: Any = 8, **how: Any) -> pyrodrop.Fit:
    return pyrodrop.fit(channel, n, **({"error_scale": 0.03, "progress": False, "device": "cpu"} | how))


@pytest.mark.parametrize("start", ["peaks", "uniform"])
def test_the_models_own_priors_given_by_hand_change_no_bit(start: str) -> None:
    channel, _ = drawn()
    usual, given = (
        fitted(channel, steps=230, start=start, **how) for how in ({}, {"priors": USUAL, "noise": "normal"})
    )
    assert torch.equal(usual.state.params, given.state.params)
    assert torch.equal(usual.losses, given.losses)
    assert given.settings == usual.settings


def test_a_narrow_prior_moves_the_posterior_as_precisions_add_up() -> None:
    """Log r is normal a priori and nearly so by the image: means are weighed by their precisions."""
    image, _ = pyrodrop.simulate(1, (40, 40), seed=5, kind="gray", radius_px=(5, 5.01), noise=0.05)
    channel = image.channel("gray")
    moments = []
    mean, sd = math.log(5.4), 0.01
    for how in ({}, {"priors": {"r": dist.LogNormal(mean, sd)}}):
        fit = fitted(channel, 1, error_scale=0.05, **how)
        around = laplace(fit.model, initial=fit.state.loc[0], scale=fit.state.scale[0])
        place = next(site.start for site in around.density.sites if site.name == "r")
        moments.append((float(around.mode[place]), float(around.covariance[place, place])))
    (free, variance), (held, narrow) = moments
    image_precision = 1 / variance - 1 / 0.75**2
    image_mean = (free / variance - 1.5 / 0.75**2) / image_precision
    precision = image_precision + 1 / sd**2
    assert abs(held - free) > 2 * math.sqrt(narrow)
    assert held == pytest.approx((image_precision * image_mean + mean / sd**2) / precision, abs=0.3 * narrow**0.5)
    assert narrow == pytest.approx(1 / precision, rel=0.1)


def test_hot_pixels_are_no_droplets_to_noise_with_tails() -> None:
    """One pixel in a hundred is far off: the count and the radii are right with Student's noise, and not without."""
    channel, truth = drawn()
    generator = np.random.default_rng(0)
    hot = torch.from_numpy(generator.uniform(size=channel.shape) < 0.01)
    channel = torch.where(hot, torch.tensor(1.5), channel)
    normal, student = fitted(channel, "auto"), fitted(channel, "auto", noise="student")
    assert student.settings.n_droplets == 8
    assert normal.settings.n_droplets > 16
    table = compare_with_truth(student.table(), truth)
    assert table["n_matched"] == 8
    assert table["radius_median_abs_rel"] < 0.02


def photons(seed: int) -> tuple[Tensor, pd.DataFrame]:
    """Nine droplets at a hundred photons for a height of one, and read noise of one photon."""
    generator = np.random.default_rng(seed)
    x, y = (20 + 30.0 * place.ravel() + generator.uniform(-3, 3, 9) for place in np.mgrid[:3, :3])
    r, amplitude = generator.uniform(3, 5, 9), generator.uniform(0.2, 0.9, 9)
    columns = (torch.from_numpy(values) for values in (x, y, r, amplitude))
    val = pyrodrop.render(*columns, torch.tensor(0.1, dtype=torch.float64), (100, 100)).numpy()
    pixels = generator.poisson(100 * val) / 100 + generator.normal(0, 0.01, val.shape)
    truth = pd.DataFrame({"x_px": x, "y_px": y, "radius_px": r, "amplitude": amplitude})
    return torch.from_numpy(pixels).float(), truth


@pytest.mark.slow
def test_intervals_of_amplitudes_hold_in_noise_of_photons() -> None:
    """By Laplace's method about the fit: nine in ten of the 90 % intervals with the camera's noise, fewer without."""
    inside: dict[str, list[bool]] = {"camera": [], "normal": []}
    noises: dict[str, dict[str, Any]] = {
        "camera": {"error_scale": 0.01, "noise": CameraNoise(0.01)},
        "normal": {"error_scale": math.sqrt(0.01**2 + 0.01 * 0.15)},
    }
    for seed in range(12):
        channel, truth = photons(seed)
        for name, how in noises.items():
            fit = fitted(channel, 9, **how)
            around = laplace(fit.model, initial=fit.state.loc[0], scale=fit.state.scale[0])
            draws = around.density.constrained(around.positions(2_000))
            low, high = np.quantile(draws["amplitude"].numpy(), [0.05, 0.95], axis=0)
            x, y = 100 * draws["x"].mean(0).numpy(), 100 * draws["y"].mean(0).numpy()
            for row in truth.itertuples():
                k = int(np.hypot(x - row.x_px, y - row.y_px).argmin())
                inside[name].append(bool(low[k] <= row.amplitude <= high[k]))
    assert 0.83 < np.mean(inside["camera"]) < 0.97  # 108 intervals: three standard errors are 0.09
    assert np.mean(inside["normal"]) < 0.75


def test_as_many_droplets_are_counted_in_noise_of_photons_as_there_are() -> None:
    channel, _ = photons(3)
    camera = fitted(channel, "auto", error_scale=0.01, noise=CameraNoise(0.01))
    normal = fitted(channel, "auto", error_scale=math.sqrt(0.01**2 + 0.01 * 0.15))
    assert camera.settings.n_droplets == 9
    assert normal.settings.n_droplets > 9


@pytest.mark.parametrize(
    "priors",
    [
        {"r": dist.Uniform(2.0, 8.0), "amplitude": dist.Normal(0.5, 0.3), "bg": dist.Beta(2.0, 8.0)},
        {"r": dist.Gamma(8.0, 2.0), "amplitude": dist.LogNormal(-0.7, 0.5), "x": dist.Uniform(0.1, 0.9)},
    ],
)
def test_the_search_works_within_any_support(priors: dict[str, Any]) -> None:
    channel, truth = drawn()
    fit = fitted(channel, "auto", priors=priors)
    assert compare_with_truth(fit.table(), truth)["n_matched"] >= 7
    assert fit.settings.n_droplets <= 9
    draws = fit.latent(500)
    for prior in fit.settings.priors:
        low, high = prior.support
        assert low <= float(draws[prior.site].min()) <= float(draws[prior.site].max()) <= high


def test_a_dark_droplet_is_found_where_amplitudes_may_be_negative() -> None:
    channel, _ = drawn()
    fit = fitted(0.9 - 0.5 * channel, priors={"amplitude": dist.Normal(0.0, 0.5)}, steps=450)
    assert int((fit.table()["amplitude"] < -0.05).sum()) == 8


def test_the_count_asks_the_priors() -> None:
    """A prior by which such droplets are a thousand standard deviations off leaves fewer of them."""
    channel, _ = drawn()
    assert fitted(channel, "auto", priors={"amplitude": dist.Uniform(0.0, 0.2)}, steps=10).settings.n_droplets != 8


HOW = {"priors": {"r": dist.LogNormal(1.5, 0.3)}, "noise": StudentNoise(3.0)}


def test_a_fit_goes_on_after_saving_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    channel, _ = drawn()
    whole = fitted(channel, steps=260, **HOW)
    fitted(channel, steps=150, **HOW).save(tmp_path / "fit.pt")
    loaded = pyrodrop.load(tmp_path / "fit.pt")
    assert loaded.settings == whole.settings
    resumed = loaded.resume(110, progress=False)
    assert torch.equal(resumed.state.params, whole.state.params)
    said = summarise(resumed, Subject(pyrodrop.Micrograph(channel[..., None]), "a.tif", "gray"), resumed.table())
    assert said["priors"] == {"r": "LogNormal(loc=1.5, scale=0.3)"}
    assert said["noise_family"] == "student (df=3)"
    json.dumps(said)


def test_images_side_by_side_have_them_too() -> None:
    channel, _ = drawn()
    alone = fitted(channel, steps=60, **HOW)
    both = fit_many([channel, drawn(3)[0]], 8, steps=60, error_scale=0.03, progress=False, device="cpu", **HOW)
    torch.testing.assert_close(both[0].state.params, alone.state.params, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("how", "setting", "words"),
    [
        ({"priors": {"radius": dist.LogNormal(1.5, 0.3)}}, "priors", ["'radius'", "bg, x, y, r, amplitude"]),
        ({"priors": {"r": dist.Normal(5.0, 1.0)}}, "priors", ["above 0"]),
        ({"priors": 5}, "priors", ["5", "dict", "bg, x, y, r, amplitude"]),
        ({"noise": "poisson"}, "noise", ["'poisson'"]),
    ],
)
def test_what_cannot_be_is_refused_at_the_door(how: dict[str, Any], setting: str, words: list[str]) -> None:
    with pytest.raises(SettingError) as refused:
        fitted(drawn()[0], **how)
    assert refused.value.settings == (setting,)
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in words), refused.value


@pytest.mark.parametrize(
    "spoiled",
    [
        {"priors": 3},
        {"priors": [{"site": "r"}]},
        {"priors": [{"site": "r", "family": "os", "parameters": {}}]},
        {"priors": [{"site": "r", "family": "Normal", "parameters": {"loc": 0.0, "scale": -1.0}}]},
        {"priors": [{"site": 7, "family": "LogNormal", "parameters": {"loc": 0.0, "scale": 1.0}}]},
        {"noise_family": {"family": "student", "df": -1.0}},
        {"noise_family": "student"},
    ],
)
def test_spoiled_assumptions_in_a_file_are_damage(spoiled: dict[str, Any]) -> None:
    state = settings_as_dict(fitted(drawn()[0], steps=1, **HOW).settings)
    with pytest.raises(DamagedError):
        checked_settings(state | spoiled, "cpu")
