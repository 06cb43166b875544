"""The post's job: a given number of droplets fitted to a channel by SVI; resumed, sampled, tabled, saved."""

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import pandas as pd
import pyro
import torch
from numpy.typing import ArrayLike
from pyro import poutine
from pyro.infer.autoguide import AutoNormal
from pyro.infer.autoguide.initialization import init_to_value
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from pyrodrop.images import as_channel
from pyrodrop.inference import svi
from pyrodrop.inference.density import Density, flatten
from pyrodrop.models import channel_fit
from pyrodrop.results.posterior import load_state, save_state
from pyrodrop.results.table import droplet_table
from pyrodrop.workflows.progress import FitProgress
from pyrodrop.workflows.settings import one_of, pick_device, positive, positive_whole, whole

KIND = "pyrodrop fit of channel_fit"
STARTS = ("uniform",)
# Steps between two looks at the clock; what is fitted does not depend on it.
_STRETCH = 50
_CHECKPOINT_SECONDS = 20.0
_TABLE_DRAWS = 1_000


@dataclass(frozen=True)
class Settings:
    """What a fit was asked for; see ``fit``."""

    n_droplets: int
    error_scale: float
    learning_rate: float
    start: str
    seed: int
    device: str
    compiled: bool | None = None


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted channel. It can be resumed, sampled, tabled and saved; none of these changes it.

    Attributes:
        channel: what was fitted, (H, W), on the CPU.
        settings: what was asked for.
        state: parameters of the guide, the optimiser's and the generator's state.
        losses: one negative ELBO per iteration since the first start, (steps,).
        seconds: time spent iterating.
    """

    channel: Tensor
    settings: Settings
    state: svi.State
    losses: Tensor
    seconds: float

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the channel in px."""
        return self.channel.shape[0], self.channel.shape[1]

    @property
    def model(self) -> Callable[[], None]:
        """The Pyro model, ``pyrodrop.models.channel_fit`` with its arguments given."""
        return partial(channel_fit, *_arguments(self.channel, self.settings))

    @property
    def guide(self) -> AutoNormal:
        """The ``AutoNormal`` guide of ``model`` that the fit stands for."""
        density = _density(self.channel.cpu(), replace(self.settings, device="cpu"))
        loc, scale = self.state.loc[0].cpu(), self.state.scale[0].cpu()
        values = density.constrained(loc)
        with torch.random.fork_rng(devices=[]), pyro.get_param_store().scope():
            guide = AutoNormal(self.model, init_loc_fn=init_to_value(values=values))
            guide()
        for site in density.sites:
            for store, flat in ((guide.locs, loc), (guide.scales, scale)):
                part = flat[site.start : site.stop].reshape(site.unconstrained_shape).clone()
                constraint = constraints.real if store is guide.locs else guide.scale_constraint
                setattr(store, site.name, PyroParam(part, constraint, len(site.unconstrained_shape)))
        return guide

    def resume(self, steps: int, *, progress: bool = True, checkpoint: str | os.PathLike[str] | None = None) -> "Fit":
        """Go on for more steps: the same numbers as if the fit had never stopped.

        Args:
            steps: the number of further steps.
            progress: show a progress bar on standard error.
            checkpoint: where to save the fit every 20 seconds and at the end.
        """
        return _run(self, positive_whole("steps", steps), progress, checkpoint)

    def latent(self, n: int, seed: int = 0) -> dict[str, Tensor]:
        """Draws as ``sample`` gives them, without the images ``val`` and ``diff``."""
        generator = torch.Generator().manual_seed(seed)
        loc, scale = self.state.loc[0].cpu(), self.state.scale[0].cpu()
        eps = torch.randn(positive_whole("n", n), len(loc), generator=generator, dtype=loc.dtype)
        return _density(self.channel, replace(self.settings, device="cpu")).constrained(loc + scale * eps)

    def sample(self, n: int, seed: int = 0) -> dict[str, Tensor]:
        """Draws from the guide's posterior.

        Args:
            n: the number of draws.
            seed: of the draws.

        Returns:
            The sites by name: bg (n,), x and y (n, N) as fractions of width and height, r (n, N) in px,
            amplitude (n, N), and for each draw the image ``val`` and ``diff`` = val - channel, (n, H, W).
        """
        latent = self.latent(n, seed)
        images: dict[str, list[Tensor]] = {"val": [], "diff": []}
        for number in range(n):
            values = {name: value[number] for name, value in latent.items()}
            trace = poutine.trace(poutine.condition(self.model, data=values)).get_trace()
            for name, drawn in images.items():
                drawn.append(torch.as_tensor(trace.nodes[name]["value"]))
        return latent | {name: torch.stack(drawn) for name, drawn in images.items()}

    def table(self, pixel_size_um: float | None = None) -> pd.DataFrame:
        """The droplet table, one row per droplet; see ``pyrodrop.results.table.droplet_table``."""
        height, width = self.size
        latent = self.latent(_TABLE_DRAWS)
        draws = {
            "x_px": latent["x"] * width,
            "y_px": latent["y"] * height,
            "radius_px": latent["r"],
            "amplitude": latent["amplitude"],
        }
        return droplet_table(draws, self.size, self.settings.error_scale, pixel_size_um=pixel_size_um)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fit as plain tensors; ``pyrodrop.load`` reads it. The file appears whole or not at all."""
        save_state(
            {
                "kind": KIND,
                "settings": asdict(self.settings),
                "channel": self.channel,
                "params": self.state.params.cpu(),
                "first": self.state.first.cpu(),
                "second": self.state.second.cpu(),
                "iteration": self.state.iteration,
                "random": self.state.random,
                "losses": self.losses,
                "seconds": self.seconds,
            },
            path,
        )


def fit(
    channel: ArrayLike | Tensor,
    n_droplets: int = 500,
    error_scale: float = 0.05,
    steps: int = 20_000,
    learning_rate: float = 0.01,
    start: str = "uniform",
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
    *,
    compiled: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Fit:
    """Fit droplets to a channel with a mean-field guide, as in the post.

    Args:
        channel: the channel, (H, W), finite.
        n_droplets: the number of droplets.
        error_scale: standard deviation of the noise, in units of the channel.
        steps: the number of iterations.
        learning_rate: Adam's.
        start: "uniform" starts as the post does, uniformly in (-2, 2) in unconstrained space.
        seed: the same seed, machine and version give the same numbers.
        device: auto, cpu or cuda.
        progress: show a progress bar on standard error.
        compiled: compile the step with torch's compiler; None does so from iteration 2,000 on.
        checkpoint: where to save the fit every 20 seconds and at the end.

    Raises:
        ImageError: if the channel is not a finite two-dimensional image.
        SettingError: if a setting is out of its range, or CUDA is asked for where there is none.
    """
    pixels = as_channel(channel).cpu()
    settings = check_settings(n_droplets, error_scale, learning_rate, start, seed, device, compiled)
    steps = positive_whole("steps", steps)
    density = _density(pixels, settings)
    state = svi.start(density, svi.uniform_start(density, seed), seed=seed)
    return _run(Fit(pixels, settings, state, torch.empty(0), 0.0), steps, progress, checkpoint)


def check_settings(
    n_droplets: int = 500,
    error_scale: float = 0.05,
    learning_rate: float = 0.01,
    start: str = "uniform",
    seed: int = 0,
    device: str = "auto",
    compiled: bool | None = None,
) -> Settings:
    """The settings of a fit, checked; raises ``SettingError`` for one out of its range."""
    return Settings(
        n_droplets=positive_whole("n_droplets", n_droplets),
        error_scale=positive("error_scale", error_scale),
        learning_rate=positive("learning_rate", learning_rate),
        start=one_of("start", start, STARTS),
        seed=whole("seed", seed),
        device=str(pick_device(device)),
        compiled=compiled,
    )


def load(path: str | os.PathLike[str], device: str = "auto") -> Fit:
    """Read a fit that ``Fit.save`` wrote.

    Raises:
        CheckpointError: if the file is missing, damaged or of another model.
        SettingError: if the device is not there.
    """
    tensors = dict.fromkeys(("channel", "params", "first", "second", "random", "losses"), Tensor)
    found = load_state(path, KIND, tensors | {"settings": dict, "iteration": int, "seconds": float})
    settings: dict[str, Any] = found["settings"]
    where = pick_device(device)
    params, first, second = (found[name].to(where) for name in ("params", "first", "second"))
    return Fit(
        found["channel"],
        Settings(**settings | {"device": str(where)}),
        svi.State(params, first, second, found["iteration"], found["random"]),
        found["losses"],
        found["seconds"],
    )


def _run(fit: Fit, steps: int, progress: bool, checkpoint: str | os.PathLike[str] | None) -> Fit:
    stepper = svi.MeanField(_density(fit.channel, fit.settings), fit.settings.compiled)
    state, losses, begun, saved = fit.state, [fit.losses], time.monotonic(), time.monotonic()

    def so_far() -> Fit:
        seconds = fit.seconds + time.monotonic() - begun
        return replace(fit, state=state, losses=torch.cat(losses), seconds=seconds)

    with FitProgress(steps, state.iteration, shown=progress) as bar:
        for done in range(0, steps, _STRETCH):
            state, new = stepper.run(state, min(_STRETCH, steps - done), fit.settings.learning_rate)
            losses.append(new[:, 0].cpu())
            bar.advance(losses[-1])
            if checkpoint is not None and time.monotonic() - saved > _CHECKPOINT_SECONDS:
                so_far().save(checkpoint)
                saved = time.monotonic()
    result = so_far()
    if checkpoint is not None:
        result.save(checkpoint)
    return result


def _arguments(channel: Tensor, settings: Settings) -> tuple[int, int, int, Tensor, float]:
    height, width = channel.shape
    return width, height, settings.n_droplets, channel, settings.error_scale


def _density(channel: Tensor, settings: Settings) -> Density:
    device = torch.device(settings.device)
    return flatten(channel_fit, (*_arguments(channel.to(device), settings), False), device=device)
