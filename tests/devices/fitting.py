"""Fits and samples on the second device."""

import tempfile
from pathlib import Path
from typing import Any

import torch
from devices.asking import question, slow_question, waits
from devices.second_device import NAME, WAITS, SecondTensor
from torch import Tensor

import pyrodrop
from pyrodrop.cli import main
from pyrodrop.inference import svi
from pyrodrop.inference.density import flatten
from pyrodrop.inference.kernel import NUTS
from pyrodrop.inference.laplace import laplace
from pyrodrop.workflows.fitting.fit_result import Fit
from pyrodrop.workflows.fitting.many import fit_many
from pyrodrop.workflows.fitting.target_density import density_of

N = 4


def channel() -> Tensor:
    """A small channel of N droplets."""
    image, _ = pyrodrop.simulate(N, (32, 40), seed=1, kind="gray", radius_px=(3, 6), noise=0.05)
    return image.channel("gray")


def fitted(device: str = NAME, steps: int | str = 20, **how: Any) -> Fit:
    return pyrodrop.fit(channel(), how.pop("count", N), steps=steps, device=device, progress=False, **how)


def same_fit(**how: Any) -> bool:
    """Whether a fit on the second device is that of the CPU, which has the same random numbers, but for rounding."""
    here, there = fitted("cpu", **how), fitted(**how)
    assert isinstance(there.state.params, SecondTensor)
    assert there.settings.device == NAME
    return len(here.losses) == len(there.losses) and torch.allclose(here.losses[:20], there.losses[:20], rtol=1e-3)


@question
def a_fit_from_the_peaks_is_that_of_the_cpu() -> None:
    assert same_fit(start="peaks")


@question
def a_fit_from_the_posts_start_is_that_of_the_cpu() -> None:
    assert same_fit(start="uniform")


@slow_question
def starts_are_fitted_side_by_side() -> None:
    assert same_fit(start="uniform", restarts=3)
    assert same_fit(start="peaks", restarts=2)


@slow_question
def droplets_are_counted_born_and_die() -> None:
    assert same_fit(start="peaks", count="auto", steps=210)


@question
def several_images_are_fitted_side_by_side() -> None:
    images = [channel(), channel().flip(0)]
    fits = fit_many(images, N, steps=5, start="uniform", device=NAME, progress=False)
    alone = fitted(steps=5, start="uniform")
    assert torch.allclose(fits[0].losses, alone.losses, rtol=1e-4)


@question
def a_saved_fit_goes_on_to_the_same_numbers() -> None:
    whole = fitted()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fit.pt"
        fitted(steps=10).save(path)
        half = pyrodrop.load(path, device=NAME)
    resumed = half.resume(10, progress=False)
    assert torch.equal(resumed.losses, whole.losses)
    assert torch.equal(resumed.state.params.cpu(), whole.state.params.cpu())


@slow_question
def a_fit_gives_draws_a_table_a_guide_and_its_model() -> None:
    fit = fitted(steps=5)
    draws = fit.sample(3)
    assert draws["val"].shape == (3, 32, 40)
    assert all(not isinstance(value, SecondTensor) for value in draws.values())
    assert len(fit.table()) == N
    fit.guide()
    assert fit.nuts(3, 3, num_chains=1, rounds=0, progress=False)["x"].shape == (3, N)


@question
def a_step_of_a_fit_waits_for_nothing() -> None:
    """The host waits once for all steps of a stretch, when the learning rates are sent."""
    density = density_of(channel(), fitted(steps=1, start="uniform").settings)
    stepper = svi.MeanField(density, compiled=False)
    state = svi.start(density, svi.uniform_start(density))
    assert waits(lambda: stepper.run(state, 20)) == waits(lambda: stepper.run(state, 5)) == 1


@question
def the_mode_and_its_covariance_are_those_of_the_cpu() -> None:
    ends = []
    for device in ("cpu", NAME):
        approximation = laplace(pyrodrop.models.centres, 40, 30, 3, device=device)
        ends.append(approximation)
    assert torch.allclose(ends[1].mode.cpu(), ends[0].mode, atol=1e-5)
    assert torch.allclose(ends[1].precision.cpu(), ends[0].precision, rtol=1e-5, atol=1e-8)


@slow_question
def nuts_draws_are_those_of_the_cpu() -> None:
    made = []
    for device in ("cpu", NAME):
        how: dict[str, Any] = {"num_warmup": 20, "num_samples": 10, "num_chains": 2, "device": device}
        made.append(pyrodrop.sample_nuts(pyrodrop.models.centres, 40, 30, 3, seed=2, progress=False, **how))
    for name, site in made[0].items():
        assert torch.allclose(made[1][name].cpu()[:, :3], site[:, :3], rtol=1e-3, atol=1e-3), name


@question
def a_transition_of_nuts_waits_less_than_once_a_leapfrog_step() -> None:
    """The host asks after every other leapfrog step whether a chain still grows, and has some more to ask a draw."""
    density = flatten(pyrodrop.models.centres, (40, 30, 3), device=NAME)
    kernel = NUTS(density, num_chains=2, seed=0)
    kernel.setup(5)
    params = kernel.initial_params
    for _ in range(10):
        before = WAITS.total()
        params = kernel.sample(params)
        waited = WAITS.total() - before
        steps = int(kernel.iterations[-1].leaves.max())
        assert waited <= steps / 2 + 4, (waited, steps)


@slow_question
def the_commands_fit_and_prior_run() -> None:
    with tempfile.TemporaryDirectory() as folder:
        quick = ["--device", NAME, "--quiet", "--json"]
        assert main(["fit", "--droplets", "2", "--steps", "3", "--out", f"{folder}/fit", *quick]) == 0
        asked = ["prior", "centres", "--size", "40", "30", "--droplets", "3", "--warmup", "3", "--samples", "3"]
        assert main([*asked, "--out", f"{folder}/prior", *quick]) == 0
