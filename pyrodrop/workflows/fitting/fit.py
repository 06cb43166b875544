"""A number of droplets fitted to one channel by stochastic variational inference; and a saved fit read again."""

import math
import os
import time
from dataclasses import replace
from typing import Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pyrodrop.images import ImageError, as_channel
from pyrodrop.inference import svi
from pyrodrop.models.assumed.noise_families import CameraNoise, StudentNoise
from pyrodrop.models.priors import LEVELS
from pyrodrop.pursuit.count import counted_peaks
from pyrodrop.results.storage.checkpoint import CheckpointError, load_state
from pyrodrop.workflows.checkpoint_checks import DamagedError, check_fit, checked_settings
from pyrodrop.workflows.fit_settings import Count, FitSettings, RareSettings, fit_settings, number_of_steps
from pyrodrop.workflows.fitting.fit_result import KIND, Fit
from pyrodrop.workflows.fitting.initial_state import initial_state
from pyrodrop.workflows.fitting.restarts import Agreement
from pyrodrop.workflows.fitting.search_assumptions import searched
from pyrodrop.workflows.fitting.target_density import density_of
from pyrodrop.workflows.settings import pick_device

# How far noise goes beyond what background and one droplet of the model reach, in standard deviations; and the share of
# the pixels that may be further off where the noise has tails.
_DEVIATIONS, _FAR_OFF = 5.0, 0.1


def fit(
    channel: ArrayLike | Tensor,
    n_droplets: Count = FitSettings.n_droplets,
    error_scale: float = FitSettings.error_scale,
    steps: Count = "auto",
    learning_rate: float = FitSettings.learning_rate,
    start: str = FitSettings.start,
    seed: int = FitSettings.seed,
    device: str = FitSettings.device,
    progress: bool = True,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    **rare: Unpack[RareSettings],
) -> Fit:
    """Fit a number of droplets to a channel by stochastic variational inference, as the post does with its model 3.

    The model is ``pyrodrop.models.channel_fit``: round Gaussian spots with amplitudes between 0 and 1 on a level
    background, and noise of a known standard deviation. The guide is Pyro's ``AutoNormal``, which takes all numbers
    as independent; its loss is the negative evidence lower bound with one sample (Kucukelbir et al., 2017).

    Args:
        channel: the channel, an array or tensor (H, W), finite; a fit makes sense for values in about 0 to 1.
        n_droplets: the number of droplets, at least 1, or "auto": as many as earn their keep under the model's
            evidence.
        error_scale: standard deviation of the noise, positive, in units of the channel.
        steps: the number of iterations, at least 1, or "auto": until the mean loss of the latest 100 iterations lies
            less than ``tolerance`` of itself below that of the 100 before, and 20,000 at the most.
        learning_rate: Adam's, positive; from the peaks it halves every 200 iterations, to no less than a hundredth.
        start: "peaks" starts at the peaks of the image; "uniform" as the post does, uniformly in (-2, 2) in
            unconstrained space.
        seed: of all random numbers; the same seed, machine and version give the same result.
        device: "auto", "cpu" or "cuda"; auto takes a GPU where there is one.
        progress: show a progress bar on standard error.
        checkpoint: where to save the fit every 20 seconds and at the end.
        rare: by keyword alone. ``restarts=1``: the number of different starts, fitted side by side; the best is kept,
            and ``agreement`` says how far the others agree. ``tolerance=1e-4``: see steps. ``births=True``: from the
            peaks, let droplets that explain least die and others be born where the residual is largest, at iterations
            200 and 400. ``compiled=None``: compile the step with torch's compiler; None does so from iteration 2,000
            on. ``priors={}``: by the name of a site of the model, bg, x, y, r or amplitude, a distribution of torch or
            Pyro in the place of its prior. ``noise="normal"``: or "student", or ``pyrodrop.models.StudentNoise(df)`` or
            ``CameraNoise(gain, black)``, of which ``error_scale`` is the scale, or the read noise.

    Returns:
        The ``Fit``: ``table()`` has a row for each droplet, ``losses`` the loss of every iteration, ``sample(n)``
        draws from the posterior.

    Raises:
        ImageError: if the channel is not a finite two-dimensional image.
        SettingError: if a setting is out of its range, or CUDA is asked for where there is none.

    Example:
        >>> import pyrodrop
        >>> image, truth = pyrodrop.simulate(6, (48, 64), seed=2, kind="gray", radius_px=(3, 6), noise=0.03)
        >>> fit = pyrodrop.fit(image.channel("gray"), 6, error_scale=0.03, steps=100, progress=False)
        >>> len(fit.table()), len(fit.losses), tuple(fit.sample(5)["val"].shape)
        (6, 100, (5, 48, 64))
    """
    begun = time.monotonic()
    pixels = as_channel(channel).cpu()
    settings = fit_settings(
        n_droplets,
        error_scale=error_scale,
        learning_rate=learning_rate,
        start=start,
        seed=seed,
        device=device,
        **rare,
    )
    check_range(pixels, settings)
    number_of_steps(steps)  # before the search for peaks, which takes its time
    if settings.n_droplets == 0:
        looked = searched(pixels, settings)
        counted = counted_peaks(looked.channel, looked.error_scale, **looked.ranges, **looked.counting)
        settings = replace(settings, n_droplets=max(len(counted.x), 1))
    fresh = begin(pixels, settings, time.monotonic() - begun)
    return fresh.resume(steps, progress=progress, checkpoint=checkpoint)


def check_range(pixels: Tensor, settings: FitSettings) -> None:
    """Refuse a channel that the post's model cannot describe, as one of floats from 0 to 255.

    The model's background and the height of a droplet are at most 1, so that one droplet reaches 2, and noise 5
    standard deviations further in one of a million pixels; with other priors, as far as these reach.

    Raises:
        ImageError: pixels above that.
    """
    own = {prior.site: prior.support[1] for prior in settings.priors}
    reached, scale = own.get("bg", LEVELS[1]) + own.get("amplitude", LEVELS[1]), settings.error_scale
    if reached == math.inf:
        return
    highest = float(pixels.max())
    if isinstance(settings.noise, StudentNoise):
        highest = float(np.quantile(pixels.numpy(), 1 - _FAR_OFF))
    if isinstance(settings.noise, CameraNoise):
        scale = float(settings.noise.variance(np.float64(reached), scale)) ** 0.5
    if highest > reached + _DEVIATIONS * scale:
        most = "at most 1 each" if not own else f"at most {reached:.4g} together"
        raise ImageError(
            f"the channel reaches {highest:.4g}, but background and droplets of the model are {most}: scale it "
            "to [0, 1] first, for example channel / 255 or channel / channel.max()."
        )


def begin(pixels: Tensor, settings: FitSettings, seconds: float = 0.0) -> Fit:
    """A fit before its first step, of all its starts.

    Args:
        pixels: the channel, (H, W), finite, on the CPU.
        settings: of the fit; the number of droplets is a number.
        seconds: time spent on it so far.
    """
    begun = time.monotonic()
    density = density_of(pixels, settings)
    state = initial_state(density, pixels, settings)
    losses = torch.empty(0, settings.restarts, dtype=density.dtype)
    return Fit(pixels, settings, state, losses, seconds + time.monotonic() - begun)


def load_fit(path: str | os.PathLike[str], device: str = "auto") -> Fit:
    """Read a fit that ``Fit.save`` wrote.

    Raises:
        CheckpointError: if the file is missing, damaged or of another model.
        SettingError: if the device is not there.
    """
    tensors = dict.fromkeys(("channel", "params", "first", "second", "random", "losses"), Tensor)
    state = load_state(path, KIND, tensors | {"settings": dict, "iteration": int, "seconds": float})
    where = pick_device(device)
    try:
        settings = checked_settings(state["settings"], str(where))
        check_fit(state, settings)
    except (KeyError, DamagedError) as error:
        raise CheckpointError(
            f"{path} is of another version of pyrodrop or damaged ({error}); give the fit.pt that a fit has written"
        ) from error
    params, first, second = (state[name].to(where) for name in ("params", "first", "second"))
    agreement = None if state["agreement"] is None else Agreement(**state["agreement"])
    guide = svi.State(params, first, second, state["iteration"], state["random"])
    return Fit(state["channel"], settings, guide, state["losses"], state["seconds"], state["converged"], agreement)
