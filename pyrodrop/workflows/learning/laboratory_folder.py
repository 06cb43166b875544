"""A folder of a laboratory's images, with the droplets that a person drew or corrected."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.detection.learning.laboratory import MarkedImage, marked_image
from pyrodrop.images import Micrograph, read_image
from pyrodrop.images.reading.white_level import BRIGHTEST
from pyrodrop.results.storage.result_folder import ResultError, ResultFolder
from pyrodrop.results.storage.run_files import is_altered
from pyrodrop.results.storage.summary import SUMMARY
from pyrodrop.workflows.measuring.measure import channels_of, in_one
from pyrodrop.workflows.settings import SettingError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".nd2")
PLACES = ("x_px", "y_px", "radius_px")
TABLE = "droplets.csv"
_LEAST_SIDE = 32  # px


class UnmarkedImage(NamedTuple):
    """An image of which nobody has said what is in it. image: as ``pyrodrop.measure`` takes it."""

    name: str
    image: Micrograph | Tensor


class Laboratory(NamedTuple):
    """What a folder holds. as_measured: names of results among the marked whose table is the one that the run wrote."""

    marked: list[MarkedImage]
    unmarked: list[UnmarkedImage]
    as_measured: tuple[str, ...] = ()


def read_laboratory(folder: str | os.PathLike[str], channel: str | None = None) -> Laboratory:
    """Read the images of a folder, each with the table beside it, and the results of ``measure`` and ``batch`` in it.

    An image NAME.png has its droplets in NAME.csv, with the columns x_px, y_px and radius_px; a table without rows says
    that there are none. Of results the rows of droplets.csv count, whatever their presence. An image without a table
    is unmarked.

    Args:
        folder: with images, folders of results, or both; or a folder of results itself.
        channel: of the images, as for ``measure``; gray where not given, "all" for that in which droplets stand out
            most.

    Raises:
        SettingError: the folder or a table is not what it should be.
        ImageError: an image cannot be read.
    """
    path = Path(folder)
    if not path.is_dir():
        raise SettingError(f"folder {path} is none; give a folder of images and of results", "folder")
    results = sorted({table.parent for table in path.rglob(TABLE) if (table.parent / "image.tif").is_file()})
    marked = [_read_results(each) for each in results]
    as_measured = tuple(str(each) for each in results if is_altered(each, TABLE) is False)
    unmarked = []
    images = [] if path in results else sorted(_images_in(path))
    tables = {table.stem: table for table in path.iterdir() if table.suffix.lower() == ".csv" and table.is_file()}
    for file in images:
        table = tables.pop(file.stem, None)
        image = read_image(file, white=BRIGHTEST)
        chosen = channel or ("gray" if "gray" in image.channels else image.channels[0])
        shown = image if chosen == "all" else image.channel(chosen)
        if table is None:
            unmarked.append(UnmarkedImage(str(file), shown))
        else:
            pixels = in_one(channels_of(shown)[1].double().numpy())
            marked.append(_marked(str(file), pixels, table))
    if tables and not (path / SUMMARY).is_file():
        table = next(iter(tables.values()))
        raise SettingError(f"{table} has no image beside it; give it the name of its image", "folder")
    if not marked and not unmarked:
        raise SettingError(f"folder {path} holds no images and no results; give another", "folder")
    return Laboratory(marked, unmarked, as_measured)


def _images_in(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.lower().endswith(SUFFIXES) and not entry.name.startswith(".") and entry.is_file():
                yield Path(entry.path)


def _read_results(folder: Path) -> MarkedImage:
    try:
        channels = ResultFolder(folder, {}, pd.DataFrame()).channels()
    except ResultError as error:
        raise SettingError(f"{error}", "folder") from error
    assert channels is not None, "there is an image.tif"
    return _marked(str(folder), in_one(channels.astype(np.float64)), folder / TABLE)


def _marked(name: str, pixels: NDArray[np.float64], table: Path) -> MarkedImage:
    if min(pixels.shape) < _LEAST_SIDE:
        raise SettingError(
            f"{name} has {pixels.shape[1]} x {pixels.shape[0]} pixels, expected at least {_LEAST_SIDE} a side",
            "folder",
        )
    return marked_image(name, pixels.astype(np.float32), _places_in(table, (pixels.shape[0], pixels.shape[1])))


def _places_in(table: Path, size: tuple[int, int]) -> NDArray[np.float64]:
    """The rows x, y, radius of a table, (m, 3), of an image of this size (H, W)."""
    try:
        rows = pd.read_csv(table, skipinitialspace=True)
    except pd.errors.EmptyDataError:
        rows = pd.DataFrame()
    except (ValueError, OSError) as error:  # pandas' own errors are ValueErrors
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SettingError(f"{table} is no readable table ({reason}); write it as CSV", "folder") from error
    missing = [name for name in PLACES if name not in rows]
    if missing:
        raise SettingError(
            f"{table} lacks the column {', '.join(missing)}; a table has x_px, y_px and radius_px", "folder"
        )
    numbers = rows[list(PLACES)].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    x, y, radius = numbers.T
    height, width = size
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    right = np.isfinite(numbers).all(1) & inside & (radius > 0) & (radius <= max(size))
    if not right.all():
        line = int(np.argmin(right))
        shown = ", ".join(f"{name} {rows[name].iloc[line]}" for name in PLACES)
        raise SettingError(
            f"line {line + 2} of {table} is no circle in an image of {width} x {height} pixels ({shown}); "
            "mend it or take it out",
            "folder",
        )
    return numbers
