"""The frames of a stack measured one by one, and kept as they come, so that a run that was ended goes on."""

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pyrodrop.images import ImageError
from pyrodrop.results.storage.file_writers import write_table
from pyrodrop.results.storage.sealed_files import digest_of, read_sealed, write_sealed
from pyrodrop.workflows.measuring.measure import measure
from pyrodrop.workflows.measuring.measurement import Measurement
from pyrodrop.workflows.tracking.stack import FrameStack, pixels_of

FOLDER = "frames"
_SETTINGS = "stack.json"
# Of a candidate's columns, what the linking needs.
_COLUMNS = ("id", "x_px", "y_px", "radius_px", "amplitude")
_KEPT = (*_COLUMNS, "x_px_sd", "y_px_sd", "radius_px_sd", "amplitude_sd", "presence")
# A number that is read again has the value that was written.
_DIGITS = 17


class MeasuredFrames(NamedTuple):
    """What was measured of a stack.

    Attributes:
        table: a row a candidate and frame.
        size: height and width of a frame in px.
        pixel_size_um: micrometres a pixel, where that is known.
        unreadable: why, by the number of the frame, of those that could not be read.
        profile: that of all frames.
    """

    table: pd.DataFrame
    size: tuple[int, int]
    pixel_size_um: float | None
    unreadable: dict[int, str]
    profile: str


def measured_frames(
    stack: FrameStack, keep: Path | None = None, progress: bool = False, apart: Any = None, **measuring: Any
) -> MeasuredFrames:
    """Measure every frame, one after the other; one that cannot be read is missing.

    The profile that has the most evidence in the first frame that can be read is that of all others, too.

    Args:
        stack: the frames.
        keep: folder of the tables of frames that were measured; those that are there already, of the same stack,
            settings and version, are not measured again.
        progress: say on standard error which frame is being measured.
        apart: ``Apart``, where others measure all frames but the first.
        measuring: as for ``pyrodrop.measure``.

    Raises:
        ImageError: no frame could be read, or all frames but one.
        SettingError: a setting of the measuring is wrong.
    """
    kept = None if keep is None else KeptFrames(keep, stack, measuring)
    unreadable: dict[int, str] = {}
    tables: list[pd.DataFrame] = []
    size: tuple[int, int] | None = None
    pixel_size: float | None = None
    how = {name: value for name, value in measuring.items() if name != "profile"}
    profile, total = measuring.get("profile", "auto"), len(stack.names)

    def say(number: int, droplets: int | None = None) -> None:
        if progress:
            told = "" if droplets is None else f": {droplets} droplets"
            print(f"{stack.names[number]}, {number + 1} of {total}{told}", file=sys.stderr, flush=True)

    for number, name in enumerate(stack.names):
        if apart is not None and kept is not None and size is not None:
            missing = [n for n in range(number, total) if kept.facts(n) is None]
            if missing:
                apart(missing, profile, size, measuring, say)
            apart = None
        facts = None if kept is None else kept.facts(number)
        if facts is None or kept is None:
            try:
                table, facts, droplets = measured_frame(stack, number, profile, size, how, kept)
            except ImageError as error:
                unreadable[number] = str(error)
                if progress:
                    print(f"{name} is missing: {error}", file=sys.stderr, flush=True)
                continue
            say(number, droplets)
        else:
            table = kept.table(number)
        size, profile = (int(facts["size"][0]), int(facts["size"][1])), str(facts["profile"])
        pixel_size = facts["pixel_size_um"] if pixel_size is None else pixel_size
        tables.append(table.assign(frame=number))
    if len(tables) < 2 or size is None:
        why = next(iter(unreadable.values()), "it holds no frames")
        raise ImageError(f"{stack.name or 'the stack'} has {len(tables)} frames that can be read, expected two: {why}")
    return MeasuredFrames(pd.concat(tables, ignore_index=True), size, pixel_size, unreadable, profile)


def measured_frame(
    stack: FrameStack,
    number: int,
    profile: str,
    size: tuple[int, int] | None,
    measuring: dict[str, Any],
    kept: "KeptFrames | None" = None,
) -> tuple[pd.DataFrame, dict[str, Any], int]:
    """The candidates of a frame, what is known of it, and how many droplets it has; written where it is to be kept.

    Raises:
        ImageError: the frame cannot be read, or has another size than the others.
    """
    measurement = _measured(stack, number, profile, size, measuring)
    table = measurement.candidates.reindex(columns=list(_KEPT))
    facts = {
        "size": list(measurement.size),
        "profile": measurement.profile,
        "pixel_size_um": measurement.pixel_size_um,
    }
    if kept is not None:
        kept.write(number, table, facts)
    return table, facts, measurement.n_droplets


def _measured(
    stack: FrameStack, number: int, profile: str, size: tuple[int, int] | None, measuring: dict[str, Any]
) -> Measurement:
    frame = stack.read(number)
    if isinstance(frame, Measurement):
        measurement = frame
    else:
        pixels, pixel_size = pixels_of(frame)
        how = {"pixel_size_um": pixel_size} | measuring
        measurement = measure(pixels, profile=profile, **how)
    if size is not None and measurement.size != size:
        height, width = measurement.size
        raise ImageError(f"{stack.names[number]} has {width} x {height} px, the frames before {size[1]} x {size[0]}")
    return measurement


class KeptFrames:
    """Tables of frames in a folder, of one stack and one way to measure it."""

    def __init__(self, folder: Path, stack: FrameStack, measuring: dict[str, Any]) -> None:
        from pyrodrop import __version__

        self.folder = folder
        how = {name: _told(value) for name, value in sorted(measuring.items())}
        self.key = digest_of({"stack": stack.mark, "names": list(stack.names), "how": how, "version": __version__})
        folder.mkdir(parents=True, exist_ok=True)
        try:
            fits = read_sealed(folder / _SETTINGS).get("key") == self.key
        except (OSError, ValueError):
            fits = False
        if not fits:
            for path in self._files():
                path.unlink(missing_ok=True)
            write_sealed({"key": self.key}, folder / _SETTINGS)

    def _files(self) -> Iterator[Path]:
        yield from self.folder.glob("frame-*.csv")
        yield from self.folder.glob("frame-*.json")

    def facts(self, number: int) -> dict[str, Any] | None:
        """What is known of a frame that was measured; None where it was not, or not whole."""
        try:
            facts = read_sealed(self._path(number, "json"))
        except (OSError, ValueError):
            return None
        return facts if facts.get("key") == self.key and self._path(number, "csv").is_file() else None

    def table(self, number: int) -> pd.DataFrame:
        # by way of text: pandas' own reading of numbers may be off by the last digit
        return pd.read_csv(self._path(number, "csv"), dtype=str).astype(float)

    def write(self, number: int, table: pd.DataFrame, facts: dict[str, Any]) -> None:
        """Write a frame's table and then its facts: with them it is whole."""
        write_table(table, self._path(number, "csv"), digits=_DIGITS)
        write_sealed({**facts, "key": self.key}, self._path(number, "json"))

    def _path(self, number: int, suffix: str) -> Path:
        return self.folder / f"frame-{number:06d}.{suffix}"


def _told(value: Any) -> str:
    """A setting in words that differ where it does; numpy's own words leave out most of an array."""
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype} {hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    return repr(value)


def kept_folder(out: str | os.PathLike[str]) -> Path:
    """Where the tables of frames of a run lie in its folder of results."""
    return Path(out) / FOLDER
