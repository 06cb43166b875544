"""Work on the tiles of an image side by side: in this process, or in others of one thread each."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context
from types import TracebackType
from typing import Any, TypeVar

from pyrodrop.workflows.settings import SettingError
from pyrodrop.workflows.tiles.large_image import LargeImage, open_large_image

T = TypeVar("T")

# Workers that die, as the system kills them for want of memory, are replaced so often; then one goes on alone, which
# needs the least memory.
_REPLACED = 2


class Workers:
    """Processes that work on parts of an image; as a context, none is left behind when it ends.

    Args:
        image: the image. With more than one worker it is opened anew in each, and so has to be a file.
        frame: which picture of the file.
        number: how many processes; 1 works in this one.
    """

    def __init__(self, image: LargeImage, frame: int | None, number: int) -> None:
        self.image = image
        self.frame = frame
        self.number = number
        self._pool: ProcessPoolExecutor | None = None
        self._died = 0

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def each(self, work: Callable[..., T], asked: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, T]]:
        """Call ``work(image, *asked[k])`` for all k; k and what it returned come as they are done.

        Where a worker dies, what was under way is done again by a new one.

        Raises:
            SettingError: if a worker dies that has worked alone after others have died.
        """
        if self.number <= 1:
            for k, one in enumerate(asked):
                yield k, work(self.image, *one)
            return
        missing = list(reversed(range(len(asked))))
        running: dict[Future[T], int] = {}
        while missing or running:
            alone = self._died > _REPLACED
            try:
                while missing and len(running) < (1 if alone else 2 * self.number):
                    running[self._submit(work, asked[missing[-1]])] = missing[-1]
                    missing.pop()
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    result = done.result()
                    yield running.pop(done), result
            except BrokenProcessPool:
                if alone:
                    raise SettingError(
                        "a process that measured a tile was killed, most likely for want of memory, and so was each "
                        "that tried again; what is done is kept: give smaller tiles"
                    ) from None
                self._died += 1
                self._end()
                missing += sorted(running.values(), reverse=True)
                running.clear()

    def _submit(self, work: Callable[..., T], asked: tuple[Any, ...]) -> "Future[T]":
        if self._pool is None:
            number = 1 if self._died > _REPLACED else self.number
            # Spawned: a fork would copy locks that threads of torch and Numba may hold.
            self._pool = ProcessPoolExecutor(number, get_context("spawn"), _begin, (os.getpid(),))
        return self._pool.submit(_apart, self.image.path, self.frame, self.image.pixel_size_um, work, asked)

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


def _begin(parent: int) -> None:
    """One thread a worker; and none stays behind where the process that started it was killed."""
    import numba
    import torch

    torch.set_num_threads(1)
    numba.set_num_threads(1)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _apart(
    path: str | None, frame: int | None, pixel_size_um: float | None, work: Callable[..., T], asked: tuple[Any, ...]
) -> T:
    return work(replace(open_large_image(path, frame), pixel_size_um=pixel_size_um), *asked)
