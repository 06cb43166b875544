"""The post's job: resumed to the last bit, the guide it stands for, its draws, its truth, and what it refuses."""

import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyro
import pytest
import torch
from fresh_python import run_python
from pyro.infer import Predictive, Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from scipy import stats
from workflows.fitting.quick_fits import H, N, W, channel, quick, same_fit

import pyrodrop
from pyrodrop.results.tables.truth_comparison import compare_with_truth
from pyrodrop.workflows.fitting.fit import fit, load_fit
from pyrodrop.workflows.fitting.fit_result import Fit
from pyrodrop.workflows.settings import SettingError

LATENT = ["bg", "x", "y", "r", "amplitude"]
STARTS = pytest.mark.parametrize("start", ["uniform", "peaks"])


@pytest.fixture(scope="module")
def fitted() -> Fit:
    return quick(300, "peaks", seed=1)


RESUME = """
import sys
import warnings
from dataclasses import replace
import pyrodrop
fit = pyrodrop.load(sys.argv[1], device="cpu")
fit.resume(300, progress=False).save(sys.argv[2])
"""


@pytest.mark.slow
@STARTS
def test_a_fit_resumed_in_a_new_process_is_the_fit_that_never_stopped(start: str, tmp_path: Path) -> None:
    quick(300, start).save(tmp_path / "half.pt")
    run = run_python("-W", "error", "-c", RESUME, str(tmp_path / "half.pt"), str(tmp_path / "whole.pt"))
    assert run.returncode == 0, run.stderr
    resumed, whole = load_fit(tmp_path / "whole.pt", device="cpu"), quick(600, start)
    assert whole.losses.shape == (600,)
    same_fit(resumed, whole)


@STARTS
@pytest.mark.parametrize("stop", [137, 200])
def test_it_does_not_matter_where_a_fit_was_stopped(start: str, stop: int) -> None:
    same_fit(quick(stop, start).resume(220 - stop, progress=False), quick(220, start))


def test_resuming_leaves_the_fit_as_it_was(fitted: Fit) -> None:
    before = {name: getattr(fitted.state, name).clone() for name in ("params", "first", "second", "random")}
    longer = fitted.resume(3, progress=False)
    assert (len(fitted.losses), len(longer.losses)) == (300, 303)
    assert torch.equal(longer.losses[:300], fitted.losses)
    for name, tensor in before.items():
        assert torch.equal(getattr(fitted.state, name), tensor)
    assert longer.seconds > fitted.seconds > 0


@STARTS
def test_a_seed_makes_the_numbers(start: str) -> None:
    one, again, other = quick(20, start, seed=4), quick(20, start, seed=4), quick(20, start, seed=5)
    same_fit(one, again)
    assert not torch.equal(one.losses, other.losses)


@STARTS
def test_a_fit_that_comes_apart_is_refused_and_not_saved(start: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"^the fit diverged: after \d+ iterations .* give a smaller learning_rate"):
        quick(300, start, learning_rate=1e8, checkpoint=tmp_path / "fit.pt")
    assert os.listdir(tmp_path) == []


def test_its_guide_is_an_autonormal_at_its_state(fitted: Fit) -> None:
    guide = fitted.guide
    assert isinstance(guide, AutoNormal)
    loc, scale = fitted.state.loc[0], fitted.state.scale[0]
    places = {"bg": slice(0, 1)} | {name: slice(1 + k * N, 1 + (k + 1) * N) for k, name in enumerate(LATENT[1:])}
    median, quantiles = guide.median(), guide.quantiles([0.05, 0.95])
    assert set(median) == set(LATENT)
    for name, place in places.items():
        shape = () if name == "bg" else (N,)
        torch.testing.assert_close(getattr(guide.locs, name).detach(), loc[place].reshape(shape))
        torch.testing.assert_close(getattr(guide.scales, name).detach(), scale[place].reshape(shape))
        constrained = torch.exp if name == "r" else torch.sigmoid
        torch.testing.assert_close(median[name], constrained(loc[place]).reshape(shape))
        for found, p in zip(quantiles[name], (0.05, 0.95), strict=True):
            at = loc[place] + float(stats.norm.ppf(p)) * scale[place]
            torch.testing.assert_close(found.detach(), constrained(at).reshape(shape), rtol=1e-4, atol=1e-5)


@pytest.mark.global_rng
def test_pyros_elbo_of_model_and_guide_is_the_loss(fitted: Fit) -> None:
    pyro.set_rng_seed(0)
    elbo = Trace_ELBO()
    model, guide = fitted.model, fitted.guide
    draws = torch.tensor([elbo.loss(model, guide) for _ in range(60)])
    latest = fitted.losses[-60:].double()
    error = (draws.std() ** 2 + latest.std() ** 2).sqrt() / 60**0.5
    assert abs(float(draws.mean() - latest.mean())) < 5 * float(error) + 1.0


@pytest.mark.global_rng
def test_its_guide_serves_predictive(fitted: Fit) -> None:
    draws = Predictive(fitted.model, guide=fitted.guide, num_samples=4)()
    assert draws["x"].reshape(4, N).shape == (4, N)
    assert draws["val"].reshape(4, H, W).isfinite().all()


def test_draws_have_their_shapes_and_val_is_rendered_from_them(fitted: Fit) -> None:
    draws = fitted.sample(5, seed=2)
    sides = {"bg": (5,), "val": (5, H, W), "diff": (5, H, W)} | dict.fromkeys(LATENT[1:], (5, N))
    assert {name: tuple(drawn.shape) for name, drawn in draws.items()} == sides
    rows, columns = np.mgrid[:H, :W]
    for k in range(5):
        image = np.full((H, W), float(draws["bg"][k]))
        for x, y, r, a in zip(*(draws[name][k].tolist() for name in LATENT[1:]), strict=True):
            image += a * np.exp(-((columns - W * x) ** 2 + (rows - H * y) ** 2) / (2 * r**2))
        np.testing.assert_allclose(draws["val"][k].numpy(), image, atol=1e-5 * image.max())
        torch.testing.assert_close(draws["diff"][k], draws["val"][k] - fitted.channel)
    assert torch.equal(fitted.sample(5, seed=2)["x"], draws["x"])
    assert not torch.equal(fitted.sample(5, seed=3)["x"], draws["x"])


def test_draws_are_those_of_the_guide(fitted: Fit) -> None:
    latent = fitted.latent(4000)
    loc, scale = fitted.state.loc[0], fitted.state.scale[0]
    unconstrained = torch.cat([latent["bg"].logit()[:, None], *(latent[n].logit() for n in ("x", "y"))], -1)
    standard = (unconstrained - loc[: 1 + 2 * N]) / scale[: 1 + 2 * N]
    assert float(standard.mean(0).abs().max()) < 5 / 4000**0.5
    assert float((standard.std(0) - 1).abs().max()) < 0.06


def test_the_table_is_in_pixels_and_micrometres(fitted: Fit) -> None:
    table, latent = fitted.table(pixel_size_um=0.5), fitted.latent(1000)
    assert len(table) == N
    np.testing.assert_allclose(table["x_px"], latent["x"].double().mean(0) * W, rtol=1e-5)
    np.testing.assert_allclose(table["y_px"], latent["y"].double().mean(0) * H, rtol=1e-5)
    np.testing.assert_allclose(table["radius_px"], latent["r"].double().mean(0), rtol=1e-5)
    np.testing.assert_allclose(table["radius_um"], 0.5 * table["radius_px"], rtol=1e-12)


def test_a_simulated_truth_is_found_again() -> None:
    image, truth = pyrodrop.simulate(6, (48, 64), seed=1, kind="gray", radius_px=(2.5, 6.0), noise=0.02, margin=1.0)
    found = fit(image.channel("gray"), 6, error_scale=0.02, steps=300, device="cpu", progress=False)
    figures = compare_with_truth(found.table(), truth)
    assert figures["n_matched"] == 6
    assert figures["centre_rmse_px"] < 0.3
    assert figures["radius_median_abs_rel"] < 0.05
    assert figures["amplitude_median_abs_rel"] < 0.05
    # What is left is noise.
    assert float(found.sample(1)["diff"].std()) == pytest.approx(0.02, rel=0.1)


def test_from_the_posts_start_the_loss_falls() -> None:
    losses = quick(400).losses
    assert float(losses[-50:].mean()) < 0.5 * float(losses[:50].mean())


@pytest.mark.global_rng
def test_a_fit_leaves_the_callers_parameter_store_alone() -> None:
    """It uses none of its parameters, even of the guide's own names, and puts none in."""
    mine = pyro.param("AutoNormal.locs.x", torch.tensor([1.0, 2.0]))
    shorter = quick(5)
    shorter.sample(2)
    guide = shorter.guide
    assert list(pyro.get_param_store().keys()) == ["AutoNormal.locs.x"]
    assert torch.equal(pyro.param("AutoNormal.locs.x"), mine)
    assert tuple(guide.locs.x.shape) == (N,)


def test_what_is_given_is_not_changed() -> None:
    """The channel may be an array, of another type too; the fit holds its own copy."""
    pixels = channel().double().numpy()
    before = pixels.copy()
    made = fit(pixels, N, steps=3, start="uniform", device="cpu", progress=False)
    np.testing.assert_array_equal(pixels, before)
    pixels[:] = 0
    np.testing.assert_array_equal(made.channel.numpy(), before.astype(np.float32))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"n_droplets": 0}, "n_droplets is 0, expected"),
        ({"n_droplets": -3}, "n_droplets is -3, expected"),
        ({"n_droplets": 2.5}, r"n_droplets is 2\.5, expected"),
        ({"steps": 0}, "steps is 0, expected"),
        ({"steps": -1}, "steps is -1, expected"),
        ({"error_scale": 0.0}, r"error_scale is 0\.0, expected a positive"),
        ({"error_scale": float("nan")}, "error_scale is nan, expected a positive"),
        ({"learning_rate": float("inf")}, "learning_rate is inf, expected a positive"),
        ({"start": "middle"}, "start is 'middle', expected one of"),
        ({"seed": -1}, "seed is -1, expected"),
        ({"seed": 2**63}, "seed is 9223372036854775808, expected"),
        ({"device": "tpu"}, "device is 'tpu', expected auto, cpu or cuda"),
        ({"device": "meta"}, "device is 'meta', expected auto, cpu or cuda"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_setting_out_of_its_range_is_refused(how: dict[str, Any], message: str) -> None:
    given = {"n_droplets": N, "steps": 3, "device": "cpu", "progress": False} | how
    with pytest.raises(SettingError, match=message):
        fit(channel(), **given)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_where_there_is_none_is_refused(fitted: Fit, tmp_path: Path) -> None:
    fitted.save(tmp_path / "fit.pt")
    for ask in (
        lambda: fit(channel(), N, steps=3, device="cuda"),
        lambda: load_fit(tmp_path / "fit.pt", device="cuda:0"),
    ):
        with pytest.raises(SettingError, match="no CUDA device here; take cpu or auto"):
            ask()


@pytest.mark.parametrize("steps", [0, -5, 1.0, "many"])
def test_resuming_for_no_steps_is_refused(fitted: Fit, steps: Any) -> None:
    with pytest.raises(SettingError, match="steps is"):
        fitted.resume(steps, progress=False)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_channel_that_is_not_finite_is_refused(bad: float) -> None:
    pixels = channel()
    pixels[3, 4] = bad
    with pytest.raises(pyrodrop.ImageError, match=r"reaches 255, but .*: scale it to \[0, 1\] first, for example"):
        pyrodrop.fit(255 * torch.eye(30), 3, steps=1, progress=False)
    with pytest.raises(pyrodrop.ImageError, match="1 NaN or infinite pixels"):
        fit(pixels, N, steps=3, progress=False)


def test_progress_goes_to_standard_error_and_only_where_it_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    quick(4)
    assert capsys.readouterr() == ("", "")
    fit(channel(), N, steps=4, start="uniform", device="cpu", progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "4/4" in shown.err
    assert "init loss: " in shown.err
    assert "avg. loss [4-4]: " in shown.err


def test_settings_of_a_fit_say_what_was_asked_for(fitted: Fit) -> None:
    assert fitted.settings.n_droplets == N
    assert (fitted.settings.start, fitted.settings.seed, fitted.settings.device) == ("peaks", 1, "cpu")
    assert fitted.size == (H, W)


def test_a_fit_from_a_gpu_goes_on_on_a_cpu_and_says_that_its_random_numbers_are_others(
    fitted: Fit, tmp_path: Path
) -> None:
    """A stand-in for the GPU: a state with the 16 bytes of CUDA's generator, which no generator of a CPU takes."""
    replace(fitted, state=replace(fitted.state, random=torch.zeros(16, dtype=torch.uint8))).save(tmp_path / "gpu.pt")
    ended = []
    for _ in range(2):
        with pytest.warns(UserWarning, match="another kind of device than cpu"):
            ended.append(load_fit(tmp_path / "gpu.pt", device="cpu").resume(60, progress=False))
    same_fit(*ended)
    assert len(ended[0].losses) == 360
    assert abs(ended[0].losses[-50:].mean() - fitted.losses[-50:].mean()) < 5.0  # it stays at its optimum
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # from here on it is a fit of this machine
        ended[0].resume(10, progress=False)


def test_a_fit_says_in_two_lines_what_it_is(fitted: Fit) -> None:
    first, second = repr(fitted).split("\n")
    assert first.startswith(f"Fit: {N} droplets in {W} x {H} px, 300 iterations, mean loss of the last 100 -")
    assert second == "  noise 0.05, start peaks, seed 1; .table() has a row for each droplet"
    assert "still falling: resume it" in repr(replace(fitted, converged=False))
    assert "not begun" in repr(replace(fitted, losses=fitted.losses[:0]))
