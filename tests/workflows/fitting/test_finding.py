"""Fits that find the droplets: counting, stopping, births and deaths, restarts, and the posterior behind the guide."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor

import pyrodrop
from pyrodrop.inference import svi
from pyrodrop.inference.density import flatten
from pyrodrop.models import channel_fit
from pyrodrop.workflows.fitting.fit_result import Fit
from pyrodrop.workflows.fitting.loop import births_and_deaths

NOISE = 0.05
SIZE = (60, 80)
N = 8


@cache
def channel() -> Tensor:
    image, _ = pyrodrop.simulate(
        N, SIZE, seed=3, kind="gray", noise=NOISE, amplitude=(0.4, 0.8), radius_px=(2.5, 5.0), margin=1.0
    )
    return image.channel("gray")


def fitted(**settings: object) -> Fit:
    return pyrodrop.fit(channel(), **({"n_droplets": N, "error_scale": NOISE, "progress": False} | settings))


@pytest.mark.slow
def test_a_fit_stops_by_itself_once_the_loss_has_settled() -> None:
    loose, tight = fitted(tolerance=1.0), fitted(tolerance=1e-3)
    assert loose.converged
    assert tight.converged
    assert len(loose.losses) == 500  # the first look after the last births
    before, latest = tight.losses[-200:].double().reshape(2, 100).mean(1)
    assert before - latest < 1e-3 * latest.abs()
    assert fitted(steps=20).converged is None


def test_the_number_is_found_and_said() -> None:
    fit = fitted(n_droplets="auto", steps=10)
    assert fit.settings.n_droplets == N
    assert len(fit.table()) == N


def test_births_put_a_droplet_that_explains_nothing_where_one_is_missing() -> None:
    fit = fitted(steps=50)
    height, width = SIZE
    density = flatten(channel_fit, (width, height, N, channel(), NOISE, False))
    values = density.constrained(fit.state.loc[0])
    stray = {name: value.clone() for name, value in values.items()}
    stray["amplitude"][2] = 1e-3
    stray["x"][2] = 0.01
    astray = replace(
        fit.state,
        params=torch.stack([density.unconstrained(stray)[None], fit.state.params[1]]),
        first=torch.ones_like(fit.state.first),
    )
    home = births_and_deaths(density, channel(), astray, fit.settings)
    assert svi.mean_loss(density, home) < svi.mean_loss(density, astray)
    back = density.constrained(home.loc[0])
    scale = torch.tensor([width, height])
    there, here = (torch.stack([v["x"], v["y"]], -1) * scale for v in (values, back))
    assert float(torch.cdist(there, here).min(1).values.max()) < 0.5  # every droplet has one again
    # Only the newborn, whichever they are, lose what Adam remembers of their places.
    forgotten = {site.name: home.first[0, 0, site.start : site.stop] == 0 for site in density.sites}
    assert not bool(forgotten["bg"].any())
    assert 1 <= int(forgotten["x"].sum()) < N
    for name in ("y", "r", "amplitude"):
        assert torch.equal(forgotten[name], forgotten["x"])


def test_births_are_kept_only_where_they_lower_the_loss() -> None:
    fit = fitted(steps=300)
    height, width = SIZE
    density = flatten(channel_fit, (width, height, N, channel(), NOISE, False))
    after = births_and_deaths(density, channel(), fit.state, fit.settings)
    assert svi.mean_loss(density, after) <= svi.mean_loss(density, fit.state)


@pytest.mark.slow
def test_several_starts_keep_the_best_and_say_how_far_they_agree() -> None:
    fit = fitted(start="uniform", steps=120, restarts=3, seed=1)
    assert fit.agreement is not None
    assert list(fit.agreement.losses) == sorted(fit.agreement.losses)
    assert fit.agreement.losses[0] == pytest.approx(float(fit.losses[-100:].double().mean()))
    assert fit.state.params.shape[1] == 1
    assert len(fit.losses) == 120

    from_peaks = fitted(steps=60, restarts=2)
    assert from_peaks.agreement is not None
    assert from_peaks.agreement.agreed == N  # well seen and apart: fresh noise moves none of them far
    assert from_peaks.agreement.spread < 0.01


@pytest.mark.slow
def test_the_posterior_is_sampled_from_where_the_fit_ended() -> None:
    fit = fitted(steps=100)
    draws = fit.nuts(30, 40, 2, progress=False, max_tree_depth=4)
    assert draws["x"].shape == (2, 40, N)
    guide = fit.latent(1_000)
    for name in ("x", "y", "amplitude"):
        apart = (draws[name].flatten(0, 1).mean(0) - guide[name].mean(0)).abs()
        assert bool((apart < 2 * guide[name].std(0)).all())
    assert "onverged" in draws.verdict()
