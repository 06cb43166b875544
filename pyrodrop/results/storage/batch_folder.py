"""A folder of folders of results: which of them belong to a batch, what they are called, and what failed."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pyrodrop.results.storage.result_folder import ResultError, is_results

_ADVICE = "give a folder that pyrodrop fit, measure or batch has written"


class BatchFolder(NamedTuple):
    """What a folder of results holds.

    Attributes:
        path: the folder.
        names: what each image is called, by the name of the folder that holds its results, in order.
        failed: why, by the name of the image, of images without results.
    """

    path: Path
    names: dict[str, str]
    failed: dict[str, str]


def read_batch(folder: str | Path) -> BatchFolder:
    """The results in a folder: those that the ``summary.csv`` of a batch lists, or else every folder that holds some.

    Raises:
        ResultError: if it is no folder, or holds nothing.
    """
    path = Path(folder)
    if not path.is_dir():
        raise ResultError(f"{path} is not a folder; {_ADVICE}")
    names: dict[str, str] = {}
    failed: dict[str, str] = {}
    # Several batches may share a folder; the list tells which results are of the latest.
    for image, held, reason in _listed(path):
        if reason:
            failed[image] = reason
        elif held:
            names.setdefault(held, image)
    if not names and not failed:
        inner = sorted(inside.name for inside in path.iterdir() if inside.is_dir() and is_results(inside))
        names = {name: "" for name in inner if not name.startswith(".")}
    if not names and not failed:
        raise ResultError(f"{path} holds no summary.json, nor does a folder in it; {_ADVICE}")
    return BatchFolder(path, names, failed)


def images_of_batch(folder: Path) -> list[dict[str, str]]:
    """The rows of a batch's ``summary.csv``, with all its columns; none where a folder is not that of a batch.

    Raises:
        ResultError: if it cannot be read.
    """
    table = folder / "summary.csv"
    if not table.is_file():
        return []
    try:
        with table.open(newline="", encoding="utf-8") as file:
            return [row for row in csv.DictReader(file) if row.get("image")]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ResultError(f"{table} is not a readable table ({error}); {_ADVICE}") from error


def _listed(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Name of the image, name of its folder, and why it failed, of each row of a batch's ``summary.csv``."""
    for row in images_of_batch(folder):
        frame = f", picture {row['frame']}" if row.get("frame") else ""
        held = Path(row.get("folder") or "").name  # a name, never a way out of the folder
        yield f"{row['image']}{frame}", held, row.get("reason") or ""
