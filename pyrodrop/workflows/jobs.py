"""What can be done to an image, by name: each job reads one image and leaves one folder of results."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from pyrodrop.workflows.settings import SettingError

# Takes the image's path, the folder of the results and settings by name; returns the summary.
Work = Callable[..., dict[str, Any]]


class Job(NamedTuple):
    """Where a job is written; it is imported when it is first done, for that takes seconds.

    Attributes:
        module: dotted name of its module.
        work: name of the function that does it.
        on_gpu: whether it can use one.
    """

    module: str
    work: str
    on_gpu: bool


JOBS = {
    "fit": Job("pyrodrop.workflows.fit_image", "fit_image", on_gpu=True),
    "measure": Job("pyrodrop.workflows.measure_image", "measure_image", on_gpu=False),
}


def work_of(job: str) -> Work:
    """The function that does a job; raises ``SettingError`` where there is no such job."""
    if job not in JOBS:
        raise SettingError(f"job is {job!r}, expected one of {', '.join(JOBS)}")
    work: Work = getattr(import_module(JOBS[job].module), JOBS[job].work)
    return work


def check_job(job: str, settings: Mapping[str, Any]) -> None:
    """Raise ``SettingError`` or ``ImageError`` for a job or settings that no image could be worked on with.

    What is wrong for all images, wherever they are worked on, is known by the function ``check_WORK`` beside a job's
    function WORK, which takes the same settings. Where there is none, every image says for itself what is wrong.
    """
    work_of(job)
    check = getattr(import_module(JOBS[job].module), f"check_{JOBS[job].work}", None)
    if check is not None:
        check(**settings)
