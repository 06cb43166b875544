"""The command line in this process, and all that may come between: a full disk, Ctrl-C, a kill, a worker that dies.

They come at a number of things that are done to the disk: a file given to it, a name given or taken. Whoever is killed
does nothing more to it.
"""

import contextlib
import errno
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from blank_figures import blank_figures
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from PIL import Image
from worker_here import worker_here

import pyrodrop
from pyrodrop.cli import main
from pyrodrop.workflows.measuring.progress import kept_on_disk

_CHANGES = ("fsync", "replace", "rename", "unlink", "rmdir", "mkdir")
Fault = tuple[int, str] | None
# Files that atomic_write has not given their names yet, whose own have commas.
HALF_WRITTEN = ".*,*,*,*,*"
# No process of this machine has such a number.
_NOBODY = 2**31 - 1


class Killed(BaseException):
    """The process is no more."""


class WorkerDied(BaseException):
    """A worker is no more."""


_ENDS = {"interrupted": KeyboardInterrupt, "killed": Killed, "worker died": WorkerDied}


def faults(*kinds: str, most: int = 30) -> "st.SearchStrategy[Fault]":
    """No fault, or one of these kinds at one of the first things that are done to the disk."""
    return st.none() | st.tuples(st.integers(1, most), st.sampled_from(kinds))


class _Disk:
    """Counts what is done to the disk, and lets the fault happen."""

    def __init__(self, fault: Fault) -> None:
        self.at, self.kind = fault or (0, "")
        self.done = 0
        self.gone: BaseException | None = None

    def changed(self, how: str) -> None:
        if self.gone is not None:
            raise self.gone
        self.done += how == "fsync" or self.kind != "full"
        if not self.at or self.done != self.at:
            return
        self.at = 0
        if self.kind == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        end = _ENDS[self.kind]()
        if self.kind != "interrupted":
            self.gone = end
        raise end

    def lets_go_of(self, end: BaseException) -> bool:
        """Whether it was a worker that died; the batch does to the disk what it will."""
        if not isinstance(end, WorkerDied):
            return False
        self.gone = None
        return True


@contextmanager
def disturbed(fault: Fault) -> Iterator[_Disk]:
    """What happens in here to the disk is disturbed once."""
    disk = _Disk(fault)

    def watched(name: str) -> Any:
        real = getattr(os, name)

        def change(*given: Any, **how: Any) -> Any:
            disk.changed(name)
            return real(*given, **how)

        return change

    with contextlib.ExitStack() as stack:
        for name in _CHANGES:
            stack.enter_context(patch(f"os.{name}", watched(name)))
        yield disk


def command(*words: str, fault: Fault = None) -> tuple[int | None, dict[str, Any], str]:
    """Run the command line, which is disturbed or not: status, None if it was killed; what it printed; what it said."""
    told, said = io.StringIO(), io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(told))
        stack.enter_context(contextlib.redirect_stderr(said))
        disk = stack.enter_context(disturbed(fault))
        stack.enter_context(patch.object(kept_on_disk, "_SECONDS", 0.0))
        stack.enter_context(worker_here(disk.lets_go_of))
        stack.enter_context(blank_figures())
        out = Path(words[words.index("--out") + 1]) if "--out" in words else None
        status: int | None
        try:
            status = main([*words, "--json", "--quiet"])
        except (Killed, WorkerDied):
            status = None
    if status is None:
        forget_the_living(out)
        return None, {}, ""
    if status == 0 and out is not None:
        assert not list(out.rglob(HALF_WRITTEN))
    return status, json.loads(told.getvalue() or "{}"), said.getvalue()


def was_done(status: int | None, said: str, fault: Fault) -> bool:
    """Whether it was done; if not, it was killed, or says why in one line, and the status fits."""
    if status == 0:
        assert said == ""
        return True
    if status is None:
        assert fault is not None
        assert fault[1] in ("killed", "worker died")
        return False
    assert said.count("\n") == 1, said
    assert said.startswith("pyrodrop ")
    of_fault = {"full": 1, "interrupted": 130}.get(fault[1] if fault else "", 2)
    assert status in (2, of_fault), said
    return False


def forget_the_living(out: Path | None) -> None:
    """What was killed was this process, which lives on: its folders and what it was writing are given to nobody."""
    if out is not None:
        for path in [*out.rglob(HALF_WRITTEN), *(out / ".under-way").glob("*")]:  # what lies deepest first
            path.rename(path.with_name(path.name.replace(f",{os.getpid()},", f",{_NOBODY},")))


def altered(path: Path, how: str) -> None:
    """Alter a file as another program may."""
    whole = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "other":
        middle = len(whole) // 2
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :] if whole else b"\n")
    else:
        path.write_bytes(b"" if how == "empty" else whole + b"\n ")


def files_in(folder: Path) -> list[Path]:
    """Files that are there, by name."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


@cache
def picture(seed: int, size: tuple[int, int] = (50, 60), droplets: int = 4) -> bytes:
    """A PNG of some droplets."""
    image, _ = pyrodrop.simulate(droplets, size, seed=seed, kind="gray", profile="disc", radius_px=(4, 6), noise=0.02)
    file = io.BytesIO()
    Image.fromarray((255 * image.pixels[..., 0].clamp(0, 1)).numpy().astype(np.uint8)).save(file, "png")
    return file.getvalue()


def run_sequences(machine: type[RuleBasedStateMachine], sequences: int, steps: int = 6) -> None:
    """Try so many sequences of a machine's rules; the same ones each time."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=sequences,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            database=None,
        ),
    )
