"""An image read, fitted, and written as a folder of results: ``pyrodrop fit``."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from pyrodrop.inference.draws import Draws
from pyrodrop.results.figures import fit_figures as plots
from pyrodrop.results.figures.posterior_figures import posterior_and_guide
from pyrodrop.results.storage.file_writers import write_figure, write_table, write_tiff
from pyrodrop.results.storage.run_files import begin_run, finish_run, remove_run
from pyrodrop.results.storage.summary import SummarisedImage, SummarisedRun, run_summary
from pyrodrop.results.tables.truth_comparison import compare_with_truth
from pyrodrop.workflows.assumptions import assumptions_in_words
from pyrodrop.workflows.commands.subject import (
    FileSettings,
    Subject,
    check_file_settings,
    read_subject,
    split_settings,
)
from pyrodrop.workflows.fit_settings import Count, FitSettings, fit_settings, number_of_steps, usual_steps
from pyrodrop.workflows.fitting.droplets_of_draws import posterior_table
from pyrodrop.workflows.fitting.fit import fit, load_fit
from pyrodrop.workflows.fitting.fit_result import Fit
from pyrodrop.workflows.output_folder import open_folder
from pyrodrop.workflows.settings import SettingError, device_name

# What is left of the noise of red, green and blue in the saturation of the embedded micrograph is about this.
_EMBEDDED_NOISE = 0.02


def fit_image(
    path: str | None,
    out: str,
    *,
    channel: str | None = None,
    n_droplets: Count | None = None,
    steps: Count | None = None,
    resume: str | None = None,
    posterior: bool = False,
    progress: bool = True,
    **settings: Any,
) -> dict[str, Any]:
    """Read an image, fit one of its channels, and write all results into the folder ``out``.

    Args:
        path: an image file, or None for the embedded micrograph.
        out: the folder.
        channel: hue where not given, as in the post; saturation for the embedded micrograph.
        n_droplets: as for ``pyrodrop.fit``; where not given its default, and the true number for the embedded
            micrograph.
        steps: as for ``pyrodrop.fit``; where not given, 20,000 from the post's start and "auto" from the peaks. With
            ``resume``, 0 writes the results of the checkpoint as it is.
        resume: a checkpoint to go on from, of a fit of the same channel of the same image.
        posterior: also sample the posterior itself, which the fit's guide only stands in for, as ``Fit.posterior``.
        progress: show progress and messages on standard error.
        settings: scale, frame, white and pixel_size_um, as for ``pyrodrop.read_image``, and the others of
            ``pyrodrop.fit``.

    Returns:
        The summary, and where the results are.
    """
    file, given = split_settings(settings)
    subject = read_fit_subject(path, channel, file)
    pixels = subject.pixels  # which may not be there, and is refused before anything is said or written
    steps = usual_steps(given.get("start", FitSettings.start)) if steps is None else steps
    # A run that was ended while it drew figures has all its steps in its checkpoint, and no table yet.
    as_it_is = resume is not None and steps == 0
    if not as_it_is:
        number_of_steps(steps)
    if resume is not None:
        if n_droplets is not None:
            given["n_droplets"] = n_droplets
        begun = _begun(resume, pixels, **given)
        folder = open_folder(out)
        checkpoint = folder / "fit.pt"
        if not as_it_is:
            goes_on = checkpoint.exists() and checkpoint.samefile(resume)
            remove_run(folder, keep=(checkpoint.name,) if goes_on else ())
        fitted = begun if as_it_is else begun.resume(steps, progress=progress, checkpoint=checkpoint)
        draws = fitted.posterior(progress=progress, seed=fitted.settings.seed) if posterior else None
        return write_fit(fitted, subject, folder, draws) | {"results": str(folder)}
    if path is None:
        given.setdefault("error_scale", _EMBEDDED_NOISE)
    if n_droplets is None:
        n_droplets = FitSettings.n_droplets if subject.truth is None else len(subject.truth)
    fit_settings(n_droplets, **given)
    folder = open_folder(out)
    if progress:
        print(f"fitting {subject} (the very first run compiles first)", file=sys.stderr, flush=True)
    # Before the first checkpoint, which would lie beside the table of another run.
    remove_run(folder)
    fitted = fit(pixels, n_droplets, steps=steps, progress=progress, checkpoint=folder / "fit.pt", **given)
    draws = fitted.posterior(progress=progress, seed=fitted.settings.seed) if posterior else None
    return write_fit(fitted, subject, folder, draws) | {"results": str(folder)}


def check_fit_image(
    *, channel: str | None = None, n_droplets: Count | None = None, steps: Count | None = None, **settings: Any
) -> None:
    """Raise ``SettingError`` or ``ImageError`` for settings that no image could be fitted with, on any machine."""
    file, given = split_settings(settings)
    if str(given.get("device", "")).startswith("cuda"):  # needed where the fit will run, which need not be here
        del given["device"]
    fit_settings(FitSettings.n_droplets if n_droplets is None else n_droplets, **given)
    number_of_steps("auto" if steps is None else steps)
    check_file_settings(file)


def read_fit_subject(path: str | None, channel: str | None, file: FileSettings) -> Subject:
    """Read the image to be fitted, as ``read_subject`` does: hue where no channel is named, as in the post."""
    return read_subject(path, channel, file, lambda image: "hue")


def _begun(resume: str, pixels: Tensor, device: str = FitSettings.device, **given: Any) -> Fit:
    """The fit in a checkpoint, which has to be one of the same pixels and keeps its settings."""
    if given:
        raise SettingError(
            f"resume keeps the settings of the checkpoint; leave out {', '.join(sorted(given))}", "resume", *given
        )
    begun = load_fit(resume, device)
    if begun.channel.shape != pixels.shape or not torch.equal(begun.channel, pixels):
        raise SettingError(f"{resume} is a fit of another image, channel or scale; give those it was made with")
    return begun


def write_fit(fit: Fit, subject: Subject, folder: Path, draws: Draws | None = None) -> dict[str, Any]:
    """Write table, summary, checkpoint, losses and figures of a fit, and of its posterior; return the summary."""
    table = fit.table(subject.image.pixel_size_um)
    summary = summarise(fit, subject, table)
    begin_run(folder, _FILES, keep=("fit.pt",))
    fit.save(folder / "fit.pt")
    write_table(table, folder / "droplets.csv")
    losses = pd.DataFrame({"iteration": range(1, len(fit.losses) + 1), "loss": fit.losses.tolist()})
    write_table(losses, folder / "losses.csv", digits=9)
    # Of one draw, as the figure of the prediction: what its droplets are unsure by is far below the noise.
    residual = -fit.sample(1)["diff"][0] / fit.settings.error_scale
    write_tiff(residual.float().cpu().numpy(), folder / "residual.tif")
    for name, draw in _FIGURES.items():
        write_figure(draw(fit, subject, table), folder / f"{name}.png")
    if draws is not None:
        summary |= write_posterior(fit, draws, folder, subject.image.pixel_size_um)
    finish_run(folder, summary)
    return summary


def write_posterior(fit: Fit, draws: Draws, folder: Path, pixel_size_um: float | None) -> dict[str, Any]:
    """Write table and figure of draws of the posterior; return what the summary says of them."""
    table = posterior_table(draws, fit.size, fit.settings.error_scale, pixel_size_um)
    write_table(table, folder / "posterior.csv")
    figure, axes = plots.figure(1, 2)
    pooled = {name: values.flatten(0, 1) for name, values in draws.items()}
    posterior_and_guide(axes, pooled, fit.latent(1_000))
    write_figure(figure, folder / "posterior.png")
    stats = draws.stats
    said = {
        "converged": draws.converged,
        "verdict": draws.verdict(),
        "chains": stats.num_chains,
        "draws": stats.num_samples,
        "largest_r_hat": stats.max_r_hat,
        "smallest_effective_size": stats.min_effective,
    }
    return {"posterior": said}


def summarise(fit: Fit, subject: Subject, table: pd.DataFrame) -> dict[str, Any]:
    """What ``summary.json`` says."""
    results: dict[str, Any] = {
        "start": fit.settings.start,
        "learning_rate": fit.settings.learning_rate,
        "background": float(fit.latent(1_000)["bg"].mean()),
        "noise": fit.settings.error_scale,
        **assumptions_in_words(fit.settings.priors, fit.settings.noise),
        "amplitudes_below_0.05": float((table["amplitude"] < 0.05).mean()),
    }
    if fit.converged is not None:
        results["converged"] = fit.converged
    if fit.agreement is not None:
        results["restarts"] = asdict(fit.agreement)
    if subject.truth is not None:
        results["truth"] = compare_with_truth(table, subject.truth)
    image = SummarisedImage(
        subject.name, fit.size, subject.channel, subject.image.pixel_size_um, subject.image.black_level
    )
    run = SummarisedRun(fit.settings.seed, device_name(fit.settings.device), fit.seconds, fit.losses)
    return run_summary(image, run, fit.settings.n_droplets, results)


def _prediction(fit: Fit, subject: Subject, table: pd.DataFrame) -> Figure:
    height, width = fit.size
    figure, axes = plots.figure(3, 1, panel=(5.0, 4.3 * height / width + 0.3))
    draws = fit.sample(1)
    plots.prediction(axes, draws["val"][0], draws["diff"][0], fit.channel)
    return figure


def _amplitudes(fit: Fit, subject: Subject, table: pd.DataFrame) -> Figure:
    figure, axes = plots.figure()
    plots.amplitudes(axes[0], fit.latent(5)["amplitude"])
    return figure


def _loss(fit: Fit, subject: Subject, table: pd.DataFrame) -> Figure:
    figure, axes = plots.figure()
    plots.loss(axes[0], fit.losses)
    return figure


def _overlay(fit: Fit, subject: Subject, table: pd.DataFrame) -> Figure:
    height, width = fit.size
    figure, axes = plots.figure(panel=(8.0, 8.0 * height / width + 0.3))
    plots.overlay(axes[0], subject.shown, table)
    return figure


_FIGURES: dict[str, Callable[[Fit, Subject, pd.DataFrame], Figure]] = {
    "prediction": _prediction,
    "amplitudes": _amplitudes,
    "loss": _loss,
    "overlay": _overlay,
}
_OF_POSTERIOR = ("posterior.csv", "posterior.png")
_FILES = (
    *("fit.pt", "droplets.csv", "losses.csv", "residual.tif", *_OF_POSTERIOR),
    *(f"{name}.png" for name in _FIGURES),
)
