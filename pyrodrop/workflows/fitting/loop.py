"""The loop of a fit: stretches of SVI steps, births and deaths of droplets between them, and when to stop."""

import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from pyrodrop.inference import svi
from pyrodrop.inference.density import Density
from pyrodrop.pursuit.start import Start, rearrange
from pyrodrop.rendering.kernels.bands.one_thread import torch_on_one_thread
from pyrodrop.workflows.checkpoint_checks import are_of_droplets
from pyrodrop.workflows.fit_settings import POST_STEPS, FitSettings
from pyrodrop.workflows.fitting.initial_state import guide_at, learning_rate
from pyrodrop.workflows.fitting.progress import FitProgress
from pyrodrop.workflows.fitting.search_assumptions import searched
from pyrodrop.workflows.settings import SettingError
from pyrodrop.workflows.termination import Terminated

# Steps between two looks at the clock. Everything that changes a fit happens at fixed iterations, counted from
# its first start, so that a fit that was stopped and resumed takes the same path.
STRETCH = 50
BIRTHS_AT = (200, 400)
WINDOW = 100
_REPORT_SECONDS = 20.0
# A fit with steps="auto" takes no more than the post did.
MOST_STEPS = POST_STEPS

Report = Callable[[svi.State, Tensor], None]


def check_finite(state: svi.State, losses: Tensor | None = None) -> None:
    """Raise ``SettingError`` if a fit diverged: if its loss is no number, or its parameters are of no droplets."""
    if are_of_droplets(state.params) and (losses is None or bool(losses.isfinite().all())):
        return
    raise SettingError(
        f"the fit diverged: after {state.iteration} iterations its loss or droplets are no numbers; give a smaller "
        "learning_rate, or an error_scale that is nearer to the noise",
        "learning_rate",
        "error_scale",
    )


def take_steps(
    density: Density,
    channel: Tensor,
    state: svi.State,
    losses: Tensor,
    steps: int | None,
    settings: FitSettings,
    *,
    progress: bool,
    report: Report,
) -> tuple[svi.State, Tensor, bool]:
    """Take steps from a state; return the new state, all losses (iterations, R), and whether they stopped falling.

    Args:
        density: of ``channel_fit``.
        channel: (H, W).
        state: where to go on from.
        losses: of the iterations so far, (iterations, R).
        steps: the number of steps, or None to go on until the loss has stopped falling: until the mean loss of the
            latest 100 iterations is less than ``tolerance`` of itself below that of the 100 before.
        settings: of the fit.
        progress: show a bar.
        report: called with state and losses every 20 seconds, and when the run is broken off by SIGTERM or Ctrl-C.
    """
    from_peaks = settings.start == "peaks"
    with torch_on_one_thread():
        stepper = svi.MeanField(density, settings.compiled, relative=from_peaks)
    end = max(MOST_STEPS, state.iteration + WINDOW) if steps is None else state.iteration + steps
    saved = time.monotonic()
    history = [losses]
    converged = False

    def rate(iteration: int) -> float:
        return learning_rate(settings, iteration)

    # State and losses that belong together, whenever a signal comes.
    reached = state, history
    try:
        with FitProgress(steps, state.iteration, shown=progress) as bar:
            while state.iteration < end and not converged:
                if settings.births and from_peaks and state.iteration in BIRTHS_AT:
                    state = births_and_deaths(density, channel, state, settings)
                stretch = min(STRETCH - state.iteration % STRETCH, end - state.iteration)
                with torch_on_one_thread():
                    state, new = stepper.run(state, stretch, rate)
                history = [*history, new.cpu()]
                reached = state, history
                bar.advance(history[-1].min(1).values)
                if steps is None and state.iteration % WINDOW == 0:
                    history = [torch.cat(history)]
                    converged = has_converged(history[0], settings.tolerance) and state.iteration > max(BIRTHS_AT)
                if time.monotonic() - saved > _REPORT_SECONDS:
                    history = [torch.cat(history)]
                    report(state, history[0])
                    saved = time.monotonic()
    except (Terminated, KeyboardInterrupt) as broken:
        state, history = reached
        report(state, torch.cat(history))
        if isinstance(broken, Terminated):
            broken.message = f"ended by SIGTERM after {state.iteration} iterations"
        raise
    return state, torch.cat(history), converged


def births_and_deaths(density: Density, channel: Tensor, state: svi.State, settings: FitSettings) -> svi.State:
    """Take out the droplets that explain least, put new ones where the residual is largest, and fit all jointly.

    A droplet that is born takes the place of one that dies in the flat vector: its mean and width are new and its
    moments of Adam are zero. The others keep their widths and moments. What comes out is kept only if its loss is
    lower, over the same random numbers.

    Raises:
        SettingError: if the fit has diverged.
    """
    check_finite(state)
    looked = searched(channel, settings)
    height, width = channel.shape
    rows = []
    values = density.constrained(state.loc)
    for row in range(state.params.shape[1]):
        v = {name: value[row].detach() for name, value in values.items()}
        now = Start(float(v["bg"]), v["x"] * width, v["y"] * height, v["r"], v["amplitude"], v["r"])
        then, born = rearrange(looked.channel, now, error_scale=looked.error_scale, rounds=4, **looked.ranges)
        before = svi.keep(state, torch.tensor([row]))
        loc, scale = guide_at(density, [then], looked)
        changed = torch.cat([born if s.shape else born.new_zeros(1) for s in density.sites]).to(loc.device)
        rho = torch.where(changed, scale.expm1().log(), before.params[1])
        after = replace(
            before,
            params=torch.stack([loc, rho]).to(before.params),
            first=before.first.masked_fill(changed, 0.0),
            second=before.second.masked_fill(changed, 0.0),
        )
        rows.append(after if svi.mean_loss(density, after) < svi.mean_loss(density, before) else before)
    return svi.join(rows)


def has_converged(losses: Tensor, tolerance: float) -> bool:
    """Whether the losses, (iterations, R), of all starts have stopped falling: see ``take_steps``."""
    if len(losses) < 2 * WINDOW:
        return False
    before, latest = losses[-2 * WINDOW :].double().reshape(2, WINDOW, -1).mean(1)
    return bool(((before - latest) < tolerance * latest.abs()).all())
