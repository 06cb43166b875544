"""Priors and noise families of ``measure``: what it finds, counts, says and refuses with them."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyro.distributions as dist
import pytest
import torch

import pyrodrop
from pyrodrop.models import CameraNoise, StudentNoise
from pyrodrop.rendering import profile_named
from pyrodrop.results.tables.truth_comparison import compare_with_truth
from pyrodrop.workflows.commands.measured_folder import summarise
from pyrodrop.workflows.commands.subject import Subject
from pyrodrop.workflows.measuring.measurement import Measurement
from pyrodrop.workflows.settings import SettingError

EDGE = 1.0


class Scene(NamedTuple):
    """Light without noise, (H, W), and the truth of its sixteen droplets."""

    light: Any
    truth: pd.DataFrame


def scene(seed: int) -> Scene:
    g = np.random.default_rng(seed)
    x, y = (18 + 28.0 * place.ravel() + g.uniform(-3, 3, 16) for place in np.mgrid[:4, :4])
    r, amplitude = g.uniform(4, 7, 16), g.uniform(0.15, 0.6, 16)
    places = (torch.from_numpy(values) for values in (x, y, r, amplitude))
    shape = torch.tensor([EDGE], dtype=torch.float64)
    light = pyrodrop.render(*places, torch.tensor(0.1, dtype=torch.float64), (120, 120), profile="disc", shape=shape)
    half = profile_named("disc").half_radius(r, np.array([EDGE]))
    return Scene(light.numpy(), pd.DataFrame({"x_px": x, "y_px": y, "radius_px": half, "amplitude": amplitude}))


def measured(pixels: Any, mask: Any = None, **how: Any) -> Measurement:
    return pyrodrop.measure(torch.as_tensor(pixels, dtype=torch.float32), mask, profile="disc", device="cpu", **how)


def with_clusters(clean: Scene, seed: int) -> Any:
    """One pixel in a hundred is hot, two by two: what no single pixel tells from light."""
    g = np.random.default_rng([seed, 1])
    pixels = clean.light + g.normal(0, 0.02, clean.light.shape)
    for _ in range(pixels.size // 400):
        i, j = g.integers(0, 118, 2)
        pixels[i : i + 2, j : j + 2] += 0.5
    return pixels


def photons(clean: Scene, seed: int) -> Any:
    g = np.random.default_rng([seed, 2])
    return g.poisson(200 * clean.light) / 200 + g.normal(0, 0.003, clean.light.shape)


def inside(m: Measurement, truth: pd.DataFrame, name: str) -> list[bool]:
    """Whether the 90 % interval of each droplet's nearest holds the truth."""
    held = []
    for row in truth.itertuples():
        k = np.hypot(m.table.x_px - row.x_px, m.table.y_px - row.y_px).idxmin()
        held.append(bool(m.table[f"{name}_q05"][k] <= getattr(row, name) <= m.table[f"{name}_q95"][k]))
    return held


def same(one: Measurement, other: Measurement) -> None:
    for a, b in ((one.sites, other.sites), (one.draws, other.draws), ({"p": one.presence}, {"p": other.presence})):
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_the_models_own_priors_given_by_hand_change_no_bit() -> None:
    clean = scene(0)
    pixels = clean.light + np.random.default_rng(0).normal(0, 0.02, clean.light.shape)
    usual = measured(pixels)
    scales = usual.fitted.scales
    given = {
        "r": dist.LogNormal(torch.tensor(np.log(scales.radius_px)), 1.0),
        "amplitude": dist.Normal(torch.zeros((), dtype=torch.float64), torch.tensor(scales.amplitude[0])),
        "noise": dist.LogNormal(torch.tensor(np.log(scales.noise[0])), 2.0),
        "edge": dist.LogNormal(0.0, 0.75),
    }
    same(usual, measured(pixels, priors=given, noise="normal"))


def test_clusters_of_hot_pixels_are_no_droplets_to_noise_with_tails() -> None:
    clean = scene(2)
    pixels = with_clusters(clean, 2)
    normal, student = measured(pixels), measured(pixels, noise="student")
    assert abs(student.n_droplets - 16) <= 1
    assert student.count.quantile(0.05) <= 16 <= student.count.quantile(0.95)
    assert normal.n_droplets > student.n_droplets
    assert compare_with_truth(student.table, clean.truth)["radius_median_abs_rel"] < 0.012
    assert float(student.noise[0]) == pytest.approx(0.02, rel=0.1)


def test_noise_of_photons_is_no_doubt_about_droplets_to_a_camera() -> None:
    camera = measured(photons(scene(4), 4), noise=CameraNoise(1 / 200))
    assert camera.trust.sentence.startswith("good")


def test_noise_with_tails_explains_an_image_with_tails() -> None:
    clean = scene(7)
    pixels = clean.light + 0.02 * np.random.default_rng(7).standard_t(3.0, clean.light.shape)
    student = measured(pixels, noise=StudentNoise(3.0))
    assert student.trust.p_value is not None
    assert student.trust.p_value > 0.05
    assert float(student.sites["noise"][0]) == pytest.approx(0.02, rel=0.05)
    assert float(student.table.amplitude_sd.mean()) < 0.9 * float(measured(pixels).table.amplitude_sd.mean())


@pytest.mark.slow
def test_intervals_hold_in_noise_of_photons_and_with_tails() -> None:
    """Nine in ten, within three standard errors of 128 intervals; and the count's, of each image."""
    held: dict[str, list[bool]] = {}
    for seed in range(8):
        clean = scene(seed)
        camera = measured(photons(clean, seed), noise=CameraNoise(1 / 200))
        student = measured(with_clusters(clean, seed), noise="student")
        for kind, m in (("camera", camera), ("student", student)):
            assert m.count.quantile(0.05) <= 16 <= m.count.quantile(0.95)
            for name in ("amplitude", "radius_px"):
                held.setdefault(f"{kind} {name}", []).extend(inside(m, clean.truth, name))
    assert {name: float(np.mean(each)) for name, each in held.items() if not 0.82 < np.mean(each) < 0.98} == {}


def test_the_read_noise_of_a_camera_is_a_site_and_a_prior_holds_it() -> None:
    clean = scene(1)
    pixels = photons(clean, 1)
    camera = measured(pixels, noise=CameraNoise(1 / 200), priors={"noise": dist.LogNormal(np.log(0.003), 0.01)})
    assert float(camera.sites["noise"][0]) == pytest.approx(0.003, rel=0.05)
    typical = np.sqrt(0.003**2 + np.median(clean.light) / 200)
    assert float(camera.noise[0]) == pytest.approx(typical, rel=0.1)
    assert float(camera.residual_in_noise.std()) == pytest.approx(1.0, abs=0.05)


def test_a_prior_of_radii_moves_a_doubtful_droplet_and_not_a_clear_one() -> None:
    g = np.random.default_rng(3)
    clean = scene(3)
    pixels = clean.light + g.normal(0, 0.1, clean.light.shape)
    usual = measured(pixels)
    held = measured(pixels, priors={"r": dist.LogNormal(float(np.log(5.5)), 0.02)})
    assert float(held.sites["r"].log().std()) < 0.5 * float(usual.sites["r"].log().std())
    assert held.fitted.scales.priors[0].site == "r"


PRIORS = {"r": dist.Gamma(20.0, 4.0), "amplitude": dist.StudentT(3.0, 0.0, 0.5), "bg": dist.Normal(0.2, 0.5)}


@pytest.fixture(scope="module")
def assumed() -> Measurement:
    return measured(with_clusters(scene(4), 4), priors=PRIORS, noise=StudentNoise(3.0))


def test_what_was_assumed_is_saved_loaded_and_said(assumed: Measurement, tmp_path: Path) -> None:
    assumed.save(tmp_path / "fit.pt")
    loaded = pyrodrop.load(tmp_path / "fit.pt")
    assert loaded.fitted.scales.priors == assumed.fitted.scales.priors
    assert loaded.fitted.scales.family == StudentNoise(3.0)
    assert loaded.table.equals(assumed.table)
    image = pyrodrop.Micrograph(assumed.channels.movedim(0, -1))
    said = summarise(loaded, Subject(image, "a.tif", "gray"), "gray")
    assert said["priors"]["r"] == "Gamma(concentration=20.0, rate=4.0)"
    assert said["noise_family"] == "student (df=3)"
    json.dumps({name: said[name] for name in ("priors", "noise_family")})


def test_the_model_and_its_sites_are_those_that_were_fitted(assumed: Measurement) -> None:
    from pyro import poutine

    trace = poutine.trace(poutine.condition(assumed.model, data=assumed.sites)).get_trace()
    assert type(trace.nodes["obs"]["fn"].base_dist).__name__ == "StudentT"
    assert type(trace.nodes["r"]["fn"]).__name__ == "Gamma"
    assert bool(trace.log_prob_sum().isfinite())


def test_edits_are_made_with_priors_and_refused_in_other_noise(assumed: Measurement) -> None:
    with pytest.raises(SettingError, match=r"student .*; measure with normal noise"):
        assumed.edit(remove=[0])
    clean = scene(5)
    pixels = clean.light + np.random.default_rng(5).normal(0, 0.02, clean.light.shape)
    m = measured(pixels, priors=PRIORS)
    row = m.table.iloc[3]
    again = m.edit(remove=[int(row.id)]).edit(add=[(row.x_px, row.y_px, row.radius_px)])
    assert again.n_droplets == m.n_droplets
    k = np.hypot(again.table.x_px - row.x_px, again.table.y_px - row.y_px).idxmin()
    assert again.table.radius_px[k] == pytest.approx(row.radius_px, abs=2 * row.radius_px_sd)


def test_a_measurement_that_was_killed_goes_on_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyrodrop.workflows.measuring.progress import kept_on_disk

    monkeypatch.setattr(kept_on_disk, "_SECONDS", -1.0)
    pixels = with_clusters(scene(4), 4)
    first = measured(pixels, priors=PRIORS, noise=StudentNoise(3.0), keep=tmp_path / "kept")
    assert any((tmp_path / "kept").iterdir())
    same(first, measured(pixels, priors=PRIORS, noise=StudentNoise(3.0), keep=tmp_path / "kept"))
    # Nothing that was kept for these is taken for others.
    same(measured(pixels), measured(pixels, keep=tmp_path / "kept"))


def test_pixels_that_are_masked_say_nothing_in_any_noise() -> None:
    clean = scene(6)
    pixels = with_clusters(clean, 6)
    mask = np.ones(pixels.shape, bool)
    mask[:, :30] = False
    spoiled = np.where(mask, pixels, 9.0)
    same(measured(pixels, mask, noise="student"), measured(spoiled, mask, noise="student"))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"priors": {"radius": dist.LogNormal(1.5, 0.3)}}, ["'radius'", "r, amplitude, bg, noise, edge"]),
        ({"priors": {"x": dist.Uniform(0.0, 50.0)}}, ["'x'", "uniform", "mask"]),
        ({"priors": {"r": dist.Uniform(2.0, 8.0)}}, ["from 2 to 8", "LogNormal", "radius_px"]),
        ({"priors": {"amplitude": dist.HalfNormal(1.0)}}, ["either sign", "polarity"]),
        ({"priors": {"amplitude": dist.Laplace(0.0, 1.0)}}, ["Laplace", "kink", "StudentT"]),
        ({"priors": {"r": dist.LogNormal(torch.zeros(2), 1.0)}}, ["(2,)", "shape ()"]),
        ({"noise": "poisson"}, ["'poisson'", "CameraNoise"]),
    ],
)
def test_what_the_joint_fit_does_not_take_is_refused_at_the_door(how: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SettingError) as refused:
        measured(np.zeros((16, 16)), **how)
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in words), refused.value


def test_other_noise_is_of_one_channel() -> None:
    pixels = torch.linspace(0, 1, 512).reshape(2, 16, 16)
    with pytest.raises(SettingError, match=r"student .*one channel, and the image has 2"):
        pyrodrop.measure(pixels, noise="student", device="cpu")
