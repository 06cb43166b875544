"""The hidden folders of a running batch: unfinished results, of which those of runs that were killed are cleared, and
what long measurements have worked out, which the next run goes on from.
"""

import contextlib
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyrodrop.results.storage.processes import may_live, this_process

UNDER_WAY = ".under-way"
_KEPT = ".measuring"


@contextmanager
def run_folder(out: Path) -> Iterator[Path]:
    """A folder of its own for what a run has under way; gone when the run is over. Clears those of dead runs.

    A run that comes to its end leaves nothing to go on from, either.
    """
    clear_dead_runs(out)
    under_way = out / UNDER_WAY
    folder = under_way / f"{this_process()},{time.monotonic_ns()}"
    while True:
        out.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir(parents=True)
            break
        except FileNotFoundError:  # a run that has just ended took away what lies between
            continue
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # another run has something under way
            under_way.rmdir()
    clear_kept(out)


def kept_of(results: Path) -> Path:
    """The folder for what a measurement has worked out whose results will lie in a folder."""
    return results.parent / _KEPT / results.name


def clear_kept(out: Path) -> None:
    """Take away what measurements have worked out, unless a run that lives may still go on from it."""
    if not (out / UNDER_WAY).exists():
        shutil.rmtree(out / _KEPT, ignore_errors=True)


def clear_dead_runs(out: Path) -> None:
    """Take away what runs have left under way that were killed; those that live keep theirs."""
    under_way = out / UNDER_WAY
    try:
        folders = list(under_way.iterdir())
    except OSError:
        return
    for folder in folders:
        if not _alive(folder):
            shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # a run that lives has something under way
        under_way.rmdir()


def _alive(folder: Path) -> bool:
    try:
        return may_live(folder.name.rpartition(",")[0], folder.stat().st_mtime)
    except OSError:
        return False
