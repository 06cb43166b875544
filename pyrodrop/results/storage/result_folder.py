"""A folder that a fit or a measurement has written, read back: its summary, its table, and whatever else it holds."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyrodrop.results.storage.run_files import is_altered

Picture = NDArray[np.float32]

# Of a stitched image of a whole slide.
_LONGEST_SIDE = 10_000_000
_DEEPEST = 32  # lists and objects within one another; a summary holds three
NEEDED_COLUMNS = ("id", "x_px", "y_px", "radius_px")
# What a summary says of the image, the settings and the run, and not of the droplets.
_WHATEVER_THE_DROPLETS = (
    *("version", "seed", "device", "image", "width", "height", "channel", "pixel_size_um", "profile", "shape"),
    "looked_at",
    *("start", "learning_rate", "background", "noise", "seconds", "steps", "iterations_per_second"),
)
_SUMMARY_ALTERED = "the file summary.json is not as the run wrote it: the numbers here may not be the run's"


class ResultError(ValueError):
    """A folder that does not hold results; the message says what was expected and what to do."""


@dataclass(frozen=True, eq=False)
class ResultFolder:
    """Results of one image.

    Attributes:
        path: the folder.
        summary: what ``summary.json`` says; a number that is not finite is None.
        table: ``droplets.csv``, where a missing presence is one and missing flags are none.
        table_altered: whether the table is not the one that the run wrote. The summary then says only what holds
            whatever the droplets are, and there is no residual.
    """

    path: Path
    summary: Mapping[str, Any]
    table: pd.DataFrame
    table_altered: bool = False

    @property
    def name(self) -> str:
        """What a person calls the image: its file name, or that of the folder."""
        image = self.summary.get("image")
        return Path(str(image)).name if image else self.path.resolve().name

    @property
    def pixel_size_um(self) -> float | None:
        """Side of a pixel in micrometres, where it is known."""
        size = self.summary.get("pixel_size_um")
        return float(size) if isinstance(size, int | float) and not isinstance(size, bool) and size > 0 else None

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the image in px, where they are known."""
        height, width = self.summary.get("height"), self.summary.get("width")
        if isinstance(height, int) and isinstance(width, int):
            return height, width
        image = self.image()
        return None if image is None else (image.shape[0], image.shape[1])

    def file(self, name: str) -> Path | None:
        """The file of that name in the folder, if it is there."""
        path = self.path / name
        return path if path.is_file() else None

    def image(self) -> Picture | None:
        """What was fitted, (H, W), from ``image.tif`` or ``fit.pt``; of several channels their mean."""
        channels = self.channels()
        return None if channels is None else channels.mean(0)

    def channels(self) -> Picture | None:
        """What was fitted, (C, H, W), from ``image.tif`` or ``fit.pt``."""
        stored = self.file("image.tif")
        if stored is not None:
            return _read_tiff(stored)
        checkpoint = self.file("fit.pt")
        return None if checkpoint is None else _checkpoint_channel(checkpoint)

    def residual(self) -> Picture | None:
        """The residual, image less model, in units of the noise, (C, H, W), from ``residual.tif``."""
        stored = None if self.table_altered else self.file("residual.tif")
        return None if stored is None else _read_tiff(stored)


def read_results(folder: str | Path) -> ResultFolder:
    """Read a folder of results.

    Raises:
        ResultError: if it is no folder, or ``summary.json`` or ``droplets.csv`` is missing or damaged.
    """
    path = Path(folder)
    advice = "give a folder that pyrodrop fit or measure has written"
    if not path.is_dir():
        raise ResultError(f"{path} is not a folder; {advice}")
    for name in ("summary.json", "droplets.csv"):
        if not (path / name).is_file():
            raise ResultError(f"{path} holds no {name}; {advice}")
    try:
        summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
        known = finite(summary)
    except (ValueError, RecursionError) as error:  # the latter of lists in lists in lists
        raise ResultError(f"{path / 'summary.json'} is not readable JSON ({error}); {advice}") from error
    if not isinstance(summary, dict):
        raise ResultError(f"{path / 'summary.json'} holds no JSON object; {advice}")
    _check_sizes(summary, path / "summary.json", advice)
    table = _read_table(path / "droplets.csv", advice)
    altered = is_altered(path, "droplets.csv")
    if _counts_differ(known, table) if altered is None else altered:
        return ResultFolder(path, _without_droplets(known, len(table)), table, table_altered=True)
    if is_altered(path, "summary.json"):
        stated = known.get("warnings")
        known["warnings"] = [_SUMMARY_ALTERED, *(stated if isinstance(stated, list) else [])]
    return ResultFolder(path, known, table)


def _counts_differ(summary: Mapping[str, Any], table: pd.DataFrame) -> bool:
    """Whether a table cannot be the one that the summary counts; asked of a folder without a manifest.

    A table has a row for each of the droplets that were counted or, as first versions wrote it, for each that may be
    present: then the presences, of which it has six digits, add up to the mean of the count.
    """
    number = summary.get("n_droplets")
    count = summary.get("count")
    if isinstance(number, int) and len(table) == number:
        return False
    if isinstance(count, Mapping) and _is_number(count.get("mean")):
        return bool(abs(float(table["presence"].sum()) - count["mean"]) > 1e-5 * len(table) + 1e-3)
    return isinstance(number, int)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _without_droplets(summary: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """What a summary says that holds whatever droplets the table has, with a warning that they are others."""
    number = summary.get("n_droplets")
    of = f" of {number} droplets" if _is_number(number) else ""
    warning = (
        f"the table droplets.csv is not as the run wrote it: its {rows} rows are shown, and nothing that the run "
        f"found{of}, such as their count, sizes and residual; these no longer hold, run again to have them"
    )
    return {name: summary[name] for name in _WHATEVER_THE_DROPLETS if name in summary} | {"warnings": [warning]}


def _check_sizes(summary: Mapping[str, Any], path: Path, advice: str) -> None:
    """Raise ``ResultError`` for a size of the image or of a pixel that none has."""
    for name in ("height", "width"):
        side = summary.get(name)
        if side is not None and not (isinstance(side, int) and 1 <= side <= _LONGEST_SIDE):
            raise ResultError(f"{path} says that {name} is no number of pixels; {advice}")
    size = summary.get("pixel_size_um")
    if isinstance(size, int | float) and not isinstance(size, bool) and not 1e-9 <= size <= 1e9:
        raise ResultError(f"{path} says that pixel_size_um is no size of a pixel; {advice}")


def is_results(folder: Path) -> bool:
    """Whether a folder looks like one that holds results of one image; a batch has a ``summary.csv``."""
    return (folder / "summary.json").is_file() and not (folder / "summary.csv").is_file()


def finite(value: Any, depth: int = 0) -> Any:
    """JSON values, where a number that is not finite, which JSON does not know, becomes None.

    Raises:
        ValueError: for lists in lists in lists, which no summary holds.
    """
    if depth > _DEEPEST:
        raise ValueError(f"lists or objects within one another, more than {_DEEPEST} deep")
    if isinstance(value, str):  # half of a pair of surrogates is no character, and in no file
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, int) and abs(value) >= 2**63:
        return None
    if isinstance(value, dict):
        return {finite(str(name)): finite(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item, depth + 1) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read_table(path: Path, advice: str) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype={"flags": str})
    except (ValueError, OSError) as error:  # pandas' own errors are ValueErrors
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ResultError(f"{path} is not a readable table ({reason}); {advice}") from error
    missing = [name for name in NEEDED_COLUMNS if name not in table]
    if missing:
        raise ResultError(f"{path} lacks the column {', '.join(missing)}; {advice}")
    numbers = [name for name in table if name != "flags"]
    wrong = [name for name in numbers if not pd.api.types.is_numeric_dtype(table[name]) and len(table)]
    if wrong:
        raise ResultError(f"{path} holds something else than numbers in {', '.join(map(str, wrong))}; {advice}")
    presence = table["presence"].fillna(1.0) if "presence" in table else 1.0
    flags = table["flags"].fillna("") if "flags" in table else ""
    return table.assign(presence=presence, flags=flags)


def _read_tiff(path: Path) -> Picture:
    import tifffile

    try:
        pixels = np.asarray(tifffile.imread(path))
    except (ValueError, OSError) as error:  # tifffile's own errors are ValueErrors
        raise ResultError(f"{path} is not a readable TIFF ({error}); write the results anew") from error
    if pixels.ndim < 2 or not pixels.size:
        raise ResultError(f"{path} is not a readable TIFF (it holds no image); write the results anew")
    return np.asarray(pixels.reshape(-1, *pixels.shape[-2:]), dtype=np.float32)


def _checkpoint_channel(path: Path) -> Picture | None:
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch raises half a dozen types for a damaged file, and the page can do without
        return None
    channel = state.get("channel") if isinstance(state, dict) else None
    if not isinstance(channel, torch.Tensor) or channel.dim() != 2:
        return None
    return np.asarray(channel.float().numpy()[None], dtype=np.float32)
