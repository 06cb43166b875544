"""Which files of a folder are those of its run, and their digests: a folder of results is of one run.

A new run takes away what the earlier one wrote, whole, and leaves alone what others put there. A file that was altered
since it was written is seen: it is nothing that the run has said, and a new run puts it aside and does not delete it.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pyrodrop.results.storage.file_writers import write_json
from pyrodrop.results.storage.sealed_files import read_sealed, write_sealed
from pyrodrop.results.storage.summary import SUMMARY

MANIFEST = "manifest.json"
# What runs of versions that kept no manifest may have written.
_WITHOUT_MANIFEST = (
    *(SUMMARY, "droplets.csv", "losses.csv", "fit.pt", "image.tif", "residual.tif"),
    *(f"{figure}.png" for figure in ("overlay", "residual", "sizes", "count", "prediction", "amplitudes", "loss")),
    *("report.html", "rois.zip", "labels.tif"),
)
# Of a batch, which wrote tables of all images.
_OF_A_BATCH = (SUMMARY, "summary.csv", "droplets.csv", "droplets.parquet", "report.html")

Digests = dict[str, str | None]


def remove_run(folder: Path, keep: Collection[str] = ()) -> None:
    """Take away the files that the folder's run wrote, whole, and nothing else.

    The summary goes first, so that a folder that is left half-way holds no results. A file that was altered since the
    run wrote it is renamed to ``earlier-NAME``.

    Args:
        folder: the folder of the results.
        keep: files to leave where they are: a checkpoint to go on from, or what the next run has written already.
    """
    digests = _digests_of_run(folder)
    for name in sorted(digests, key=lambda name: name != SUMMARY):
        if name not in keep:
            _take_away(folder, name, digests[name])
    (folder / MANIFEST).unlink(missing_ok=True)


def begin_run(folder: Path, names: Iterable[str], keep: Collection[str] = ()) -> None:
    """Take away the files of the folder's earlier run, and note which files the new one is about to write.

    Args:
        folder: the folder of the results.
        names: of all files that the new run may write, relative to the folder, with "/" where one is further down.
        keep: as for ``remove_run``.
    """
    remove_run(folder, keep)
    _write(folder, dict.fromkeys(names))


def finish_run(folder: Path, summary: Mapping[str, Any], sealed: bool = False) -> None:
    """Write ``summary.json``, last of the files that ``begin_run`` was told of, and the digests of all of them.

    Args:
        folder: the folder of the results.
        summary: what ``summary.json`` is to say.
        sealed: whether it carries its own digest, as that of a batch does.
    """
    (write_sealed if sealed else write_json)(summary, folder / SUMMARY)
    planned = [*_digests_of_run(folder), SUMMARY]
    files = [name for name in planned if (folder / name).is_file()]
    # Further down lies what a run goes on from, as tiles, which may be large and checks itself.
    _write(folder, {name: None if "/" in name else _digest(folder / name) for name in files})


def add_to_run(folder: Path, names: Iterable[str]) -> None:
    """Note files that were made from a run's results later, so that they go when the run does."""
    _write(folder, _digests_of_run(folder) | {name: _digest(folder / name) for name in names})


def is_altered(folder: Path, name: str) -> bool | None:
    """Whether a file is not as the folder's run wrote it; None where that is not known, as without a manifest."""
    digest = _digests_of_run(folder).get(name)
    path = folder / name
    return None if digest is None or not path.is_file() else _digest(path) != digest


def digest_of(folder: Path, name: str) -> str | None:
    """SHA-256 of a file as the folder's run wrote it; None where that is not known."""
    return _digests_of_run(folder).get(name)


def noted_files(folder: Path) -> tuple[str, ...]:
    """The files whose digests the folder's run has noted."""
    return tuple(name for name, digest in _digests_of_run(folder).items() if digest is not None)


def _digests_of_run(folder: Path) -> Digests:
    """The files of the folder's run with their digests; None for a digest that is not known."""
    try:
        files = read_sealed(folder / MANIFEST)["files"]
        return {str(name): digest for name, digest in files.items() if _is_inside(str(name))}
    except (OSError, ValueError, KeyError, AttributeError):
        return dict.fromkeys(name for name in _names_without_manifest(folder) if (folder / name).is_file())


def _names_without_manifest(folder: Path) -> tuple[str, ...]:
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ()
    if not isinstance(summary, dict) or "version" not in summary:  # nothing that a run of ours has written
        return ()
    return _OF_A_BATCH if "tables" in summary else _WITHOUT_MANIFEST


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _take_away(folder: Path, name: str, digest: str | None) -> None:
    path = folder / name
    if not path.is_file():
        return
    if digest is not None and _digest(path) != digest:
        path.replace(path.with_name(f"earlier-{path.name}"))
        return
    path.unlink()
    if path.parent != folder and not any(path.parent.iterdir()):
        path.parent.rmdir()


def _digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(folder: Path, digests: Digests) -> None:
    write_sealed({"files": digests}, folder / MANIFEST)
