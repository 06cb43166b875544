"""Dask workers, of this machine or of a cluster's scheduler, and tasks handed to them a few at a time."""

import asyncio
import itertools
import json
import logging
import math
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pyrodrop.workflows.batch.grouped_tasks import do_together
from pyrodrop.workflows.batch.scheduler_address import CONNECT_SECONDS, no_answer
from pyrodrop.workflows.batch.tasks import MOST_ATTEMPTS, Outcome, Task, attempts, killed
from pyrodrop.workflows.settings import SettingError

# A scheduler blames every image that waits at a worker for its death; the innocent are handed out again, so often.
_MOST_HANDED_OUT = 20
_LOOK_SECONDS = 2.0
_PATIENCE_SECONDS = 30
_SETTINGS = {
    # After so many deaths a task is given up; here each begins anew until it has had its attempts.
    "distributed.scheduler.allowed-failures": MOST_ATTEMPTS - 1,
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.pause": False,
    "distributed.admin.tick.limit": "1h",
    # It would look at what a worker does a hundred times a second, for a page that nobody sees.
    "distributed.worker.profile.enabled": False,
    # It would give memory back to the system after every array, and each new one would be taken page by page.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
}


@contextmanager
def own_workers(workers: int, gpus: int = 0, workers_per_gpu: int = 1) -> Iterator[Any]:
    """A client of a cluster on this machine; all its processes are gone when this ends.

    Args:
        workers: the number of worker processes, of one thread each; with GPUs ``gpus * workers_per_gpu``.
        gpus: the number of GPUs, each of which is all that its workers see.
        workers_per_gpu: how many images are worked on at a time on one GPU.
    """
    _silence()
    import dask
    from distributed import Client, LocalCluster, Nanny, Scheduler, SpecCluster
    from distributed.system import MEMORY_LIMIT

    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    common: dict[str, Any] = {"silence_logs": logging.CRITICAL}
    # Without a dashboard there is still a page of the scheduler's: on any free port, for this machine alone.
    page = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    settings = {**_SETTINGS, **{f"distributed.nanny.pre-spawn-environ.{n}": 1 for n in one_thread}}
    with dask.config.set(settings), _environment_kept():
        if gpus:
            visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
            names = visible.split(",") if visible else [str(number) for number in range(gpus)]
            specs = {}
            for number in range(gpus * workers_per_gpu):
                env = one_thread | {"CUDA_VISIBLE_DEVICES": names[number % gpus]}
                options = {"nthreads": 1, "resources": {"GPU": 1}, "env": env, "memory_limit": 0, **common}
                specs[number] = {"cls": Nanny, "options": options}
            scheduler = {"cls": Scheduler, "options": {"host": "127.0.0.1", **page}}
            cluster = SpecCluster(specs, scheduler=scheduler, **common)
        else:
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                dashboard_address=None,
                scheduler_kwargs=page,
                memory_limit=MEMORY_LIMIT // workers,
                env=one_thread,
                **common,
            )
        try:
            with Client(cluster, set_as_default=False) as client:
                yield client
        except BaseException:
            for nanny in cluster.workers.values():  # what is under way is not waited for
                nanny.auto_restart = False
                if nanny.pid is not None:
                    with suppress(ProcessLookupError):
                        os.kill(nanny.pid, signal.SIGKILL)
            raise
        finally:
            cluster.close()


@contextmanager
def _environment_kept() -> Iterator[None]:
    """What Dask writes into the environment of this process, for its workers to inherit, is taken back.

    Left there, one thread would be all that Numba has in whatever this process does next.
    """
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def workers_of(scheduler: str) -> Iterator[Any]:
    """A client of a scheduler that somebody else started, by its address or by the file that it writes.

    Raises:
        SettingError: if there is no such scheduler.
    """
    _silence()
    from distributed import Client
    from distributed.comm.core import connect

    where: dict[str, Any] = {"address": scheduler}
    if Path(scheduler).is_file():
        where = {"scheduler_file": scheduler}
        scheduler_address = json.loads(Path(scheduler).read_text())["address"]
    else:
        scheduler_address = scheduler

    async def greet() -> None:
        """Whoever else listens there is found out before a client is made, which would go on trying."""
        comm = await connect(scheduler_address, timeout=CONNECT_SECONDS)
        await comm.close()

    try:
        asyncio.run(asyncio.wait_for(greet(), CONNECT_SECONDS))
        client = Client(**where, set_as_default=False)
    except Exception as error:  # whatever it is that listens there may answer anything
        own = " ".join(str(error).split()) or type(error).__name__
        # An answer that is not Dask's is read as the length of a message, and fails as no person can make sense of.
        reason = own if isinstance(error, OSError) else "what listens there is no scheduler of Dask"
        raise no_answer(scheduler, reason) from error
    with client:
        yield client


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


def _silence() -> None:
    """Silence Dask's messages of its connections, which say nothing to a person: what matters is said in lines of ours.

    A cluster keeps silent only until it is closed, and connections that close after it are reported. Loggers are set
    when ``distributed`` is imported; those of a process that has done so before, or of a person who has said in a
    file of Dask's what is to be logged, are left as they are.
    """
    import dask

    if not dask.config.get("logging", None):
        dask.config.set({"logging": dict.fromkeys(("distributed", "distributed.client"), "critical")})
