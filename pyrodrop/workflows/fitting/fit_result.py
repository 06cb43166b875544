"""The result of a fit, and what it can do: go on, be drawn from, have its posterior sampled, be a table, be saved."""

import os
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from pyro import poutine
from pyro.infer.autoguide import AutoNormal
from torch import Tensor

from pyrodrop.inference import svi
from pyrodrop.inference.density import Density
from pyrodrop.inference.nuts import Draws
from pyrodrop.models import channel_fit
from pyrodrop.rendering.kernels.bands.one_thread import torch_on_one_thread
from pyrodrop.results.page.notebook import notebook_html
from pyrodrop.results.storage.checkpoint import save_state
from pyrodrop.workflows.checkpoint_checks import are_of_droplets, settings_as_dict
from pyrodrop.workflows.fit_settings import Count, FitSettings, number_of_steps
from pyrodrop.workflows.fitting.droplets_of_draws import table_of
from pyrodrop.workflows.fitting.loop import check_finite, take_steps
from pyrodrop.workflows.fitting.posterior import guide_of, nuts_around, posterior_around
from pyrodrop.workflows.fitting.restarts import Agreement, agreement_of, best_first
from pyrodrop.workflows.fitting.target_density import assumed, density_of, model_arguments
from pyrodrop.workflows.settings import positive_whole

if TYPE_CHECKING:
    import pandas as pd

KIND = "pyrodrop fit of channel_fit"
_TABLE_DRAWS = 1_000
_LATEST = 100  # iterations whose mean loss is shown


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted channel, as ``pyrodrop.fit`` returns it. It can be resumed, sampled, tabled and saved; none changes it.

    Attributes:
        channel: the channel that was fitted, (H, W), on the CPU.
        settings: the settings of the fit.
        state: parameters of the guide, and the states of the optimiser and of the random generator.
        losses: one negative ELBO per iteration since the first start, (steps,); while several starts are under way,
            one a start, (steps, R).
        seconds: time spent on it, over all runs.
        converged: whether the last run ended because the loss had stopped falling; None if that was not asked for.
        agreement: how far the starts agree, where there were several; None of a single one.
    """

    channel: Tensor
    settings: FitSettings
    state: svi.State
    losses: Tensor
    seconds: float
    converged: bool | None = None
    agreement: Agreement | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the channel in px."""
        return self.channel.shape[0], self.channel.shape[1]

    @property
    def model(self) -> Callable[[], None]:
        """The Pyro model, ``pyrodrop.models.channel_fit`` with its arguments given."""
        return partial(channel_fit, *model_arguments(self.channel, self.settings), **assumed(self.settings))

    @property
    def guide(self) -> AutoNormal:
        """The ``AutoNormal`` guide of ``model`` that the fit stands for."""
        return guide_of(self.model, *self._mean_field())

    def _mean_field(self) -> tuple[Density, Tensor, Tensor]:
        """The density, and the guide's means and standard deviations (D,), on the CPU."""
        density = density_of(self.channel, replace(self.settings, device="cpu"))
        return density, self.state.loc[0].cpu(), self.state.scale[0].cpu()

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
            SettingError: if the number of steps is out of its range, or the fit diverges.
        """
        wanted = number_of_steps(steps)
        begun = time.monotonic()
        with torch_on_one_thread():
            density = density_of(self.channel, self.settings)
        began, others = svi.carried_over(self.state, density.device, self.settings.seed)
        if others:
            warnings.warn(
                f"this fit was begun on another kind of device than {density.device.type}: it goes on with other "
                "random numbers than it would have had there",
                stacklevel=2,
            )

        def so_far(state: svi.State, losses: Tensor, converged: bool | None = None) -> "Fit":
            seconds = self.seconds + time.monotonic() - begun
            return replace(self, state=state, losses=losses, seconds=seconds, converged=converged)

        def save(state: svi.State, losses: Tensor) -> None:
            # What has diverged is of no use to whoever resumes it; what was saved before may be.
            if checkpoint is not None and are_of_droplets(state.params):
                so_far(state, losses).save(checkpoint)

        state, losses, converged = take_steps(
            density,
            self.channel,
            began,
            self.losses if self.losses.dim() == 2 else self.losses[:, None],
            wanted,
            self.settings,
            progress=progress,
            report=save,
        )
        check_finite(state, losses)
        result = so_far(state, losses, converged if wanted is None else None).best()
        if checkpoint is not None:
            result.save(checkpoint)
        return result

    def best(self) -> "Fit":
        """The best of the starts that are fitted side by side, and how far the others agree with it."""
        if self.losses.shape[1] == 1:
            return replace(self, losses=self.losses[:, 0])
        order, means = best_first(self.losses)
        alone = [replace(self, state=svi.keep(self.state, row[None]), losses=torch.empty(0)) for row in order]
        agreement = agreement_of(means, [start.table() for start in alone])
        return replace(alone[0], losses=self.losses[:, order[0]], agreement=agreement)

    def latent(self, n: int, seed: int = 0) -> dict[str, Tensor]:
        """Draws as ``sample`` gives them, without the images ``val`` and ``diff``, and so in less time and memory.

        Args:
            n: the number of draws, at least 1.
            seed: of the draws.

        Returns:
            The sites by name: bg (n,), x and y (n, N) as fractions of width and height, r (n, N) in px, and
            amplitude (n, N).
        """
        density, loc, scale = self._mean_field()
        generator = torch.Generator().manual_seed(seed)
        eps = torch.randn(positive_whole("n", n), len(loc), generator=generator, dtype=loc.dtype)
        return density.constrained(loc + scale * eps)

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

    def posterior(self, num_chains: int = 4, *, rounds: int = 5, seed: int = 0, **how: Any) -> Draws:
        """Draws of the posterior itself, which the guide only stands in for, until every number is known.

        From the guide's means to the highest mode that chains find near them, and from there by ``sample_around`` in
        ``pyrodrop.inference.around.sampling``: until R-hat < 1.01 and the effective size >= 400 for every number.

        Args:
            num_chains, seed, how: as there.
            rounds: as for ``nuts``.

        Returns:
            Draws of bg, x, y, r and amplitude, (chains, draws, ...), about one mode; ask their ``verdict()``. More
            than 1,023 droplets are refused.
        """
        return posterior_around(*self._mean_field(), rounds=rounds, seed=seed, num_chains=num_chains, **how)

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

        ``posterior`` takes fewer gradients and says when it is enough; this is the usual algorithm, to compare with.
        Mass matrix and starts are of the Laplace approximation at the highest mode found or, diagonal, of the guide.

        Args:
            num_warmup, num_samples, num_chains, how: as for ``pyrodrop.sample_nuts``.
            dense: whether the mass matrix is dense; None says yes up to 1,023 droplets, and warns above.
            rounds: the most rounds of the search for higher modes; 0 stays at the one next to the guide's means.

        Returns:
            Draws of the sites bg, x, y, r and amplitude, about one mode; ask their ``verdict()``.
        """
        chains = (num_warmup, num_samples, num_chains)
        return nuts_around(*self._mean_field(), *chains, dense=dense, rounds=rounds, **how)

    def arviz_draws(self) -> tuple[dict[str, Tensor], Tensor]:
        """Draws of the guide and the channel, (H, W), as ``pyrodrop.to_arviz`` takes them from a result."""
        return self.latent(_TABLE_DRAWS), self.channel

    def table(self, pixel_size_um: float | None = None) -> "pd.DataFrame":
        """The droplet table, one row per droplet, from 1,000 draws of the guide.

        Args:
            pixel_size_um: side of a pixel in micrometres; adds the columns x_um, y_um, radius_um and diameter_um.

        Returns:
            id, then x_px, y_px, radius_px and amplitude, each with _sd, _q05 and _q95 beside it, presence (one for
            all) and flags; see ``pyrodrop.results.tables.droplet_table.droplet_table``.
        """
        return table_of(self.latent(_TABLE_DRAWS), self.size, self.settings.error_scale, pixel_size_um)

    def __repr__(self) -> str:
        height, width = self.size
        count = self.settings.n_droplets
        several = "" if self.losses.dim() == 1 else f", {self.losses.shape[1]} starts under way"
        return (
            f"Fit: {count} droplet{'' if count == 1 else 's'} in {width} x {height} px, {self._loss()}{several}\n"
            f"  noise {self.settings.error_scale:g}, start {self.settings.start}, seed {self.settings.seed}; "
            ".table() has a row for each droplet"
        )

    def _loss(self) -> str:
        """How many iterations were done, where the loss is, and whether it has stopped falling."""
        if not len(self.losses):
            return "not begun"
        latest = float(self.losses[-_LATEST:].double().mean())
        state = {True: ", converged", False: ", still falling: resume it", None: ""}[self.converged]
        last = min(_LATEST, len(self.losses))
        return f"{len(self.losses):,} iterations, mean loss of the last {last} {latest:,.1f}{state}"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        height, width = self.size
        latest = float(self.losses[-100:].double().mean()) if len(self.losses) else None
        facts = {"image": f"{width} × {height} px", "iterations": len(self.losses), "mean loss of the last 100": latest}
        title = f"Fit of {self.settings.n_droplets} droplets"
        warning = ("the loss had not stopped falling: resume it for more steps",) if self.converged is False else ()
        return notebook_html(title, facts, self.channel.numpy(), self.table(), warning)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fit as plain tensors; ``pyrodrop.load`` reads it. The file appears whole or not at all."""
        save_state(
            {
                "kind": KIND,
                "settings": settings_as_dict(self.settings),
                "channel": self.channel,
                "params": self.state.params.cpu(),
                "first": self.state.first.cpu(),
                "second": self.state.second.cpu(),
                "iteration": self.state.iteration,
                "random": self.state.random,
                "losses": self.losses,
                "seconds": self.seconds,
                "converged": self.converged,
                "agreement": None if self.agreement is None else asdict(self.agreement),
            },
            path,
        )
