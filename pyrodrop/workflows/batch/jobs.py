"""The jobs that a batch can do to an image, by name: each reads one image and writes one folder of results."""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from pyrodrop.workflows.settings import SettingError, positive_whole

# Images that are worked on at once on a GPU.
MOST_TOGETHER = 64

# Takes the image's path, the folder of the results and settings by name; returns the summary.
Work = Callable[..., dict[str, Any]]
# Takes path, frame or None and folder of the results of each image, and settings by name; gives the number of each
# image whose results are whole, and its seconds.
WorkTogether = Callable[..., Iterator[tuple[int, float]]]


class Job(NamedTuple):
    """Where a job is written; it is imported when it is first done, for that takes seconds.

    Attributes:
        module: dotted name of its module.
        work: name of the function that does it.
        on_gpu: whether most of its work is done on one, so that its workers are one a GPU and not one a core.
        together: module and name of the function that does it to several images at once; None where there is none.
        keeps: whether it takes ``keep``, a folder for what it has worked out, from which the next attempt goes on.
    """

    module: str
    work: str
    on_gpu: bool
    together: tuple[str, str] | None = None
    keeps: bool = False


JOBS = {
    "fit": Job(
        "pyrodrop.workflows.commands.fit",
        "fit_image",
        on_gpu=True,
        together=("pyrodrop.workflows.commands.fit_many", "fit_images"),
    ),
    "measure": Job("pyrodrop.workflows.commands.measure", "measure_image", on_gpu=False, keeps=True),
}


def work_of(job: str) -> Work:
    """The function that does a job; raises ``SettingError`` where there is no such job."""
    if job not in JOBS:
        raise SettingError(f"job is {job!r}, expected one of {', '.join(JOBS)}")
    work: Work = getattr(import_module(JOBS[job].module), JOBS[job].work)
    return work


def together_of(job: str) -> WorkTogether:
    """The function that does a job to several images at once."""
    where = JOBS[job].together
    assert where is not None, f"{job} is done to one image at a time"
    work: WorkTogether = getattr(import_module(where[0]), where[1])
    return work


def together_most(job: str, settings: Mapping[str, Any], together: int | None) -> tuple[int, int]:
    """How many images a worker may work on at once: one that has no GPU, and one that has.

    Args:
        job, settings: what is to be done.
        together: how many were asked for; None is one at a time, and on a GPU up to ``MOST_TOGETHER``.

    Raises:
        SettingError: if the number is none, or the job is done to one image at a time.
    """
    asked = None if together is None else positive_whole("together", together)
    if JOBS[job].together is None:
        if asked is not None and asked > 1:
            raise SettingError(f"together is {asked}, but {job} takes one image at a time; leave it out")
        return 1, 1
    if settings.get("n_droplets") == "auto":  # the numbers differ, and with them the shapes
        return 1, 1
    if asked is not None:
        return asked, asked
    return 1, 1 if settings.get("device", "auto") == "cpu" else MOST_TOGETHER


def check_job(job: str, settings: Mapping[str, Any]) -> None:
    """Raise ``SettingError`` or ``ImageError`` for a job or settings that no image could be worked on with.

    What is wrong for all images, wherever they are worked on, is known by the function ``check_WORK`` beside a job's
    function WORK, which takes the same settings. Where there is none, every image says for itself what is wrong.
    """
    work_of(job)
    check = getattr(import_module(JOBS[job].module), f"check_{JOBS[job].work}", None)
    if check is not None:
        check(**settings)
