"""Clients of Dask workers, of this machine or of a cluster's scheduler."""

import asyncio
import json
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pyrodrop.workflows.cluster.scheduler_address import CONNECT_SECONDS, no_answer

# A piece of work whose worker has died is begun this often in all.
MOST_ATTEMPTS = 3
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


def _silence() -> None:
    """Silence Dask's messages of its connections, which say nothing to a person: what matters is said in lines of ours.

    A cluster keeps silent only until it is closed, and connections that close after it are reported. Loggers are set
    when ``distributed`` is imported; those of a process that has done so before, or of a person who has said in a
    file of Dask's what is to be logged, are left as they are.
    """
    import dask

    if not dask.config.get("logging", None):
        dask.config.set({"logging": dict.fromkeys(("distributed", "distributed.client"), "critical")})
