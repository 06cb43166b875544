"""One image in a worker: results are made in a hidden folder and published when complete; deaths are counted."""

import json
import os
import shutil
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pyrodrop.workflows.batch.jobs import JOBS, work_of
from pyrodrop.workflows.batch.result_folders import publish
from pyrodrop.workflows.batch.result_keys import Mark, mark_of
from pyrodrop.workflows.batch.run_folders import kept_of
from pyrodrop.workflows.cluster.clients import MOST_ATTEMPTS
from pyrodrop.workflows.output_folder import FULL

# Pyro's handlers belong to the process: one image at a time in each, whatever the number of its threads.
alone = threading.Lock()


@dataclass(frozen=True)
class Task:
    """One image to be worked on; all that a worker has to know.

    Attributes:
        path: the image, absolute.
        name: what it is called.
        frame: the picture in a file of several, or None.
        mark: of the file when its content was hashed.
        job, settings: what is to be done.
        key: of the result.
        folder: where the result belongs, absolute.
        run: the folder of what this run has under way, absolute.
        version: of pyrodrop.
    """

    path: str
    name: str
    frame: int | None
    mark: Mark
    job: str
    settings: dict[str, Any]
    key: str
    folder: str
    run: str
    version: str


class Outcome(NamedTuple):
    """What has become of an image.

    Attributes:
        reason: one line on why it failed; None if it did not.
        full: whether the disk was full, which is nothing of the image's.
    """

    reason: str | None = None
    full: bool = False


def do(task: Task) -> Outcome:
    """Work on one image, in a worker, and publish the results; a failure is an outcome and no error."""
    with alone:
        try:
            attempt = _begin(task)
        except OSError as error:
            return Outcome(_line(error), error.errno in FULL)
        if attempt is None:
            return Outcome(killed(MOST_ATTEMPTS))
        try:
            return _work(task, attempt)
        finally:
            shutil.rmtree(attempt, ignore_errors=True)


def attempts(task: Task) -> int:
    """How many attempts at an image have begun and not ended: those that its worker died of."""
    return sum(_attempt(task, number).exists() for number in range(1, MOST_ATTEMPTS + 1))


def killed(times: int) -> str:
    """Why an image failed whose workers died."""
    return f"the worker died {times} times while it worked on this image; was there enough memory?"


def _work(task: Task, attempt: Path) -> Outcome:
    from pyrodrop.workflows.settings import input_errors

    unfit = ready(task)
    if unfit is not None:
        return unfit
    results = attempt / "results"
    settings = task.settings if task.frame is None else task.settings | {"frame": task.frame}
    kept = kept_of(Path(task.folder))
    if JOBS[task.job].keeps:
        settings = settings | {"keep": str(kept)}
    begun = time.monotonic()
    try:
        work_of(task.job)(task.path, str(results), progress=False, **settings)
        if not publish_results(task, results, round(time.monotonic() - begun, 3)):
            return Outcome(f"{task.path} changed while it was read; run again")
    except input_errors() as error:
        return Outcome(_line(error))
    except OSError as error:
        return Outcome(_line(error), error.errno in FULL)
    # One image in a thousand that nobody thought of must not be the end of the others.
    except Exception as error:
        return Outcome(f"{type(error).__name__}: {_line(error)}")
    shutil.rmtree(kept, ignore_errors=True)
    return Outcome()


def ready(task: Task) -> Outcome | None:
    """Make the process ready for a task; returns what is reported of the task where it cannot do it, else None."""
    from tqdm import tqdm

    import pyrodrop

    # The lock that tqdm makes by itself is a semaphore of the system, and stays behind when the worker is killed.
    tqdm.set_lock(threading.RLock())
    if pyrodrop.__version__ != task.version:
        return Outcome(f"the worker has pyrodrop {pyrodrop.__version__}, expected {task.version}; install the same")
    return None


def publish_results(task: Task, results: Path, seconds: float) -> bool:
    """Publish the finished results of an image; False if its file is not the one that was asked for any more.

    Raises:
        OSError: if they cannot be moved.
    """
    if mark_of(task.path) != task.mark:
        return False
    record = {
        "image": task.path,
        "frame": task.frame,
        "job": task.job,
        "settings": task.settings,
        "version": task.version,
        "seconds": seconds,
    }
    publish(results, Path(task.folder), task.key, record)
    return True


def claim(folder: Path) -> None:
    """Make the folder of an attempt, which says who is at work in it.

    Raises:
        FileExistsError: if there has been such an attempt.
        OSError: if it cannot be written to.
    """
    folder.mkdir()
    try:
        (folder / "worker.json").write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _begin(task: Task) -> Path | None:
    """Make the folder of the next attempt; None if there have been enough."""
    for number in range(1, MOST_ATTEMPTS + 1):
        attempt = _attempt(task, number)
        try:
            claim(attempt)
        except FileExistsError:
            continue
        return attempt
    return None


def _attempt(task: Task, number: int) -> Path:
    # Not by the key, which copies of one image under other names have in common.
    return Path(task.run) / f"{Path(task.folder).name}.{number}"


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
