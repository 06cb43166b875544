"""The folder of one image's results in a batch: published in one step, with a record that shows any damage later."""

import contextlib
import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pyrodrop.results.storage.run_files import MANIFEST
from pyrodrop.results.storage.sealed_files import read_sealed, write_sealed

# Says whose results a folder holds, and how long each of its files is; written last.
RECORD = "batch.json"
# Of these, which the tables of all images are results from, it also has a hash of what they hold.
_TABLED = ("droplets.csv", "summary.json")
# A name has 255 bytes at most, and a character up to four of them; what follows the stem takes its share.
_LONGEST_STEM = 200


def folder_name(path: str, frame: int | None, key: str) -> str:
    """The name of the folder of an image's results: that of the image, and the beginning of the key."""
    stem = os.fsencode(Path(path).stem)[:_LONGEST_STEM].decode(errors="ignore") or "image"
    return f"{stem}-{key[:8]}" if frame is None else f"{stem}-frame{frame}-{key[:8]}"


def read_record(folder: str | os.PathLike[str], key: str | None = None) -> dict[str, Any] | None:
    """The record of a folder of results; None if there is none, it is of another key, or a file is not as it was."""
    try:
        record = read_sealed(os.path.join(folder, RECORD))
        with os.scandir(folder) as entries:
            sizes = {entry.name: entry.stat().st_size for entry in entries}
        whole = all(sizes.get(name) == size for name, size in record["files"].items())
        if not whole or (key is not None and record["key"] != key):
            return None
        return record if _hashes(folder, record["hashes"]) == record["hashes"] else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write_record(folder: Path, key: str, about: Mapping[str, Any]) -> None:
    """Write the record of the results in a folder, which says of which key they are and what else is known of them."""
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    # The manifest changes when a report is added to the results.
    files = {entry.name: entry.stat().st_size for entry in entries if entry.name != MANIFEST}
    hashes = _hashes(folder, [name for name in _TABLED if name in files])
    write_sealed({"key": key, **about, "files": files, "hashes": hashes}, folder / RECORD)


def _hashes(folder: str | os.PathLike[str], names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of some files of a folder, in hexadecimal digits."""
    results = {}
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            results[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return results


def publish(results: Path, folder: Path, key: str, record: Mapping[str, Any]) -> None:
    """Move finished results to where they belong, in one step.

    Where whole results of the same key are there already, another run was faster: these are left alone, and those
    results are left where they are.

    Args:
        results: the folder that the results are in, on the same file system.
        folder: the folder that they are to be.
        key: of the results.
        record: what else is to be known of them.

    Raises:
        OSError: if they cannot be moved.
    """
    write_record(results, key, record)
    _to_disk(results)
    for _ in range(3):
        try:
            results.rename(folder)
        except OSError:
            # A folder can only take the place of one that is empty or not there.
            if not os.path.lexists(folder):
                raise
        else:
            _to_disk(folder.parent)
            return
        if read_record(folder, key) is not None:
            return
        with contextlib.suppress(FileNotFoundError):  # damaged, or another's key that begins alike
            folder.rename(results.with_name("replaced"))
    raise OSError(f"{folder} could not be replaced")


def _to_disk(folder: Path) -> None:
    """See that the names in a folder outlive a power cut; where that cannot be asked for, nothing is done."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
