"""The post's job: a given number of droplets fitted to a channel by SVI; resumed, sampled, tabled, saved."""

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import ArrayLike
from pyro import poutine
from pyro.infer.autoguide import AutoNormal
from torch import Tensor

from pyrodrop.images import as_channel
from pyrodrop.inference import svi
from pyrodrop.inference.nuts import Draws
from pyrodrop.models import channel_fit
from pyrodrop.models.count import counted_peaks
from pyrodrop.results.notebook import notebook_html
from pyrodrop.results.posterior import CheckpointError, load_state, save_state
from pyrodrop.results.table import droplet_table
from pyrodrop.workflows.fit_posterior import guide_of, nuts_around
from pyrodrop.workflows.kept_checks import Wrong, check_fit, checked_settings
from pyrodrop.workflows.restarts import Agreement
from pyrodrop.workflows.settings import Count, Settings, check_settings, pick_device, positive_whole, steps_wanted
from pyrodrop.workflows.starting import starting_state
from pyrodrop.workflows.stepping import go_on
from pyrodrop.workflows.target import density_of, model_arguments

if TYPE_CHECKING:
    import pandas as pd

KIND = "pyrodrop fit of channel_fit"
_TABLE_DRAWS = 1_000


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted channel, as ``pyrodrop.fit`` returns it. It can be resumed, sampled, tabled and saved; none changes it.

    Attributes:
        channel: the channel that was fitted, (H, W), on the CPU.
        settings: the settings of the fit.
        state: parameters of the guide, and the states of the optimiser and of the random generator.
        losses: the loss, a negative ELBO, of every iteration since the first start, (steps,).
        seconds: time spent on it, over all runs.
        settled: whether the last run ended because the loss had stopped falling; None if that was not asked for.
        agreement: how far the starts agree, where there were several; None of a single one.
    """

    channel: Tensor
    settings: Settings
    state: svi.State
    losses: Tensor
    seconds: float
    settled: bool | None = None
    agreement: Agreement | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the channel in px."""
        return self.channel.shape[0], self.channel.shape[1]

    @property
    def model(self) -> Callable[[], None]:
        """The Pyro model, ``pyrodrop.models.channel_fit`` with its arguments given."""
        return partial(channel_fit, *model_arguments(self.channel, self.settings))

    @property
    def guide(self) -> AutoNormal:
        """The ``AutoNormal`` guide of ``model`` that the fit stands for."""
        density = density_of(self.channel, replace(self.settings, device="cpu"))
        return guide_of(self.model, density, self.state.loc[0].cpu(), self.state.scale[0].cpu())

    def resume(
        self,
        steps: Count,
        *,
        progress: bool = True,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> "Fit":
        """Go on for more steps: the same numbers as if the fit had never stopped.

        Args:
            steps: the number of further iterations, at least 1, or "auto", as for ``pyrodrop.fit``.
            progress: show a progress bar on standard error.
            checkpoint: where to save the fit every 20 seconds and at the end.

        Returns:
            A new fit, whose ``losses`` go on where those of this one end.

        Raises:
            SettingError: if steps is no such number.
        """
        return go_on(self, steps_wanted(steps), progress, checkpoint)

    def latent(self, n: int, seed: int = 0) -> dict[str, Tensor]:
        """Draws as ``sample`` gives them, without the images ``val`` and ``diff``, and so in less time and memory.

        Args:
            n: the number of draws, at least 1.
            seed: of the draws.

        Returns:
            The sites by name: bg (n,), x and y (n, N) as fractions of width and height, r (n, N) in px, and
            amplitude (n, N).
        """
        generator = torch.Generator().manual_seed(seed)
        loc, scale = self.state.loc[0].cpu(), self.state.scale[0].cpu()
        eps = torch.randn(positive_whole("n", n), len(loc), generator=generator, dtype=loc.dtype)
        return density_of(self.channel, replace(self.settings, device="cpu")).constrained(loc + scale * eps)

    def sample(self, n: int, seed: int = 0) -> dict[str, Tensor]:
        """Draws from the guide's posterior.

        Args:
            n: the number of draws, at least 1.
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

    def nuts(
        self,
        num_warmup: int = 200,
        num_samples: int = 500,
        num_chains: int = 4,
        *,
        dense: bool | None = None,
        rounds: int = 5,
        **how: Any,
    ) -> Draws:
        """Sample the posterior itself with NUTS, which the guide only stands in for.

        With a dense mass matrix the guide's means are first brought to a mode and from there, by short runs of the
        chains, to the highest mode these find; the Laplace approximation there is the mass matrix, and each chain
        starts at a draw from it. With a diagonal one each chain starts at a draw from the guide, and the mass matrix
        at the guide's variances; chains of overlapping or broad droplets then hardly move.

        Args:
            num_warmup, num_samples, num_chains, how: as for ``pyrodrop.sample_nuts``.
            dense: whether the mass matrix is dense; None says yes up to 4,096 numbers, which is 1,023 droplets, and
                warns above.
            rounds: the largest number of rounds of the search for higher modes, each of half as many iterations as the
                warm-up; 0 stays around the mode next to the guide's means.

        Returns:
            Draws of the sites bg, x, y, r and amplitude; ask their ``verdict()`` whether they have converged. All
            chains start around one mode: where they agree, they do so about that mode, and there may be others.
        """
        density = density_of(self.channel, replace(self.settings, device="cpu"))
        loc, scale = self.state.loc[0].cpu(), self.state.scale[0].cpu()
        chains = (num_warmup, num_samples, num_chains)
        return nuts_around(density, loc, scale, *chains, dense=dense, rounds=rounds, **how)

    def table(self, pixel_size_um: float | None = None) -> "pd.DataFrame":
        """The droplet table, one row per droplet, from 1,000 draws of the guide.

        Args:
            pixel_size_um: side of a pixel in micrometres; adds the columns x_um, y_um and radius_um.

        Returns:
            id, then x_px, y_px, radius_px and amplitude, each with _sd, _q05 and _q95 beside it, presence (one for
            all) and flags; see ``pyrodrop.results.table.droplet_table``.
        """
        height, width = self.size
        latent = self.latent(_TABLE_DRAWS)
        draws = {
            "x_px": latent["x"] * width,
            "y_px": latent["y"] * height,
            "radius_px": latent["r"],
            "amplitude": latent["amplitude"],
        }
        return droplet_table(draws, self.size, self.settings.error_scale, pixel_size_um=pixel_size_um)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        height, width = self.size
        latest = float(self.losses[-100:].double().mean()) if len(self.losses) else None
        facts = {"image": f"{width} × {height} px", "iterations": len(self.losses), "mean loss of the last 100": latest}
        title = f"Fit of {self.settings.n_droplets} droplets"
        unsettled = ("the loss had not stopped falling: resume it for more steps",) if self.settled is False else ()
        return notebook_html(title, facts, self.channel.numpy(), self.table(), unsettled)

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
                "settled": self.settled,
                "agreement": None if self.agreement is None else asdict(self.agreement),
            },
            path,
        )


def fit(
    channel: ArrayLike | Tensor,
    n_droplets: Count = 500,
    error_scale: float = 0.05,
    steps: Count = "auto",
    learning_rate: float = 0.01,
    start: str = "peaks",
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
    *,
    restarts: int = 1,
    tolerance: float = 1e-4,
    births: bool = True,
    compiled: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
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
        restarts: the number of different starts, fitted side by side; the best is kept, and ``agreement`` says how
            far the others agree.
        tolerance: see steps.
        births: from the peaks, let droplets that explain least die and others be born where most is left to explain,
            at iterations 200 and 400.
        compiled: compile the step with torch's compiler; None does so from iteration 2,000 on.
        checkpoint: where to save the fit every 20 seconds and at the end.

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
    settings = check_settings(
        n_droplets, error_scale, learning_rate, start, seed, device, tolerance, restarts, births, compiled
    )
    wanted = steps_wanted(steps)
    if settings.n_droplets == 0:
        counted = counted_peaks(pixels, settings.error_scale)
        settings = replace(settings, n_droplets=max(len(counted.x), 1))
    return go_on(begin(pixels, settings, time.monotonic() - begun), wanted, progress, checkpoint)


def begin(pixels: Tensor, settings: Settings, seconds: float = 0.0) -> Fit:
    """A fit before its first step, of all its starts.

    Args:
        pixels: the channel, (H, W), finite, on the CPU.
        settings: of the fit; the number of droplets is a number.
        seconds: time spent on it so far.
    """
    begun = time.monotonic()
    density = density_of(pixels, settings)
    state = starting_state(
        density, pixels, settings.start, settings.n_droplets, settings.error_scale, settings.seed, settings.restarts
    )
    losses = torch.empty(0, settings.restarts, dtype=density.dtype)
    return Fit(pixels, settings, state, losses, seconds + time.monotonic() - begun)


def load(path: str | os.PathLike[str], device: str = "auto") -> Fit:
    """Read a fit that ``Fit.save`` wrote.

    Raises:
        CheckpointError: if the file is missing, damaged or of another model.
        SettingError: if the device is not there.
    """
    tensors = dict.fromkeys(("channel", "params", "first", "second", "random", "losses"), Tensor)
    found = load_state(path, KIND, tensors | {"settings": dict, "iteration": int, "seconds": float})
    where = pick_device(device)
    try:
        kept = checked_settings(found["settings"], str(where))
        check_fit(found, kept)
    except (KeyError, Wrong) as error:
        raise CheckpointError(
            f"{path} is of another version of pyrodrop or damaged ({error}); give the fit.pt that a fit has written"
        ) from error
    params, first, second = (found[name].to(where) for name in ("params", "first", "second"))
    agreement = None if found["agreement"] is None else Agreement(**found["agreement"])
    state = svi.State(params, first, second, found["iteration"], found["random"])
    return Fit(found["channel"], kept, state, found["losses"], found["seconds"], found["settled"], agreement)
