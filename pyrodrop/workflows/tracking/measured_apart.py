"""The frames of a stack measured by Dask workers, of this machine or of a scheduler; each keeps what it has measured.

A frame that a worker could not measure, or at which it died, is left to the process that asked: it says why.
"""

import math
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from pyrodrop.images import ImageError
from pyrodrop.workflows.cluster.clients import own_workers, workers_of
from pyrodrop.workflows.cluster.scheduler_address import check_scheduler
from pyrodrop.workflows.settings import positive_whole
from pyrodrop.workflows.tracking.measured_frames import KeptFrames, measured_frame
from pyrodrop.workflows.tracking.stack import FrameStack, stack_of_path

# A worker has so many frames waiting, so that it need not wait for one.
_WAITING = 1.5


class Apart(NamedTuple):
    """Who measures the frames of a file.

    Attributes:
        path, reading: of the stack, for ``stack_of_path``.
        keep: folder of the tables of measured frames; workers elsewhere must see it, and the stack, by the same path.
        workers: processes on this machine.
        scheduler: address of a Dask scheduler, or the file that it writes, in the place of these.
    """

    path: str
    reading: dict[str, Any]
    keep: str
    workers: int | None = None
    scheduler: str | None = None

    def __call__(
        self,
        numbers: Sequence[int],
        profile: str,
        size: tuple[int, int],
        measuring: dict[str, Any],
        say: Callable[[int], None],
    ) -> None:
        """Measure frames, as many at a time as there are workers; ``say`` is told the number of each that is done."""
        from distributed import as_completed

        where = [self.path, tuple(sorted(self.reading.items())), self.keep]
        with self._client(len(numbers)) as client, client.as_current():
            waiting = iter(numbers)

            def hand_out() -> Any:
                number = next(waiting, None)
                if number is None:
                    return None
                return client.submit(_work, *where, number, profile, size, measuring, pure=False)

            there = max(len(client.scheduler_info(n_workers=-1)["workers"]), 1)
            first = [future for _ in range(math.ceil(_WAITING * there)) if (future := hand_out()) is not None]
            done = as_completed(first)
            for future in done:
                if future.exception() is None and (number := future.result()) is not None:
                    say(number)
                if (more := hand_out()) is not None:
                    done.add(more)
                future.release()

    def check(self) -> None:
        """Raise ``SettingError`` for a number of workers that is none, and a scheduler that cannot be."""
        if self.workers is not None:
            positive_whole("workers", self.workers)
        if self.scheduler is not None:
            check_scheduler(self.scheduler)

    def _client(self, frames: int) -> AbstractContextManager[Any]:
        if self.scheduler is not None:
            return workers_of(self.scheduler)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return own_workers(min(self.workers or cores, frames))


@lru_cache(maxsize=1)
def _stack(path: str, reading: tuple[tuple[str, Any], ...]) -> FrameStack:
    """The stack of a worker, opened once."""
    return stack_of_path(path, **dict(reading))


def _work(
    path: str,
    reading: tuple[tuple[str, Any], ...],
    keep: str,
    number: int,
    profile: str,
    size: tuple[int, int],
    measuring: dict[str, Any],
) -> int | None:
    """Measure a frame and keep what came of it; its number, or None where it cannot be read."""
    stack = _stack(path, reading)
    kept = KeptFrames(Path(keep), stack, measuring)
    how = {name: value for name, value in measuring.items() if name != "profile"}
    try:
        measured_frame(stack, number, profile, size, how, kept)
    except ImageError:
        return None
    return number
