"""From images to folders of results: ``pyrodrop measure``."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from pyrodrop.images import ImageError, Micrograph, read_image
from pyrodrop.images.reading.pixel_size import positive_pixel_size
from pyrodrop.images.reading.white_level import positive_white
from pyrodrop.images.scaling import positive_scale
from pyrodrop.images.simulation.simulate import COLOUR_CHANNEL, embedded
from pyrodrop.results.figures import check_figures as check_plots
from pyrodrop.results.figures import fit_figures as plots
from pyrodrop.results.figures import size_figures as size_plots
from pyrodrop.results.statistics.histogram import size_histogram
from pyrodrop.results.storage.file_writers import write_figure, write_table, write_tiff
from pyrodrop.results.storage.run_files import begin_run, finish_run
from pyrodrop.results.storage.summary import SummarisedImage, SummarisedRun, run_summary
from pyrodrop.results.tables.truth_comparison import compare_with_truth
from pyrodrop.workflows.measuring.measure import channels_of, measure
from pyrodrop.workflows.measuring.measurement import Measurement
from pyrodrop.workflows.output_folder import open_folder
from pyrodrop.workflows.settings import SettingError, pick_device, profiles_to_try, whole
from pyrodrop.workflows.tiles.measure_tiles import measure_tiles

EMBEDDED = "embedded micrograph"


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
    scale: float = 1.0,
    frame: int | None = None,
    white: float | str | None = None,
    pixel_size_um: float | None = None,
    profile: str = "auto",
    seed: int | None = None,
    device: str = "auto",
    tiles: int | None = None,
    tile_workers: int | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Read an image, measure its droplets, and write all results into the folder ``out``.

    Args:
        path: an image file, or None for the embedded micrograph.
        out: the folder.
        channel: name of the channel to measure, or "all" for all of the file's at once; gray where not given, the
            first in a file with channels of its own; saturation for the embedded micrograph.
        scale, frame: as for ``read_image``.
        white: as for ``read_image``; "brightest" where not given, since only proportions matter here.
        pixel_size_um: side of a pixel of the file in micrometres, else what the file says.
        profile, seed: as for ``pyrodrop.measure``.
        device: "auto" or "cpu"; measuring runs on the CPU.
        tiles: longest side in px of the tiles that the image is measured in, where it does not fit into memory; see
            ``measure_tiles``.
        tile_workers: processes that measure the tiles; one a core where not given.
        progress: say on standard error what is being done.

    Returns:
        The summary, and where the results are.
    """
    if pick_device(device).type != "cpu" and device != "auto":
        raise SettingError(f"device is {device!r}, but measuring runs on the CPU; use --device cpu or auto")
    if tiles is not None:
        if path is None or scale != 1.0:
            raise SettingError("--tiles is for an IMAGE, without --scale; give one, or leave --tiles out")
        return measure_tiles(
            path,
            out,
            tile_px=tiles,
            profile=profile,
            channel=channel,
            frame=frame,
            white=white,
            pixel_size_um=pixel_size_um,
            seed=0 if seed is None else seed,
            workers=_cores() if tile_workers is None else tile_workers,
            progress=progress,
        )
    if tile_workers is not None:
        raise SettingError("--workers measure the tiles of one image; give --tiles, too, or leave --workers out")
    truth = None
    if path is None:
        if scale != 1.0 or frame is not None or white is not None:
            raise SettingError("--scale, --frame and --white-level are for a file; give an IMAGE, or leave them out")
        image, truth = embedded()
        channel = channel or COLOUR_CHANNEL
    else:
        image = read_image(path, scale, frame=frame, white=white or "brightest", pixel_size_um=pixel_size_um)
        channel = channel or ("gray" if "gray" in image.channels else image.channels[0])
    subject = image if channel == "all" else image.channel(channel)
    seed = whole("seed", 0 if seed is None else seed)
    channels_of(subject)  # refuses what cannot be measured, before anything is said or written
    folder = open_folder(out)
    if progress:
        height, width = image.size
        where = f"{path or EMBEDDED}, {width} x {height} px, {channel}"
        print(f"measuring {where} (the very first run compiles first)", file=sys.stderr, flush=True)
    made = measure(subject, profile=profile, pixel_size_um=image.pixel_size_um, seed=seed)
    compared = None if truth is None or channel != COLOUR_CHANNEL else compare_with_truth(made.table, truth)
    return write_measurement(made, image, path or EMBEDDED, channel, folder, compared) | {"results": str(folder)}


def check_measure_image(
    *,
    channel: str | None = None,
    scale: float = 1.0,
    white: float | str | None = None,
    pixel_size_um: float | None = None,
    profile: str = "auto",
    seed: int | None = None,
    device: str = "auto",
    tiles: int | None = None,
) -> None:
    """Raise ``SettingError`` or ``ImageError`` for settings that no image could be measured with, one of many."""
    if tiles is not None:
        raise SettingError("tiles are for one image, on all cores; measure each large image by itself, with --tiles")
    profiles_to_try(profile)
    whole("seed", 0 if seed is None else seed)
    pick_device(device)
    positive_scale(scale)
    positive_white(white)
    positive_pixel_size(pixel_size_um)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def write_measurement(
    made: Measurement,
    image: Micrograph,
    name: str,
    channel: str,
    folder: Path,
    truth: dict[str, float | int | None] | None = None,
) -> dict[str, Any]:
    """Write table, summary, state, images and figures of a measurement; return the summary."""
    summary = summarise(made, name, channel)
    if truth is not None:
        summary["truth"] = truth
    begin_run(folder, _FILES)
    made.save(folder / "fit.pt")
    write_table(made.table, folder / "droplets.csv")
    losses = pd.DataFrame({"iteration": range(1, len(made.losses) + 1), "loss": made.losses.tolist()})
    write_table(losses, folder / "losses.csv", digits=9)
    for file, pixels in (("image.tif", made.channels), ("residual.tif", made.residual_in_noise)):
        write_tiff(pixels.float().numpy(), folder / file)
    for figure, draw in _FIGURES.items():
        write_figure(draw(made, image), folder / f"{figure}.png")
    finish_run(folder, summary)
    return summary


def summarise(made: Measurement, name: str, channel: str) -> dict[str, Any]:
    """What ``summary.json`` says."""
    results = {
        "count": made.count.as_dict(),
        "sizes": made.sizes.as_dict() | {"unit": made.sizes.unit},
        "profile": made.profile,
        "log_evidence": made.evidence,
        "shape": made.shape_by_name,
        "background": float(made.background.double().mean()),
        "noise": float(made.noise.mean()),
        "reduced_chi_square": float(made.reduced_chi_square.mean()),
        "warnings": list(made.warnings),
    }
    return run_summary(
        SummarisedImage(name, made.size, channel, made.pixel_size_um),
        SummarisedRun(made.seed, "cpu", made.seconds, made.losses),
        int((made.presence >= 0.5).sum()),
        results,
    )


def _overlay(made: Measurement, image: Micrograph) -> Figure:
    height, width = made.size
    figure, axes = plots.figure(panel=(8.0, 8.0 * height / width + 0.3))
    pixels = image.pixels
    shown = pixels if pixels.shape[-1] == 3 and not image.channel_names else made.channels[0]
    likely = made.table[made.table["presence"] >= 0.5]
    plots.overlay(axes[0], shown, likely)
    return figure


def _prediction(made: Measurement, image: Micrograph) -> Figure:
    height, width = made.size
    figure, axes = plots.figure(3, 1, panel=(5.0, 4.3 * height / width + 0.3))
    plots.prediction(axes, made.prediction[0], made.residual[0], made.channels[0])
    return figure


def _amplitudes(made: Measurement, image: Micrograph) -> Figure:
    figure, axes = plots.figure()
    plots.amplitudes(axes[0], made.draws["amplitude"])
    return figure


def _loss(made: Measurement, image: Micrograph) -> Figure:
    figure, axes = plots.figure()
    plots.loss(axes[0], made.losses)
    return figure


def _residual(made: Measurement, image: Micrograph) -> Figure:
    height, width = made.size
    figure, axes = plots.figure(panel=(8.0, 8.0 * height / width + 0.3))
    check_plots.residuals(axes[0], made.residual_map, made.image_fit)
    return figure


def _sizes(made: Measurement, image: Micrograph) -> Figure:
    figure, axes = plots.figure()
    binned = size_histogram(
        2 * made.draws["radius_px"].double().numpy(),
        made.presence.numpy(),
        pixel_size_um=made.pixel_size_um,
        seed=made.seed,
    )
    size_plots.histogram(axes[0], binned, made.sizes)
    return figure


def _count(made: Measurement, image: Micrograph) -> Figure:
    figure, axes = plots.figure()
    size_plots.count(axes[0], made.count)
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
_FILES = ("fit.pt", "droplets.csv", "losses.csv", "image.tif", "residual.tif", *(f"{name}.png" for name in _FIGURES))
