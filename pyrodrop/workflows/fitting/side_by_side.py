"""The loop of several fits side by side: images of one size, and one step for all of them at a time."""

import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from pyrodrop.inference import svi
from pyrodrop.inference.density import side_by_side
from pyrodrop.rendering.kernels.bands.one_thread import torch_on_one_thread
from pyrodrop.workflows.fitting.fit_result import Fit
from pyrodrop.workflows.fitting.initial_state import learning_rate
from pyrodrop.workflows.fitting.loop import (
    BIRTHS_AT,
    MOST_STEPS,
    STRETCH,
    WINDOW,
    births_and_deaths,
    check_finite,
    has_converged,
)
from pyrodrop.workflows.fitting.progress import FitProgress
from pyrodrop.workflows.fitting.target_density import density_of


def go_on_together(fits: Sequence[Fit], steps: int | None, progress: bool = True) -> list[Fit]:
    """Fits of images of one size after more steps of all of them, or of each until it converges if steps is None.

    Args:
        fits: with the same settings, of images of one size, after as many iterations; each of all its starts.
        steps: the number of further steps, or None.
        progress: show a progress bar on standard error.

    Raises:
        SettingError: if one of them diverged.
    """
    latest = dict(enumerate(fits))
    going = list(latest)
    if not fits:
        return []
    begun = fits[0].state.iteration
    end = max(MOST_STEPS, begun + WINDOW) if steps is None else begun + steps
    with FitProgress(steps, begun, shown=progress) as bar:
        while going:
            stepped = _step_batch([latest[number] for number in going], end, steps is None, bar)
            latest |= zip(going, stepped, strict=True)
            going = [
                number for number in going if latest[number].state.iteration < end and not latest[number].converged
            ]
    for fit in latest.values():
        check_finite(fit.state, fit.losses)
    return [latest[number].best() for number in range(len(fits))]


def _step_batch(fits: list[Fit], end: int, until_converged: bool, bar: FitProgress) -> list[Fit]:
    """Step fits as one batch until ``end``, or until no more than half of them still go on.

    The batch keeps its shape, which its step is captured for: a fit that has converged stays as it was then, and its
    rows are stepped on for nothing.
    """
    asked, starts = fits[0].settings, fits[0].losses.shape[1]
    alone = [density_of(fit.channel, asked) for fit in fits]
    density = alone[0] if len(fits) == 1 else side_by_side([density for density in alone for _ in range(starts)])
    with torch_on_one_thread():
        stepper = svi.MeanField(density, asked.compiled, relative=asked.start == "peaks", repeats=len(fits))
    state = svi.join([fit.state for fit in fits])
    rows = [torch.arange(number * starts, (number + 1) * starts) for number in range(len(fits))]
    going = list(range(len(fits)))

    def rate(iteration: int) -> float:
        return learning_rate(asked, iteration)

    while state.iteration < end and 2 * len(going) > len(fits):
        clock = time.monotonic()
        if asked.births and asked.start == "peaks" and state.iteration in BIRTHS_AT:
            parts = [svi.keep(state, of) for of in rows]
            for number in going:
                channel = fits[number].channel
                parts[number] = births_and_deaths(alone[number], channel, parts[number], asked)
            state = svi.join(parts)
        stretch = min(STRETCH - state.iteration % STRETCH, end - state.iteration)
        with torch_on_one_thread():
            state, losses = stepper.run(state, stretch, rate)
        losses = losses.cpu()
        seconds = (time.monotonic() - clock) / len(going)
        for number in going:
            before = fits[number]
            all_losses = torch.cat([before.losses, losses[:, rows[number]]])
            converged = False if until_converged else None
            if until_converged and state.iteration % WINDOW == 0 and state.iteration > max(BIRTHS_AT):
                converged = has_converged(all_losses, asked.tolerance)
            part = svi.keep(state, rows[number])
            spent = before.seconds + seconds
            fits[number] = replace(before, state=part, losses=all_losses, seconds=spent, converged=converged)
        bar.advance(torch.stack([losses[:, rows[number]].min(1).values for number in going]).mean(0))
        going = [number for number in going if not fits[number].converged]
    return fits
