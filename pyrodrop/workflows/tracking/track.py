"""Droplets through time: a stack of frames to tracks, events and rates."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pyrodrop.images import ImageError
from pyrodrop.workflows.settings import SettingError, positive, whole
from pyrodrop.workflows.tracking.measured_frames import measured_frames
from pyrodrop.workflows.tracking.paths.detections import detections_of
from pyrodrop.workflows.tracking.paths.following import follow
from pyrodrop.workflows.tracking.stack import stack_of_frames, stack_of_path
from pyrodrop.workflows.tracking.tracks import Tracks

# What says how a file is read; all else is about measuring.
_READING = ("channel", "scale", "white", "pixel_size_um")
# What says who measures the frames.
_WORKERS = ("workers", "scheduler")


def track(
    stack: Any,
    *,
    interval_s: float | None = None,
    pixel_size_um: float | None = None,
    size: tuple[int, int] | None = None,
    missing: Sequence[int] = (),
    keep: str | os.PathLike[str] | None = None,
    seed: int = 0,
    progress: bool = False,
    **measuring: Any,
) -> Tracks:
    """Follow the droplets of a stack through its frames: how they move, grow, merge, come and go, and how sure that is.

    Each frame is measured (``pyrodrop.measure``). Which detections are the same droplet is inferred by a model of
    paths (``pyrodrop.models.paths``), of which diffusion, drift and rates are learnt from the stack itself: no radius
    of search is asked for. Links are those of the best assignment, and have the share of drawn assignments that hold
    them as their probability.

    Args:
        stack: a TIFF, OME-TIFF or ND2 stack, a video, or a folder of images, by its name; or a sequence of frames,
            (H, W) arrays, tensors, micrographs or measurements, None for one that is missing; or a table of what was
            measured already, a row a droplet and frame: frame, x_px, y_px, radius_px, and where known their _sd,
            amplitude, amplitude_sd and presence.
        interval_s: seconds between frames; the file's where not given.
        pixel_size_um: side of a pixel in micrometres; the file's where not given.
        size: height and width of a frame in px, of a table; the extent of its centres where not given.
        missing: numbers of the frames of a table that could not be read.
        keep: folder in which the tables of measured frames are kept, so that a run that was ended goes on.
        seed: of all random numbers.
        progress: say on standard error which frame is being measured.
        measuring: channel, scale and white of a file's frames, and all that ``pyrodrop.measure`` takes. Of a file or
            folder also workers, how many processes measure its frames, or scheduler, of Dask, as for
            ``pyrodrop batch``.

    Returns:
        ``Tracks``: ``table`` has a row a droplet and frame, ``events`` what became of them, ``rates`` how fast each
        grows and moves, ``population`` number and mean sizes of each frame, ``coarsening`` the exponent of growth.

    Raises:
        ImageError: the stack cannot be read, or fewer than two of its frames can.
        SettingError: a setting is out of its range, a table lacks a column, or there is no droplet.

    Example:
        >>> import pandas as pd, pyrodrop
        >>> rows = [(t, 20 * k + t, 30.0, 5 + k + 0.1 * t) for t in range(8) for k in range(3)]
        >>> table = pd.DataFrame(rows, columns=["frame", "x_px", "y_px", "radius_px"])
        >>> tracks = pyrodrop.track(table, size=(60, 80), interval_s=2.0)
        >>> tracks.n_tracks, tracks.rates["dr_dt_px_per_frame"].round(2).tolist()
        (3, [0.1, 0.1, 0.1])
    """
    seed = whole("seed", seed)
    interval_s = None if interval_s is None else positive("interval_s", interval_s)
    pixel_size_um = None if pixel_size_um is None else positive("pixel_size_um", pixel_size_um)
    import pandas as pd

    if isinstance(stack, pd.DataFrame):
        if measuring:
            raise SettingError(f"{', '.join(measuring)}: about measuring, and a table is measured; leave that out")
        _check_table(size, missing)
        frames = None if not len(missing) else max(int(stack["frame"].max()) if "frame" in stack else 0, *missing) + 1
        found = follow(detections_of(stack, size, frames, missing), seed)
        told = {int(number): "said to be missing" for number in missing}
        return Tracks(found, seed, interval_s, pixel_size_um, told)
    if size is not None or len(missing):
        raise SettingError("size and missing are of a table; leave them out, or give None for a missing frame", "size")
    reading: dict[str, Any] = {}
    if isinstance(stack, str | os.PathLike):
        reading = {name: measuring.pop(name) for name in _READING if name in measuring}
        frames_of = stack_of_path(stack, pixel_size_um=pixel_size_um, **reading)
    else:
        if not hasattr(stack, "__len__") or not hasattr(stack, "__getitem__"):
            raise SettingError(
                f"the stack is a {type(stack).__name__}, expected a file, a folder, a table, or a sequence of frames"
            )
        if len(stack) < 2:
            raise ImageError(f"the stack has {len(stack)} frames, expected at least two")
        frames_of = stack_of_frames(stack)
        if pixel_size_um is not None:
            measuring["pixel_size_um"] = pixel_size_um
    by = {name: value for name in _WORKERS if (value := measuring.pop(name, None)) is not None}
    if by and not isinstance(stack, str | os.PathLike):
        raise SettingError(f"{', '.join(by)}: workers read frames from a file or folder; leave that out", *by)
    with ExitStack() as until_linked:
        if keep is None and by:
            keep = until_linked.enter_context(TemporaryDirectory())
        apart = None
        if by:
            from pyrodrop.workflows.tracking.measured_apart import Apart

            where = (os.path.abspath(stack), reading | {"pixel_size_um": pixel_size_um}, os.path.abspath(keep or ""))
            apart = Apart(*where, **by)
            apart.check()
        kept = None if keep is None else Path(keep)
        measured = measured_frames(frames_of, kept, progress, apart, seed=seed, **measuring)
    if not len(measured.table):
        raise SettingError(f"{frames_of.name or 'the stack'} has no droplet in any frame, and there is none to follow")
    found = follow(detections_of(measured.table, measured.size, len(frames_of.names), tuple(measured.unreadable)), seed)
    step = frames_of.interval_s if interval_s is None else interval_s
    return Tracks(
        found, seed, step, measured.pixel_size_um if pixel_size_um is None else pixel_size_um, measured.unreadable
    )


def _check_table(size: tuple[int, int] | None, missing: Sequence[int]) -> None:
    if size is not None and (len(size) != 2 or min(size) <= 0):
        raise SettingError(f"size is {size!r}, expected height and width in px", "size")
    if any(number != int(number) or number < 0 for number in missing):
        raise SettingError(f"missing is {list(missing)!r}, expected numbers of frames, from 0", "missing")
