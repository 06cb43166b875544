"""Tasks handed to Dask workers a few at a time, and what becomes of each."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

from pyrodrop.workflows.batch.grouped_tasks import do_together
from pyrodrop.workflows.batch.tasks import Outcome, Task, attempts, killed
from pyrodrop.workflows.cluster.clients import MOST_ATTEMPTS
from pyrodrop.workflows.settings import SettingError

# A scheduler blames every image that waits at a worker for its death; the innocent are handed out again, so often.
_MOST_HANDED_OUT = 20
_LOOK_SECONDS = 2.0
_PATIENCE_SECONDS = 30


def outcomes(
    client: Any, tasks: Iterator[Task], say: Callable[[str], None], on_gpu: bool, together: Callable[[int, bool], int]
) -> Iterator[tuple[Task, Outcome]]:
    """Hand out tasks, as many at a time as there are workers and a few more; give back what becomes of each.

    Args:
        client: of the scheduler.
        tasks: what is to be done; the next one is only asked for when somebody is about to be free.
        say: given a line for a person, when no worker answers.
        on_gpu: give them only to workers that have the resource GPU, if there are any.
        together: how many images a worker is given at once, by the number of workers and whether they have a GPU.

    Raises:
        SettingError: if the scheduler is gone.
    """
    from concurrent.futures import CancelledError

    from distributed import KilledWorker, wait

    under_way: dict[Any, tuple[tuple[Task, ...], int]] = {}
    resources: dict[str, int] | None = None
    more = True
    idle = 0.0

    def hand_out(group: tuple[Task, ...]) -> Any:
        # No result is ever taken for another's: what is there already is seen on disk and not by the scheduler.
        return client.submit(do_together, group, resources=resources, pure=False)

    while more or under_way:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        if on_gpu and any("GPU" in worker["resources"] for worker in workers):
            resources = {"GPU": 1}
        free = len([worker for worker in workers if resources is None or "GPU" in worker["resources"]])
        # One more than there are workers, and one in four: none waits while the next image is looked at.
        wanted = 1 + math.ceil(free * 1.25)
        while more and len(under_way) < wanted:
            group = tuple(itertools.islice(tasks, together(max(free, 1), resources is not None)))
            if group:
                under_way[hand_out(group)] = group, 1
            else:
                more = False
        if not under_way:
            break
        try:
            with client.as_current():
                finished = wait(list(under_way), timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED").done
            idle = 0.0
        except TimeoutError:
            idle = 0.0 if free else idle + _LOOK_SECONDS
            if idle and idle % _PATIENCE_SECONDS < _LOOK_SECONDS:
                say(f"no worker has been there for {idle:.0f} s; waiting")
            continue
        except CancelledError as error:
            raise SettingError("the scheduler is gone; what is done is kept, run again for the rest") from error
        for future in finished:
            group, times = under_way.pop(future)
            failure = future.exception()
            if failure is None:
                yield from zip(group, future.result(), strict=True)
            elif not isinstance(failure, KilledWorker):
                reason = f"{type(failure).__name__}: {' '.join(str(failure).split())}"
                yield from ((task, Outcome(reason)) for task in group)
            else:
                for task in group:  # alone from now on
                    if attempts(task) >= MOST_ATTEMPTS or times >= _MOST_HANDED_OUT:
                        yield task, Outcome(killed(max(attempts(task), 1)))
                    else:
                        under_way[hand_out((task,))] = (task,), times + 1
            future.release()
