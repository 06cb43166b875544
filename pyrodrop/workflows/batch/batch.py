"""One job done to many images, on Dask, and its results put together: ``pyrodrop batch``."""

import errno
import itertools
import math
import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrodrop
from pyrodrop.workflows.assumptions import in_plain_words
from pyrodrop.workflows.batch.ledger import Ledger
from pyrodrop.workflows.batch.pooled_samples import pool_samples
from pyrodrop.workflows.batch.result_keys import FILES
from pyrodrop.workflows.batch.run_folders import clear_dead_runs, clear_kept, run_folder
from pyrodrop.workflows.batch.sheet import check_rows, read_sheet
from pyrodrop.workflows.batch.sources import Source, find_sources
from pyrodrop.workflows.batch.tables import put_together
from pyrodrop.workflows.cluster.scheduler_address import check_scheduler
from pyrodrop.workflows.output_folder import open_folder
from pyrodrop.workflows.settings import SettingError, positive_whole
from pyrodrop.workflows.termination import Terminated


def batch(
    paths: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    job: str = "measure",
    scheduler: str | None = None,
    workers: int | None = None,
    workers_per_gpu: int | None = None,
    together: int | None = None,
    progress: bool = True,
    sheet: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Do a job to every image, and put the results together; what has been done before is not done again.

    The results of an image lie in a folder of their own in ``out``, which appears when they are whole. They are
    known by the content of the image, the settings and the version: whatever stops a batch, the same call goes on
    with what is missing, and where a long measurement was. Several batches may share a folder.

    Where the workers are processes of this machine's own, a script must call this under
    ``if __name__ == "__main__":``.

    Args:
        paths: image files, folders of images, and patterns such as ``run*/**/*.tif``. Of a file that holds several
            pictures, each is an image of its own.
        out: the folder of the results; workers elsewhere must see it, and the images, under the same path.
        job: what to do: fit or measure.
        scheduler: address of a Dask scheduler, or the file that it writes; None starts workers on this machine.
        workers: the number of worker processes on this machine; one a core, or one a GPU, where not given.
        workers_per_gpu: the number of worker processes that share one GPU of this machine; 1 where not given.
        together: how many images a worker fits side by side, those of one size as one batch; where not given, one, and
            on a GPU up to 64. With ``n_droplets="auto"``, and to measure, it is one.
        progress: show a bar and the failures on standard error.
        sheet: a table of images in the place of ``paths``, see ``read_sheet``: which sample each is of, its own
            settings, and whatever else is to be in the tables.
        settings: of the job, for all images; None stands for the job's default.

    Returns:
        The summary: how many images are done and failed, why (``failures``), how many of them had results from
        an earlier run (``done_before``), where the results are and, of a sheet with samples, where these are pooled.

    Raises:
        SettingError, ImageError: for settings out of their range, paths that lead to no image, a folder that
            cannot be written to, or a scheduler that does not answer.
        OSError: if the disk is full; what is done is kept.
    """
    begun = time.monotonic()
    settings = in_plain_words({name: value for name, value in settings.items() if value is not None})
    for name in settings.keys() & FILES:  # workers have folders of their own
        settings[name] = os.path.abspath(settings[name])
    sources = _sources(paths, sheet, out, job)
    if together is None and any(source.settings for source in sources):
        together = 1  # side by side are images of one setting
    if scheduler is not None:
        check_scheduler(scheduler)
    folder = open_folder(out)
    ledger = Ledger(sources, folder.absolute(), job, settings, progress)
    try:
        _do_what_is_missing(ledger, scheduler, workers, workers_per_gpu, together)
    except (Terminated, KeyboardInterrupt) as ended:
        so_far = f"with {ledger.finished} of {ledger.images} images done; run again to go on"
        if isinstance(ended, KeyboardInterrupt):
            raise KeyboardInterrupt(f"interrupted {so_far}") from ended
        ended.message = f"ended by SIGTERM {so_far}"
        raise
    finally:
        ledger.close()
    about = {"version": pyrodrop.__version__, "job": job, "settings": settings}
    summary = put_together(ledger.entries(), folder, about)
    public = {name: value for name, value in summary.items() if name not in ("tables", "state")}
    if job == "measure":
        public |= pool_samples(ledger.entries(), folder, summary["state"], progress)
    seconds = round(time.monotonic() - begun, 3)
    return public | {"done_before": ledger.done_before, "seconds": seconds, "results": str(folder)}


def _sources(
    paths: Sequence[str | os.PathLike[str]],
    sheet: str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
    job: str,
) -> list[Source]:
    """The images that are named, in one of two ways."""
    if sheet is None:
        return find_sources(paths, Path(out))
    if paths:
        raise SettingError("paths and a sheet are given; name images in one of them", "sheet")
    return read_sheet(sheet, job)


def _do_what_is_missing(
    ledger: Ledger,
    scheduler: str | None,
    workers: int | None,
    workers_per_gpu: int | None,
    together: int | None,
) -> None:
    missing = ledger.missing()
    first = next(missing, None)
    if first is None:  # nothing is started, and nothing heavy imported
        clear_dead_runs(ledger.folder)
        clear_kept(ledger.folder)
        return
    from pyrodrop.workflows.batch.handing_out import outcomes
    from pyrodrop.workflows.batch.jobs import JOBS, check_job, together_most
    from pyrodrop.workflows.cluster.clients import workers_of

    check_job(ledger.job, ledger.settings)
    check_rows(ledger.sources, lambda settings: check_job(ledger.job, settings), ledger.settings)
    most = together_most(ledger.job, ledger.settings, together)

    def images_of_a_worker(workers: int, on_gpu: bool) -> int:
        if together is not None or not on_gpu:
            return most[on_gpu]
        return min(most[on_gpu], math.ceil(ledger.images / workers))  # so that no GPU has none

    with ExitStack() as stack:
        run = stack.enter_context(run_folder(ledger.folder))
        if scheduler is not None:
            client = stack.enter_context(workers_of(scheduler))
        else:
            client = stack.enter_context(_own_workers(ledger, workers, workers_per_gpu))
        tasks = (replace(task, run=str(run)) for task in itertools.chain([first], missing))
        for task, outcome in outcomes(client, tasks, ledger.say, JOBS[ledger.job].on_gpu, images_of_a_worker):
            if outcome.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(ledger.folder))
            ledger.note(task, outcome)


def _own_workers(ledger: Ledger, workers: int | None, workers_per_gpu: int | None) -> AbstractContextManager[Any]:
    import torch
    from dask.system import CPU_COUNT

    from pyrodrop.workflows.batch.jobs import JOBS
    from pyrodrop.workflows.cluster.clients import own_workers

    each = 1 if workers_per_gpu is None else positive_whole("workers_per_gpu", workers_per_gpu)
    most = CPU_COUNT if workers is None else positive_whole("workers", workers)
    device = ledger.settings.get("device", "auto")
    wanted = JOBS[ledger.job].on_gpu and (device == "auto" or device.startswith("cuda"))
    gpus = torch.cuda.device_count() if wanted else 0
    if gpus:
        return own_workers(0, gpus, each)
    return own_workers(min(most, ledger.images - ledger.done_before))
