"""Which part of an image is asked for the profile of its droplets, and that a part says what the whole does."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from joint.resuming.test_descents import InMemory

from pyrodrop.images.simulation.simulate import simulate
from pyrodrop.joint import profile_choice
from pyrodrop.joint.joint_fit import fit_jointly
from pyrodrop.joint.pixels import Pixels
from pyrodrop.joint.profile_choice import choose_profile, fit_best_profile
from pyrodrop.models.prior_scales import image_scales
from pyrodrop.rendering import PROFILES


def crowd(profile: str) -> tuple[np.ndarray, list[np.ndarray]]:
    shape = None if profile == "gaussian" else [1.0]
    image, truth = simulate(
        90, (220, 260), seed=2, kind="gray", profile=profile, shape=shape, radius_px=(3.0, 6.0), noise=0.05
    )
    places = [truth[name].to_numpy() for name in ("x_px", "y_px", "radius_px")]
    places[2] = places[2] * PROFILES[profile].half_share
    return image.pixels[..., 0].double().numpy(), places


@pytest.mark.parametrize("profile", ["gaussian", "disc"])
def test_a_part_of_the_image_chooses_as_the_whole_does(profile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, places = crowd(profile)
    whole = choose_profile(pixels, *places, profiles=("gaussian", "disc"))
    monkeypatch.setattr(profile_choice, "_ENOUGH", 20)
    part = choose_profile(pixels, *places, profiles=("gaussian", "disc"))
    assert part.profile == whole.profile == profile
    apart, all_apart = (abs(choice.evidence["gaussian"] - choice.evidence["disc"]) for choice in (part, whole))
    assert 10 < apart < all_apart / 2  # it was a part


def test_all_droplets_are_fitted_with_what_a_part_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, places = crowd("disc")
    monkeypatch.setattr(profile_choice, "_ENOUGH", 20)
    fit, evidence = fit_best_profile(pixels, *places, profiles=("gaussian", "disc"))
    assert fit.profile == "disc" == max(evidence, key=lambda name: evidence[name])
    assert len(fit.x) == len(places[0])
    assert fit.shape[0] == pytest.approx(1.0, abs=0.1)
    assert np.median(np.abs(fit.half_radius - places[2])) < 0.2


def test_the_part_is_where_most_droplets_are_likely() -> None:
    g = np.random.default_rng(0)
    x, y = g.uniform(0, 400, 300), g.uniform(0, 300, 300)
    likely = np.where((x > 200) & (y < 150), 0.9, 0.1)
    rows, columns = profile_choice._part(x, y, likely, (300, 400), 15)
    inside = (x >= columns.start) & (x < columns.stop) & (y >= rows.start) & (y < rows.stop)
    assert likely[inside].mean() > 0.7
    assert profile_choice._part(x, y, likely, (300, 400), 1e3) == (slice(0, 300), slice(0, 400))


@pytest.mark.parametrize("profile", ["gaussian", "disc", "radial", "rimmed"])
def test_a_race_is_won_by_what_wins_when_all_are_fitted_to_the_end(profile: str) -> None:
    names = ("gaussian", "disc", "radial", "rimmed")
    image, truth = simulate(30, (120, 150), seed=4, kind="gray", profile=profile, radius_px=(4.0, 7.0), noise=0.03)
    pixels = image.pixels[..., 0].double().numpy()
    x, y, half = (truth[name].to_numpy() for name in ("x_px", "y_px", "radius_px"))
    half = half * PROFILES[profile].half_share
    scales = image_scales(pixels[None], float(np.median(half)))
    apart = {
        name: fit_jointly(
            pixels, x + 0.3, y, half / PROFILES[name].half_share, profile=name, scales=scales
        ).evidence.log_evidence
        for name in names
    }
    raced = choose_profile(pixels, x + 0.3, y, half, profiles=names, scales=scales)
    assert raced.profile == max(apart, key=lambda name: apart[name])
    assert raced.evidence[raced.profile] == pytest.approx(apart[raced.profile], abs=1e-6)
    for name in names:
        # Fitted to the same mode; or left, at least as far behind as decides.
        ended = raced.evidence[name] == pytest.approx(apart[name], abs=1e-6)
        assert ended or raced.evidence[name] < raced.evidence[raced.profile] - 10


def test_who_was_left_goes_on_where_the_first_loses_what_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step reads the noise anew, so that the evidence of a descent may fall."""
    courses = {"disc": [0, 300, 400, 400, 100], "gaussian": [0, 150, 160, 165, 170, 180], "radial": [0, 1, 2, 3]}

    def descending(name: str, *_: Any) -> Iterator[Any]:
        for evidence in courses[name]:
            yield SimpleNamespace(state=object(), residual=evidence, noise=None, equations=None, name=name)

    monkeypatch.setattr(profile_choice, "descending", descending)
    monkeypatch.setattr(profile_choice, "evidence_of", lambda problem, state, residual, noise, factored: residual)
    monkeypatch.setattr(profile_choice, "factor", lambda equations: None)
    starts: Any = {name: (name, None) for name in courses}
    evidence, mode = profile_choice._raced(starts, 50, 0.005)
    assert evidence["disc"] == 100
    assert evidence["gaussian"] == 180
    assert evidence["radial"] < 20  # the most that it may have come to
    assert cast(Any, mode).name == "gaussian"


def test_a_race_that_was_kept_is_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, places = crowd("disc")
    kept = InMemory()
    first, evidence = fit_best_profile(Pixels.of(pixels, kept=kept), *places, profiles=("gaussian", "disc"))
    monkeypatch.setattr(profile_choice, "descending", None)
    again, same = fit_best_profile(Pixels.of(pixels, kept=kept), *places, profiles=("gaussian", "disc"))
    assert same == evidence
    np.testing.assert_equal(again.x, first.x)
    np.testing.assert_equal(again.shape, first.shape)
