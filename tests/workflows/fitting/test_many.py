"""Images fitted side by side: each as if alone, whenever it ends; and what is refused."""

import time
from typing import Any

import pytest
import torch
from torch import Tensor

import pyrodrop
from pyrodrop.workflows.fitting import target_density as target
from pyrodrop.workflows.fitting.fit import fit
from pyrodrop.workflows.fitting.fit_result import Fit
from pyrodrop.workflows.fitting.many import fit_many
from pyrodrop.workflows.settings import SettingError

H, W, N = 24, 32, 4


def channel(seed: int) -> Tensor:
    image, _ = pyrodrop.simulate(N, (H, W), seed=seed, kind="gray", radius_px=(2.0, 4.0), noise=0.02, margin=1.0)
    return image.channel("gray")


def channels(count: int = 3) -> list[Tensor]:
    return [channel(seed) for seed in range(count)]


def both(pixels: list[Tensor], **how: Any) -> list[tuple[Fit, Fit]]:
    """Each image fitted with the others, and alone."""
    given: dict[str, Any] = {"device": "cpu", "progress": False} | how
    return list(zip(fit_many(pixels, N, **given), [fit(one, N, **given) for one in pixels], strict=True))


def same_fit(together: Fit, alone: Fit, tolerance: float) -> None:
    assert together.losses.shape == alone.losses.shape
    assert together.state.iteration == alone.state.iteration
    assert torch.equal(together.state.random, alone.state.random)
    assert (together.settings, together.converged) == (alone.settings, alone.converged)
    assert torch.equal(together.channel, alone.channel)
    torch.testing.assert_close(together.losses, alone.losses, rtol=tolerance, atol=tolerance)
    for name in ("params", "first", "second"):
        ours, expected = getattr(together.state, name), getattr(alone.state, name)
        scale = float(expected.abs().max())
        torch.testing.assert_close(ours, expected, rtol=tolerance, atol=tolerance * scale, msg=name)


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits in float64, in which rounding is told from any other difference."""
    flatten = target.flatten
    monkeypatch.setattr(target, "flatten", lambda *given, **how: flatten(*given, **how | {"dtype": torch.float64}))


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("start", ["uniform", "peaks"])
@pytest.mark.parametrize("restarts", [1, 2])
def test_each_image_is_fitted_as_if_alone(start: str, restarts: int) -> None:
    """Births and deaths at iteration 200 and starts side by side included."""
    for together, alone in both(channels(), steps=230, start=start, seed=3, restarts=restarts):
        assert together.losses.dtype == torch.float64
        same_fit(together, alone, 1e-9)
        if restarts > 1:
            assert together.agreement is not None
            assert alone.agreement is not None
            assert together.agreement.agreed == alone.agreement.agreed
            assert together.agreement.losses == pytest.approx(alone.agreement.losses, rel=1e-9)


def test_in_float32_only_rounding_differs() -> None:
    for together, alone in both(channels(), steps=60, seed=1):
        assert together.losses.dtype == torch.float32
        same_fit(together, alone, 1e-3)


@pytest.mark.slow
@pytest.mark.usefixtures("double")
def test_each_image_ends_when_it_has_settled() -> None:
    """Those that are done stay as they are; in the end a smaller batch goes on."""
    how: dict[str, Any] = {"start": "uniform", "steps": "auto", "tolerance": 0.01, "learning_rate": 0.03}
    ended = both(channels(), **how)
    assert len({together.state.iteration for together, _ in ended}) == 3
    for together, alone in ended:
        assert together.converged
        same_fit(together, alone, 1e-7)


@pytest.mark.usefixtures("double")
def test_one_of_them_goes_on_as_it_would_alone() -> None:
    pixels = channels()
    given: dict[str, Any] = {"device": "cpu", "progress": False, "seed": 2}
    resumed = fit_many(pixels, N, steps=130, **given)[1].resume(100, progress=False)
    same_fit(resumed, fit(pixels[1], N, steps=230, **given), 1e-9)


@pytest.mark.slow
def test_compiled_steps_are_the_plain_ones() -> None:
    pixels = channels(2)
    given: dict[str, Any] = {"steps": 20, "start": "uniform", "device": "cpu", "progress": False}
    plain, compiled = (fit_many(pixels, N, compiled=compiled, **given) for compiled in (False, True))
    for one, other in zip(plain, compiled, strict=True):
        torch.testing.assert_close(one.losses, other.losses, rtol=1e-3, atol=1e-3)


def test_of_one_image_it_is_fit_to_the_last_bit_and_of_none_nothing() -> None:
    ((together, alone),) = both(channels(1), steps=120, start="uniform")
    same_fit(together, alone, 0.0)
    assert fit_many([], N, progress=False) == []


def test_a_tensor_of_images_will_do() -> None:
    pixels = channels(2)
    given: dict[str, Any] = {"steps": 5, "device": "cpu", "progress": False}
    for one, other in zip(fit_many(torch.stack(pixels), N, **given), fit_many(pixels, N, **given), strict=True):
        assert torch.equal(one.losses, other.losses)


def test_where_each_image_has_its_own_number_of_droplets_it_is_fitted_alone() -> None:
    image, _ = pyrodrop.simulate(2, (H, W), seed=7, kind="gray", radius_px=(2.0, 3.0), noise=0.02, margin=1.0)
    pixels = [channel(0), image.channel("gray")]
    given: dict[str, Any] = {"steps": 10, "error_scale": 0.02, "device": "cpu", "progress": False}
    counted = fit_many(pixels, "auto", **given)
    assert len({one.settings.n_droplets for one in counted}) == 2
    for one, pixel in zip(counted, pixels, strict=True):
        assert torch.equal(one.losses, fit(pixel, "auto", **given).losses)


def test_the_shares_of_the_time_are_no_more_than_all_of_it() -> None:
    begun = time.monotonic()
    fitted = fit_many(channels(), N, steps=20, start="uniform", device="cpu", progress=False)
    whole = time.monotonic() - begun
    assert min(one.seconds for one in fitted) > 0
    assert sum(one.seconds for one in fitted) <= whole


def test_images_of_two_sizes_are_refused() -> None:
    with pytest.raises(pyrodrop.ImageError, match=r"channel 1 has shape \(32, 24\) and the first \(24, 32\)"):
        fit_many([channel(0), channel(1).T], N, steps=3, progress=False)


def test_the_image_that_is_not_finite_is_named() -> None:
    pixels = channels()
    pixels[2] = pixels[2].clone()
    pixels[2][3, 4] = float("nan")
    with pytest.raises(pyrodrop.ImageError, match=r"channel 1: the channel reaches 255"):
        fit_many([torch.eye(30), 255 * torch.eye(30)], 3, steps=1, progress=False)
    with pytest.raises(pyrodrop.ImageError, match=r"channel 2: .*1 NaN or infinite pixels"):
        fit_many(pixels, N, steps=3, progress=False)


def test_fits_that_come_apart_are_refused() -> None:
    with pytest.raises(SettingError, match="the fit diverged"):
        fit_many(channels(2), N, steps=60, start="uniform", learning_rate=1e8, device="cpu", progress=False)


def test_a_setting_out_of_its_range_is_refused() -> None:
    with pytest.raises(SettingError, match="error_scale is 0"):
        fit_many(channels(), N, error_scale=0, progress=False)
    with pytest.raises(SettingError, match="steps is 0"):
        fit_many(channels(), N, steps=0, progress=False)


def test_progress_goes_to_standard_error_and_only_where_it_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    given: dict[str, Any] = {"steps": 4, "start": "uniform", "device": "cpu"}
    fit_many(channels(2), N, progress=False, **given)
    assert capsys.readouterr() == ("", "")
    fit_many(channels(2), N, progress=True, **given)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "4/4" in shown.err
