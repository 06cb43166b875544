"""A fit under way: stretches of steps, births and deaths between them, and when to stop."""

import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from pyrodrop.inference import svi
from pyrodrop.inference.density import Density
from pyrodrop.pursuit.start import Start, rearrange
from pyrodrop.workflows.checkpoint_checks import are_of_droplets
from pyrodrop.workflows.fitting.initial_state import guide_at, rate_of
from pyrodrop.workflows.fitting.progress import FitProgress
from pyrodrop.workflows.settings import SettingError
from pyrodrop.workflows.termination import Terminated

# Steps between two looks at the clock. Everything that changes a fit happens at fixed iterations, counted from
# its first start, so that a fit that was stopped and resumed takes the same path.
STRETCH = 50
BIRTHS_AT = (200, 400)
WINDOW = 100
_REPORT_SECONDS = 20.0
# A fit with steps="auto" takes no more than this.
MOST_STEPS = 20_000

Report = Callable[[svi.State, Tensor], None]


def check_whole(state: svi.State, losses: Tensor | None = None) -> None:
    """Raise ``SettingError`` if a fit came apart: if its loss is no number, or its parameters are of no droplets."""
    if are_of_droplets(state.params) and (losses is None or bool(losses.isfinite().all())):
        return
    raise SettingError(
        f"the fit came apart: after {state.iteration} iterations its loss or droplets are no numbers; give a smaller "
        "learning_rate, or an error_scale that is nearer to the noise"
    )


def take_steps(
    density: Density,
    channel: Tensor,
    state: svi.State,
    losses: Tensor,
    steps: int | None,
    *,
    start: str,
    births: bool,
    error_scale: float,
    learning_rate: float,
    tolerance: float,
    compiled: bool | None,
    progress: bool,
    report: Report,
) -> tuple[svi.State, Tensor, bool]:
    """Take steps from a state; return the new state, all losses (iterations, R), and whether the fit had settled.

    Args:
        density: of ``channel_fit``.
        channel: (H, W).
        state: where to go on from.
        losses: of the iterations so far, (iterations, R).
        steps: the number of steps, or None to go on until the fit has settled: until the mean loss of the latest
            100 iterations is less than ``tolerance`` of itself below that of the 100 before.
        start, births, error_scale, learning_rate, tolerance: as for ``fit``.
        compiled: as for ``MeanField``.
        progress: show a bar.
        report: called with state and losses every 20 seconds, and when the run is broken off by SIGTERM or Ctrl-C.
    """
    stepper = svi.MeanField(density, compiled, relative=start == "peaks")
    end = max(MOST_STEPS, state.iteration + WINDOW) if steps is None else state.iteration + steps
    saved = time.monotonic()
    history = [losses]
    settled = False

    def rate(iteration: int) -> float:
        return rate_of(start, learning_rate, iteration)

    # State and losses that belong together, whenever a signal comes.
    reached = state, history
    try:
        with FitProgress(None if steps is None else steps, state.iteration, shown=progress) as bar:
            while state.iteration < end and not settled:
                if births and start == "peaks" and state.iteration in BIRTHS_AT:
                    state = births_and_deaths(density, channel, state, error_scale)
                stretch = min(STRETCH - state.iteration % STRETCH, end - state.iteration)
                state, new = stepper.run(state, stretch, rate)
                history = [*history, new.cpu()]
                reached = state, history
                bar.advance(history[-1].min(1).values)
                if steps is None and state.iteration % WINDOW == 0:
                    history = [torch.cat(history)]
                    settled = has_settled(history[0], tolerance) and state.iteration > max(BIRTHS_AT)
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
    return state, torch.cat(history), settled


def births_and_deaths(density: Density, channel: Tensor, state: svi.State, error_scale: float) -> svi.State:
    """Take out the droplets that explain least, put new ones where most is left to explain, and let all settle.

    A droplet that is born takes the place of one that dies in the flat vector: its mean and width are new and its
    moments of Adam are zero. The others keep their widths and moments. What comes out is kept only if its loss is
    lower, over the same random numbers.

    Raises:
        SettingError: if the fit came apart.
    """
    check_whole(state)
    height, width = channel.shape
    rows = []
    values = density.constrained(state.loc)
    for row in range(state.params.shape[1]):
        v = {name: value[row].detach() for name, value in values.items()}
        now = Start(float(v["bg"]), v["x"] * width, v["y"] * height, v["r"], v["amplitude"], v["r"])
        then, born = rearrange(channel, now, error_scale=error_scale, rounds=4)
        before = svi.keep(state, torch.tensor([row]))
        loc, scale = guide_at(density, [then], channel, error_scale)
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


def has_settled(losses: Tensor, tolerance: float) -> bool:
    """Whether the losses (iterations, R) of all starts have stopped falling: see ``take_steps``."""
    if len(losses) < 2 * WINDOW:
        return False
    before, latest = losses[-2 * WINDOW :].double().reshape(2, WINDOW, -1).mean(1)
    return bool(((before - latest) < tolerance * latest.abs()).all())
