"""The folder that a measurement is written into: its tables, numbers, state, images and figures."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pyrodrop.images import Micrograph
from pyrodrop.results.figures import check_figures as check_plots
from pyrodrop.results.figures import fit_figures as plots
from pyrodrop.results.figures import size_figures as size_plots
from pyrodrop.results.statistics.histogram import size_histogram
from pyrodrop.results.storage.file_writers import EDITS, LOOKED_AT, write_figure, write_mask, write_table, write_tiff
from pyrodrop.results.storage.run_files import begin_run, finish_run
from pyrodrop.results.storage.summary import SummarisedImage, SummarisedRun, run_summary
from pyrodrop.results.tables.truth_comparison import compare_with_truth
from pyrodrop.workflows.assumptions import assumptions_in_words
from pyrodrop.workflows.commands.subject import Subject
from pyrodrop.workflows.commands.where_to_look import LookSettings, look_in_summary
from pyrodrop.workflows.measuring.editing.record import edits_in_rows, edits_in_summary
from pyrodrop.workflows.measuring.measurement import Measurement
from pyrodrop.workflows.measuring.reported import shared_sd, unfitted_in
from pyrodrop.workflows.measuring.rules import EVERYTHING
from pyrodrop.workflows.settings import device_name

# A loss curve through fewer points says nothing that losses.csv does not.
_FEWEST_LOSSES = 5


def write_measurement(
    measurement: Measurement,
    subject: Subject,
    folder: Path,
    more: Mapping[str, Any],
    look: LookSettings | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """Write table, summary, state, images and figures of a measurement; return the summary, with more to say."""
    summary = summarise(measurement, subject.name, subject.channel, look, device) | dict(more)
    if subject.image.black_level:
        summary["black_level"] = subject.image.black_level
    if subject.truth is not None and measurement.rules == EVERYTHING:
        summary["truth"] = compare_with_truth(measurement.table, _in_sight(subject.truth, measurement))
    begin_run(folder, _FILES)
    measurement.save(folder / "fit.pt")
    write_table(measurement.table, folder / "droplets.csv")
    write_table(measurement.candidates, folder / "candidates.csv")
    losses = pd.DataFrame({"iteration": range(1, len(measurement.losses) + 1), "loss": measurement.losses.tolist()})
    write_table(losses, folder / "losses.csv", digits=9)
    for file, pixels in (("image.tif", measurement.channels), ("residual.tif", measurement.residual_in_noise)):
        write_tiff(pixels.float().numpy(), folder / file)
    if measurement.looked_at is not None:
        write_mask(measurement.looked_at, folder / LOOKED_AT)
    if measurement.edits:
        write_table(pd.DataFrame(edits_in_rows(measurement.edits)), folder / EDITS)
    for figure, draw in _FIGURES.items():
        if figure != "loss" or len(measurement.losses) >= _FEWEST_LOSSES:
            write_figure(draw(measurement, subject.image), folder / f"{figure}.png")
    finish_run(folder, summary)
    return summary


def _in_sight(truth: pd.DataFrame, measurement: Measurement) -> pd.DataFrame:
    """The true droplets whose centres lie where the image was looked at."""
    if measurement.looked_at is None:
        return truth
    column, row = (
        np.clip(np.round(truth[name].to_numpy()).astype(int), 0, side - 1)
        for name, side in (("x_px", measurement.size[1]), ("y_px", measurement.size[0]))
    )
    return truth[measurement.looked_at[row, column]]


def summarise(
    measurement: Measurement, name: str, channel: str, look: LookSettings | None = None, device: str = "cpu"
) -> dict[str, Any]:
    """What ``summary.json`` says."""
    said: dict[str, Any] = {}
    if measurement.looked_at is not None:
        said["looked_at"] = look_in_summary(look or {}, measurement.looked_at, measurement.pixel_size_um)
    if measurement.rules != EVERYTHING:
        said["rules"] = measurement.rules.as_dict()
    if measurement.edits:
        said["edits"] = edits_in_summary(measurement.edits)
    results = said | {
        "count": measurement.count.as_dict(),
        "shared_doubt": shared_sd(),
        "unfitted": unfitted_in(measurement.droplets).as_dict(),
        "sizes": measurement.sizes.as_dict() | {"unit": measurement.sizes.unit},
        "kinds": measurement.kinds.as_dicts(),
        "profile": measurement.profile,
        "log_evidence": measurement.evidence,
        "shape": measurement.shape_by_name,
        "background": float(measurement.background.double().mean()),
        "noise": float(measurement.noise.mean()),
        **assumptions_in_words(measurement.fitted.scales.priors, measurement.fitted.scales.family),
        "reduced_chi_square": float(measurement.reduced_chi_square.mean()),
        "hot_pixels": len(measurement.hot_pixels),
        "efficiency": measurement.efficiency.as_dict(),
        **({"other_channels": others} if (others := measurement.other_channels.as_dict()) else {}),
        "warnings": list(measurement.warnings),
    }
    return {"trust": measurement.trust.as_dict()} | run_summary(
        SummarisedImage(name, measurement.size, channel, measurement.pixel_size_um),
        SummarisedRun(measurement.seed, device_name(device), measurement.seconds, measurement.losses),
        measurement.n_droplets,
        results,
    )


def _overlay(measurement: Measurement, image: Micrograph) -> Figure:
    height, width = measurement.size
    figure, axes = plots.figure(panel=(8.0, 8.0 * height / width + 0.3))
    pixels = image.pixels
    shown = pixels if pixels.shape[-1] == 3 and not image.channel_names else measurement.channels[0]
    plots.overlay(axes[0], shown, measurement.table, measurement.looked_at)
    return figure


def _prediction(measurement: Measurement, image: Micrograph) -> Figure:
    height, width = measurement.size
    figure, axes = plots.figure(3, 1, panel=(5.0, 4.3 * height / width + 0.3))
    residual = measurement.residual[0]
    if measurement.image.looked_at is not None:
        residual = residual * measurement.image.looked_at
    plots.prediction(axes, measurement.prediction[0], residual, measurement.channels[0])
    return figure


def _amplitudes(measurement: Measurement, image: Micrograph) -> Figure:
    figure, axes = plots.figure()
    plots.amplitudes(axes[0], measurement.draws["amplitude"])
    return figure


def _loss(measurement: Measurement, image: Micrograph) -> Figure:
    figure, axes = plots.figure()
    plots.loss(axes[0], measurement.losses)
    return figure


def _residual(measurement: Measurement, image: Micrograph) -> Figure:
    height, width = measurement.size
    figure, axes = plots.figure(panel=(8.0, 8.0 * height / width + 0.3))
    check_plots.residuals(axes[0], measurement.residual_map, measurement.image_fit)
    return figure


def _sizes(measurement: Measurement, image: Micrograph) -> Figure:
    figure, axes = plots.figure()
    binned = size_histogram(
        2 * measurement.draws["radius_px"].double().numpy(),
        measurement.presence.numpy(),
        pixel_size_um=measurement.pixel_size_um,
        seed=measurement.seed,
    )
    is_half_height = measurement.profile != "gaussian" or "sigma_px" in measurement.draws
    ends = "at half height" if is_half_height else "of one standard deviation"
    size_plots.histogram(axes[0], binned, measurement.sizes, ends)
    return figure


def _count(measurement: Measurement, image: Micrograph) -> Figure:
    figure, axes = plots.figure()
    size_plots.count(axes[0], measurement.count)
    return figure


_FIGURES: dict[str, Callable[[Measurement, Micrograph], Figure]] = {
    "overlay": _overlay,
    "residual": _residual,
    "sizes": _sizes,
    "count": _count,
    "prediction": _prediction,
    "amplitudes": _amplitudes,
    "loss": _loss,
}
_TABLES = ("droplets.csv", "candidates.csv", "losses.csv", EDITS)
_FILES = ("fit.pt", *_TABLES, "image.tif", "residual.tif", LOOKED_AT, *(f"{name}.png" for name in _FIGURES))
