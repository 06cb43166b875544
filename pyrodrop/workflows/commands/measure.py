"""Images read, measured, and written as folders of results: ``pyrodrop measure``."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from pyrodrop.images import ImageError, Micrograph
from pyrodrop.images.reading.white_level import BRIGHTEST
from pyrodrop.results.figures import check_figures as check_plots
from pyrodrop.results.figures import fit_figures as plots
from pyrodrop.results.figures import size_figures as size_plots
from pyrodrop.results.statistics.histogram import size_histogram
from pyrodrop.results.storage.file_writers import write_figure, write_table, write_tiff
from pyrodrop.results.storage.run_files import begin_run, finish_run
from pyrodrop.results.storage.summary import SummarisedImage, SummarisedRun, run_summary
from pyrodrop.results.tables.truth_comparison import compare_with_truth
from pyrodrop.workflows.commands.subject import Subject, check_file_settings, read_subject, split_settings
from pyrodrop.workflows.measuring.measure import channels_of, measure
from pyrodrop.workflows.measuring.measurement import Measurement
from pyrodrop.workflows.measuring.weights_file import weights_file, weights_in_summary
from pyrodrop.workflows.output_folder import open_folder
from pyrodrop.workflows.settings import SettingError, device_name, pick_device, positive_whole, profiles_to_try, whole
from pyrodrop.workflows.tiles.measure_tiles import LEAST_TILE, measure_tiles

# A loss curve through fewer points says nothing that losses.csv does not.
_FEWEST_LOSSES = 5


def measure_images(paths: Sequence[str], out: str, *, progress: bool = True, **settings: Any) -> dict[str, Any]:
    """Measure images one after the other: one into the folder ``out``, several into a folder of it each.

    Args:
        paths: image files; none stands for the embedded micrograph.
        out: the folder.
        progress: say on standard error which image is being measured.
        settings: as for ``measure_image``.

    Returns:
        The summary of one image; of several, by name their counts, and under ``failed`` what went wrong with those
        that could not be measured.
    """
    if len(paths) <= 1:
        return measure_image(paths[0] if paths else None, out, progress=progress, **settings)
    folder = open_folder(out)
    taken: dict[str, int] = {}
    done: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for path in paths:
        stem = Path(path).stem
        taken[stem] = taken.get(stem, 0) + 1
        name = stem if taken[stem] == 1 else f"{stem}-{taken[stem]}"
        try:
            summary = measure_image(path, str(folder / name), progress=progress, **settings)
        except ImageError as error:
            failed[path] = str(error)
        else:
            done[name] = {key: summary[key] for key in ("count", "profile", "seconds")}
    return {"images": done, "failed": failed, "results": str(folder)}


def measure_image(
    path: str | None,
    out: str,
    *,
    channel: str | None = None,
    profile: str = "auto",
    seed: int = 0,
    device: str = "auto",
    tiles: int | None = None,
    tile_workers: int | None = None,
    weights: str | None = None,
    progress: bool = True,
    **file: Any,
) -> dict[str, Any]:
    """Read an image, measure its droplets, and write all results into the folder ``out``.

    Args:
        path: an image file, or None for the embedded micrograph.
        out: the folder.
        channel: name of the channel to measure, or "all" for all of the file's at once; gray where not given, the
            first in a file with channels of its own; saturation for the embedded micrograph.
        profile, seed, device: as for ``pyrodrop.measure``.
        tiles: longest side in px of the tiles that the image is measured in, where it does not fit into memory; see
            ``measure_tiles``.
        tile_workers: processes that measure the tiles; one a core where not given.
        weights: as for ``pyrodrop.measure``.
        progress: say on standard error what is being done.
        file: scale, frame, white and pixel_size_um, as for ``pyrodrop.read_image``; white is "brightest" where not
            given, since only proportions matter here.

    Returns:
        The summary, and where the results are.
    """
    read, others = split_settings(file)
    if others:
        raise TypeError(f"measure_image() got unexpected arguments: {', '.join(others)}")
    where = str(pick_device(device))
    if tiles is not None:
        if path is None or read.pop("scale", 1.0) != 1.0:
            raise SettingError("tiles are for an IMAGE, without scale; give one, or leave tiles out", "tiles", "scale")
        if positive_whole("tiles", tiles) < LEAST_TILE:
            raise SettingError(f"tiles is {tiles}, expected at least {LEAST_TILE} px, to hold droplets", "tiles")
        how: dict[str, Any] = {"profile": profile, "channel": channel, "seed": seed, "progress": progress, **read}
        how |= {"weights": weights, "device": device}
        workers = _cores() if tile_workers is None else positive_whole("tile_workers", tile_workers)
        return measure_tiles(path, out, tile_px=tiles, workers=workers, **how)
    if tile_workers is not None:
        raise SettingError("tile_workers measure the tiles of one image; give tiles, too", "tile_workers", "tiles")
    if path is not None:
        read["white"] = read.get("white") or BRIGHTEST
    subject = read_subject(path, channel, read, _usual_channel)
    subject_pixels = subject.image if subject.channel == "all" else subject.pixels
    seed, network = whole("seed", seed), weights_file(weights)
    profiles_to_try(profile)
    channels_of(subject_pixels)  # refuses what cannot be measured, before anything is said or written
    folder = open_folder(out)
    if progress:
        print(f"measuring {subject} (the very first run compiles first)", file=sys.stderr, flush=True)
    size_um = subject.image.pixel_size_um
    how = {"profile": profile, "pixel_size_um": size_um, "seed": seed, "weights": weights, "device": device}
    measurement = measure(subject_pixels, **how)
    return write_measurement(measurement, subject, folder, network, where) | {"results": str(folder)}


def check_measure_image(
    *,
    channel: str | None = None,
    profile: str = "auto",
    seed: int = 0,
    device: str = "auto",
    tiles: int | None = None,
    weights: str | None = None,
    **file: Any,
) -> None:
    """Raise ``SettingError`` or ``ImageError`` for settings that no image could be measured with, one of many."""
    if tiles is not None:
        raise SettingError("tiles are for one image, on all cores; measure each large image by itself", "tiles")
    profiles_to_try(profile)
    whole("seed", seed)
    if not device.startswith("cuda"):  # needed where the measuring will be done, which need not be here
        pick_device(device)
    weights_file(weights)
    check_file_settings(split_settings(file)[0])


def _usual_channel(image: Micrograph) -> str:
    return "gray" if "gray" in image.channels else image.channels[0]


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def write_measurement(
    measurement: Measurement, subject: Subject, folder: Path, weights: Path, device: str
) -> dict[str, Any]:
    """Write table, summary, state, images and figures of a measurement; return the summary."""
    summary = summarise(measurement, subject.name, subject.channel, device) | weights_in_summary(weights)
    if subject.image.black_level:
        summary["black_level"] = subject.image.black_level
    if subject.truth is not None:
        summary["truth"] = compare_with_truth(measurement.table, subject.truth)
    begin_run(folder, _FILES)
    measurement.save(folder / "fit.pt")
    write_table(measurement.table, folder / "droplets.csv")
    write_table(measurement.candidates, folder / "candidates.csv")
    losses = pd.DataFrame({"iteration": range(1, len(measurement.losses) + 1), "loss": measurement.losses.tolist()})
    write_table(losses, folder / "losses.csv", digits=9)
    for file, pixels in (("image.tif", measurement.channels), ("residual.tif", measurement.residual_in_noise)):
        write_tiff(pixels.float().numpy(), folder / file)
    for figure, draw in _FIGURES.items():
        if figure != "loss" or len(measurement.losses) >= _FEWEST_LOSSES:
            write_figure(draw(measurement, subject.image), folder / f"{figure}.png")
    finish_run(folder, summary)
    return summary


def summarise(measurement: Measurement, name: str, channel: str, device: str = "cpu") -> dict[str, Any]:
    """What ``summary.json`` says."""
    results = {
        "count": measurement.count.as_dict(),
        "sizes": measurement.sizes.as_dict() | {"unit": measurement.sizes.unit},
        "profile": measurement.profile,
        "log_evidence": measurement.evidence,
        "shape": measurement.shape_by_name,
        "background": float(measurement.background.double().mean()),
        "noise": float(measurement.noise.mean()),
        "reduced_chi_square": float(measurement.reduced_chi_square.mean()),
        "hot_pixels": len(measurement.hot_pixels),
        "efficiency": measurement.efficiency.as_dict(),
        "warnings": list(measurement.warnings),
    }
    return run_summary(
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
    plots.overlay(axes[0], shown, measurement.table)
    return figure


def _prediction(measurement: Measurement, image: Micrograph) -> Figure:
    height, width = measurement.size
    figure, axes = plots.figure(3, 1, panel=(5.0, 4.3 * height / width + 0.3))
    plots.prediction(axes, measurement.prediction[0], measurement.residual[0], measurement.channels[0])
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
_TABLES = ("droplets.csv", "candidates.csv", "losses.csv")
_FILES = ("fit.pt", *_TABLES, "image.tif", "residual.tif", *(f"{name}.png" for name in _FIGURES))
