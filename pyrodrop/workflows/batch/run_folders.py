"""The hidden folder of a running batch, which holds unfinished results; those of runs that were killed are cleared."""

import contextlib
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNDER_WAY = ".under-way"
# A run on another machine cannot be asked whether it lives: it is given this long without a sign of life.
_SILENT_SECONDS = 24 * 3600.0
# The time at which a process began is counted from the start of the machine, which moves when its clock is set.
_CLOCK_SECONDS = 5.0


@contextmanager
def run_folder(out: Path) -> Iterator[Path]:
    """A folder of its own for what a run has under way; gone when the run is over. Clears those of dead runs."""
    clear_dead_runs(out)
    under_way = out / UNDER_WAY
    folder = under_way / _name(socket.gethostname(), os.getpid(), time.monotonic_ns())
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


def _name(host: str, pid: int, number: int) -> str:
    import psutil

    return f"{host},{pid},{psutil.Process(pid).create_time():.2f},{number}"


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
    import psutil

    try:
        host, pid, begun, _ = folder.name.rsplit(",", 3)
        if host == socket.gethostname():
            process = psutil.Process(int(pid))
            same = abs(process.create_time() - float(begun)) < _CLOCK_SECONDS
            return same and bool(process.status() != psutil.STATUS_ZOMBIE)
        return time.time() - folder.stat().st_mtime < _SILENT_SECONDS
    except (psutil.Error, ValueError, OSError):
        return False
