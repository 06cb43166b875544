"""The folder of one image's results: it appears whole or not at all, and can be told whole from damaged."""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyrodrop.workflows.folder import write_json

# Says whose results a folder holds, and how long each of its files is; written last.
RECORD = "batch.json"
_LONGEST_STEM = 100


def folder_name(path: str, frame: int | None, key: str) -> str:
    """The name of the folder of an image's results: that of the image, and the beginning of the key."""
    stem = Path(path).stem[:_LONGEST_STEM]
    return f"{stem}-{key[:8]}" if frame is None else f"{stem}-frame{frame}-{key[:8]}"


def read_record(folder: str | os.PathLike[str], key: str | None = None) -> dict[str, Any] | None:
    """The record of a folder of results; None if there is none, it is of another key, or a file is not as it was."""
    try:
        with open(os.path.join(folder, RECORD), "rb") as file:
            record = json.load(file)
        with os.scandir(folder) as entries:
            sizes = {entry.name: entry.stat().st_size for entry in entries}
        whole = all(sizes.get(name) == size for name, size in record["files"].items())
        return record if whole and (key is None or record["key"] == key) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def publish(made: Path, folder: Path, key: str, record: Mapping[str, Any]) -> None:
    """Move finished results to where they belong, in one step.

    Where whole results of the same key are there already, another run was faster: these are left alone, and those
    made are left where they are.

    Args:
        made: the folder that the results are in, on the same file system.
        folder: the folder that they are to be.
        key: of the results.
        record: what else is to be known of them.

    Raises:
        OSError: if they cannot be moved.
    """
    files = {entry.name: entry.stat().st_size for entry in sorted(os.scandir(made), key=lambda entry: entry.name)}
    write_json({"key": key, **record, "files": files}, made / RECORD)
    _to_disk(made)
    for _ in range(3):
        try:
            made.rename(folder)
        except OSError:
            # A folder can only take the place of one that is empty or not there.
            if not folder.exists():
                raise
        else:
            _to_disk(folder.parent)
            return
        if read_record(folder, key) is not None:
            return
        with contextlib.suppress(FileNotFoundError):  # damaged, or another's key that begins alike
            folder.rename(made.with_name("replaced"))
    raise OSError(f"{folder} could not be replaced")


def _to_disk(folder: Path) -> None:
    """See that the names in a folder outlive a power cut; where that cannot be asked for, nothing is done."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
