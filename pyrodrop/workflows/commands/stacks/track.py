"""A stack read, its droplets followed through the frames, and written as a folder of results: ``pyrodrop track``."""

import importlib.util
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import pyrodrop
from pyrodrop.images import ImageError
from pyrodrop.results.exports.arviz_data import to_arviz, write_netcdf
from pyrodrop.results.exports.track_files import LAPTRACK, NAPARI, TRACKMATE, write_track_files
from pyrodrop.results.figures import fit_figures as plots
from pyrodrop.results.figures import track_figures
from pyrodrop.results.page.embedded_pictures import encoded, gray_picture
from pyrodrop.results.page.track_report import TRACK_REPORT, write_track_report
from pyrodrop.results.storage.file_writers import write_figure, write_table
from pyrodrop.results.storage.run_files import add_to_run, begin_run, finish_run
from pyrodrop.workflows.commands.subject import check_file_settings, split_settings
from pyrodrop.workflows.commands.where_to_look import (
    LookSettings,
    Mask,
    check_look,
    look_in_summary,
    mask_of,
    split_look,
)
from pyrodrop.workflows.measuring.weights_file import weights_file, weights_in_summary
from pyrodrop.workflows.output_folder import open_folder
from pyrodrop.workflows.settings import SettingError, device_name, pick_device, positive, profiles_to_try, whole
from pyrodrop.workflows.tracking.measured_frames import kept_folder
from pyrodrop.workflows.tracking.stack import FrameStack, pixels_of, stack_of_path
from pyrodrop.workflows.tracking.track import track
from pyrodrop.workflows.tracking.tracks import Tracks

# The page holds at most so many frames, with at most so many px on their longer side: some MB.
_MOST_PICTURES, _LONGEST = 60, 560
_TABLES = ("tracks.csv", "events.csv", "rates.csv", "population.csv")
_FIGURES = ("population.png", "rates.png", "tracks.png")
_DRAWS = "process.nc"
_FILES = (*_TABLES, *_FIGURES, NAPARI, *LAPTRACK, TRACKMATE, _DRAWS)


def track_stack(
    path: str,
    out: str,
    *,
    interval_s: float | None = None,
    channel: str | None = None,
    profile: str = "auto",
    polarity: str = "both",
    weights: str | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
    **further: Any,
) -> dict[str, Any]:
    """Follow the droplets of a stack through its frames, and write all results into the folder ``out``.

    Args:
        path: a stack, or a folder of frames; see ``pyrodrop.track``.
        out: the folder. The tables of measured frames are kept in it, in ``frames``, so that a run that was ended goes
            on where it was.
        interval_s: seconds between frames; the file's where not given.
        channel, profile, polarity, weights, device: as for ``pyrodrop.measure``.
        seed: of all random numbers.
        progress: say on standard error what is being done.
        further: scale, white and pixel_size_um, as for ``pyrodrop.read_image``; mask, region and exclude, as in
            ``LookSettings``; workers or scheduler, as for ``pyrodrop.track``.

    Returns:
        The summary, where the results are, and under ``failed`` the frames that could not be read.
    """
    started = time.perf_counter()
    read, others = split_settings(further)
    look, others = split_look(others)
    check_look(look)
    by = {name: others.pop(name) for name in ("workers", "scheduler") if name in others}
    if others:
        raise TypeError(f"track_stack() got unexpected arguments: {', '.join(sorted(others))}")
    if read.pop("frame", None) is not None:
        raise SettingError("frame is one picture, and a stack has all of its own; leave it out", "frame")
    interval_s = None if interval_s is None else positive("interval_s", interval_s)
    seed, network = whole("seed", seed), weights_file(weights)
    where = str(pick_device(device))
    profiles_to_try(profile)
    check_file_settings(read)
    reading: dict[str, Any] = {name: value for name, value in read.items() if value is not None} | {"channel": channel}
    stack = stack_of_path(path, **reading)
    measuring: dict[str, Any] = {"profile": profile, "polarity": polarity, "weights": weights, "device": device} | by
    looked_at = _looked_at(stack, look, read.get("scale") or 1.0)
    if looked_at is not None:
        measuring["mask"] = looked_at
    folder = open_folder(out)
    tracks = track(
        path, interval_s=interval_s, keep=kept_folder(folder), seed=seed, progress=progress, **reading, **measuring
    )
    begin_run(folder, _FILES)
    summary = {
        "version": pyrodrop.__version__,
        "seed": seed,
        "device": device_name(where),
        "image": path,
        "width": tracks.size[1],
        "height": tracks.size[0],
        "channel": channel or "gray",
        "pixel_size_um": tracks.pixel_size_um,
        **tracks.summary(),
        **weights_in_summary(network),
        **({} if looked_at is None else {"looked_at": look_in_summary(look, looked_at, tracks.pixel_size_um)}),
        "seconds": round(time.perf_counter() - started, 3),
    }
    _write(tracks, folder)
    finish_run(folder, summary)
    write_track_report(folder, summary, tracks.table, tracks.events, _pictures(stack, tracks.unreadable))
    add_to_run(folder, [TRACK_REPORT])
    failed = {stack.names[number]: why for number, why in tracks.unreadable.items()}
    return summary | {"failed": failed, "results": str(folder)}


def _looked_at(stack: FrameStack, look: LookSettings, scale: float) -> Mask | None:
    """Where all frames are looked at, (H, W), by the size of the first that can be read; None for everywhere."""
    if not any(look.values()):
        return None
    for number in range(len(stack.names)):
        try:
            pixels, _ = pixels_of(stack.read(number))
        except ImageError:
            continue
        height, width = pixels.size if hasattr(pixels, "channels") else pixels.shape[-2:]
        return mask_of(look, (int(height), int(width)), scale)
    return None  # and then no frame is measured


def _write(tracks: Tracks, folder: Path) -> None:
    """Write tables, figures and what other programs read."""
    for name, table in zip(_TABLES, (tracks.table, tracks.events, tracks.rates, tracks.population), strict=True):
        write_table(table, folder / name)
    for name, figure in _figures(tracks).items():
        write_figure(figure, folder / name)
    write_track_files(tracks.table, tracks.events, folder, tracks.size, tracks.interval_s, tracks.pixel_size_um)
    if tracks.process_draws and importlib.util.find_spec("arviz") is not None:  # of the extra bayes
        write_netcdf(to_arviz(tracks.process_draws), folder / _DRAWS)


def _figures(tracks: Tracks) -> Mapping[str, Figure]:
    population, axes = plots.figure(1, 3, panel=(4.2, 3.4))
    for ax, name, label in zip(axes, ("n_droplets", "", "d32_px"), ("droplets", "", "D[3,2] / px"), strict=True):
        if name:
            track_figures.curve(ax, tracks.population, name, label)
        else:
            track_figures.growth(ax, tracks.population, tracks.coarsening)
    rates, (of_rates,) = plots.figure()
    track_figures.rates(of_rates, tracks.rates)
    height, width = tracks.size
    ways, (of_ways,) = plots.figure(panel=(8.0, 8.0 * height / width + 0.3))
    track_figures.trails(of_ways, tracks.table, tracks.size)
    return dict(zip(_FIGURES, (population, rates, ways), strict=True))


def _pictures(stack: FrameStack, unreadable: Mapping[int, str]) -> dict[int, str]:
    """Some frames for the page, evenly over the stack, read one at a time."""
    readable = [number for number in range(len(stack.names)) if number not in unreadable]
    chosen = np.unique(np.linspace(0, len(readable) - 1, min(_MOST_PICTURES, len(readable))).round().astype(int))
    pictures: dict[int, str] = {}
    for place in chosen:
        number = readable[int(place)]
        try:
            pixels, _ = pixels_of(stack.read(number))
        except (ImageError, OSError):  # gone since it was measured: the page can do without
            continue
        channel = pixels if hasattr(pixels, "dim") else pixels.channel(pixels.channels[0])
        pictures[number] = encoded(gray_picture(channel.numpy(), _LONGEST))
    return pictures
