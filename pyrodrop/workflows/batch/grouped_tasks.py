"""Several images worked on at once by one worker; each that does not come out is then worked on alone."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pyrodrop.workflows.batch.jobs import together_of
from pyrodrop.workflows.batch.result_folders import read_record
from pyrodrop.workflows.batch.tasks import Outcome, Task, alone, claim, do, publish_results, ready


def do_together(tasks: Sequence[Task]) -> list[Outcome]:
    """Work on images of one job and settings, in a worker, side by side; those that do not come out are done alone.

    An image is worked on with others once: if the worker dies at it, all of them are done alone from then on, so that
    the one that it dies of is found and costs no other its attempts.
    """
    done = {number for number, task in enumerate(tasks) if read_record(task.folder, task.key) is not None}
    if len(tasks) - len(done) > 1:
        with alone:
            done |= _side_by_side({number: task for number, task in enumerate(tasks) if number not in done})
    return [Outcome() if number in done else do(task) for number, task in enumerate(tasks)]


def _side_by_side(tasks: dict[int, Task]) -> set[int]:
    """The numbers of those whose results are published."""
    claimed: dict[int, Path] = {}
    done: set[int] = set()
    try:
        for number, task in tasks.items():
            folder = Path(task.run) / f"{Path(task.folder).name}.together"
            with suppress(OSError):  # tried before, or the disk is full, which is reported when it is done alone
                claim(folder)
                claimed[number] = folder
        if len(claimed) < len(tasks) or ready(tasks[min(tasks)]) is not None:
            return done
        numbers = list(claimed)
        first = tasks[numbers[0]]
        work = together_of(first.job)
        wanted = [(tasks[n].path, tasks[n].frame, str(claimed[n] / "results")) for n in numbers]
        for place, seconds in work(wanted, **first.settings):
            number = numbers[place]
            with suppress(OSError):
                if publish_results(tasks[number], claimed[number] / "results", round(seconds, 3)):
                    done.add(number)
    except Exception:  # what it was, an image says when it is done alone
        return done
    finally:
        for folder in claimed.values():
            shutil.rmtree(folder, ignore_errors=True)
    return done
