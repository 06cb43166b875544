"""From an image to a folder of results: ``pyrodrop fit``."""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from pyrodrop.images import Micrograph, read_image
from pyrodrop.images.reading.pixel_size import positive_pixel_size
from pyrodrop.images.reading.white_level import positive_white
from pyrodrop.images.scaling import positive_scale
from pyrodrop.images.simulation.simulate import COLOUR_CHANNEL, embedded
from pyrodrop.results.figures import fit_figures as plots
from pyrodrop.results.storage.file_writers import write_figure, write_table, write_tiff
from pyrodrop.results.storage.run_files import begin_run, finish_run, remove_run
from pyrodrop.results.storage.summary import SummarisedImage, SummarisedRun, run_summary
from pyrodrop.results.tables.truth_comparison import compare_with_truth
from pyrodrop.workflows.fitting.fit import fit, load
from pyrodrop.workflows.fitting.fit_result import Fit
from pyrodrop.workflows.output_folder import open_folder
from pyrodrop.workflows.settings import Count, SettingError, check_settings, steps_wanted

# What is left of the noise of red, green and blue in the saturation of the embedded micrograph is about this.
_EMBEDDED_NOISE = 0.02


@dataclass(frozen=True)
class Subject:
    """What is fitted: a micrograph, one of its channels, and the truth where it is known."""

    image: Micrograph
    name: str
    channel: str
    truth: pd.DataFrame | None = None

    @property
    def pixels(self) -> Tensor:
        """The channel, (H, W)."""
        return self.image.channel(self.channel)


def fit_image(
    path: str | None,
    out: str,
    *,
    channel: str | None = None,
    scale: float = 1.0,
    frame: int | None = None,
    white: float | None = None,
    pixel_size_um: float | None = None,
    resume: str | None = None,
    steps: Count | None = None,
    progress: bool = True,
    device: str = "auto",
    n_droplets: Count | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Read an image, fit one of its channels, and write all results into the folder ``out``.

    Args:
        path: an image file, or None for the embedded micrograph.
        out: the folder.
        channel: hue where not given, as in the post; saturation for the embedded micrograph.
        scale: the image is resized by this first.
        frame, white, pixel_size_um: as for ``pyrodrop.read_image``.
        resume: a checkpoint to go on from, of a fit of the same channel of the same image.
        steps, n_droplets, device, settings: as for ``pyrodrop.fit``; None stands for its default. With ``resume``,
            ``steps=0`` writes the results of the checkpoint as it is.
        progress: show progress and messages on standard error.

    Returns:
        The summary, and where the results are.
    """
    file = {"frame": frame, "white": white, "pixel_size_um": pixel_size_um}
    subject = read_subject(path, channel, scale, **{name: v for name, v in file.items() if v is not None})
    pixels = subject.pixels
    given = {name: value for name, value in settings.items() if value is not None}
    if steps is None:  # the post's start needs the post's 20,000 iterations, the peaks do not
        steps = 20_000 if settings.get("start") == "uniform" else "auto"
    # A run that was ended while it drew figures has all its steps in its checkpoint, and no table yet.
    as_it_is = resume is not None and steps == 0
    if not as_it_is:
        steps_wanted(steps)
    if resume is not None:
        if n_droplets is not None or given:
            named = ", ".join(sorted(given) + ["n_droplets"] * (n_droplets is not None))
            raise SettingError(f"--resume keeps the settings of the checkpoint; leave out {named}")
        begun = load(resume, device)
        if begun.channel.shape != pixels.shape or not torch.equal(begun.channel, pixels):
            raise SettingError(f"{resume} is a fit of another image, channel or scale; give those it was made with")
        folder = open_folder(out)
        checkpoint = folder / "fit.pt"
        if not as_it_is:
            goes_on = checkpoint.exists() and checkpoint.samefile(resume)
            remove_run(folder, keep=(checkpoint.name,) if goes_on else ())
        fitted = begun if as_it_is else begun.resume(steps, progress=progress, checkpoint=checkpoint)
    else:
        if n_droplets is None:
            n_droplets = 500 if subject.truth is None else len(subject.truth)
        if path is None:
            given.setdefault("error_scale", _EMBEDDED_NOISE)
        check_settings(n_droplets=n_droplets, device=device, **given)
        folder = open_folder(out)
        if progress:
            height, width = pixels.shape
            where = f"{subject.name}, {width} x {height} px, {subject.channel}"
            print(f"fitting {where} (the very first run compiles first)", file=sys.stderr, flush=True)
        # Before the first checkpoint, which would lie beside the table of another run.
        remove_run(folder)
        fitted = fit(
            pixels,
            n_droplets,
            steps=steps,
            device=device,
            progress=progress,
            checkpoint=folder / "fit.pt",
            **given,
        )
    return write_fit(fitted, subject, folder) | {"results": str(folder)}


def check_fit_image(
    *,
    channel: str | None = None,
    scale: float = 1.0,
    white: float | None = None,
    pixel_size_um: float | None = None,
    steps: Count | None = None,
    n_droplets: Count | None = None,
    device: str = "auto",
    **settings: Any,
) -> None:
    """Raise ``SettingError`` or ``ImageError`` for settings that no image could be fitted with, on any machine."""
    given = {name: value for name, value in settings.items() if value is not None}
    if not device.startswith("cuda"):  # a GPU is needed where the fit will run, which need not be here
        given["device"] = device
    check_settings(n_droplets=500 if n_droplets is None else n_droplets, **given)
    steps_wanted("auto" if steps is None else steps)
    positive_scale(scale)
    positive_white(white)
    positive_pixel_size(pixel_size_um)


def read_subject(path: str | None, channel: str | None, scale: float, **file: Any) -> Subject:
    """Read the image to be fitted, or make the embedded micrograph."""
    if path is not None:
        return Subject(read_image(path, scale, **file), path, channel or "hue")
    if file:
        raise SettingError("--frame, --white-level and --pixel-size are about a file; give an IMAGE, or leave them out")
    if scale != 1.0:
        raise SettingError(f"--scale is {scale}, but the embedded micrograph has one size; give an IMAGE to scale")
    image, truth = embedded()
    channel = channel or COLOUR_CHANNEL
    return Subject(image, "embedded micrograph", channel, truth if channel == COLOUR_CHANNEL else None)


def write_fit(fit: Fit, subject: Subject, folder: Path) -> dict[str, Any]:
    """Write table, summary, checkpoint, losses and figures of a fit; return the summary."""
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
    finish_run(folder, summary)
    return summary


def summarise(fit: Fit, subject: Subject, table: pd.DataFrame) -> dict[str, Any]:
    """What ``summary.json`` says."""
    results: dict[str, Any] = {
        "start": fit.settings.start,
        "learning_rate": fit.settings.learning_rate,
        "background": float(fit.latent(1_000)["bg"].mean()),
        "noise": fit.settings.error_scale,
        "amplitudes_below_0.05": float((table["amplitude"] < 0.05).mean()),
    }
    if fit.settled is not None:
        results["settled"] = fit.settled
    if fit.agreement is not None:
        results["restarts"] = asdict(fit.agreement)
    if subject.truth is not None:
        results["truth"] = compare_with_truth(table, subject.truth)
    image = SummarisedImage(subject.name, fit.size, subject.channel, subject.image.pixel_size_um)
    run = SummarisedRun(fit.settings.seed, _device_name(fit.settings.device), fit.seconds, fit.losses)
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
    coloured = subject.image.pixels.shape[-1] == 3 and not subject.image.channel_names
    plots.overlay(axes[0], subject.image.pixels if coloured else subject.pixels, table)
    return figure


_FIGURES: dict[str, Callable[[Fit, Subject, pd.DataFrame], Figure]] = {
    "prediction": _prediction,
    "amplitudes": _amplitudes,
    "loss": _loss,
    "overlay": _overlay,
}
_FILES = ("fit.pt", "droplets.csv", "losses.csv", "residual.tif", *(f"{name}.png" for name in _FIGURES))


def _device_name(device: str) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.startswith("cuda") else device
