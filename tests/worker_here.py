"""A batch whose only worker is this process: no interpreter is started where the images are what is tried."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch


class _Done:
    """What has become of something that was handed out."""

    def __init__(self, result: Any, failure: Exception | None) -> None:
        self._result, self._failure = result, failure

    def result(self) -> Any:
        return self._result

    def exception(self) -> Exception | None:
        return self._failure

    def release(self) -> None:
        """Nobody needs it any more."""


class _Here:
    """A client of Dask whose only worker is this process: what is handed out is done at once."""

    def __init__(self, died: Callable[[BaseException], bool]) -> None:
        self._died = died

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return {"workers": {"here": {"resources": {}}}}

    def submit(self, work: Any, group: Any, **how: Any) -> Any:
        from distributed import KilledWorker

        failure: Exception | None = None
        result = None
        try:
            result = work(group)
        except Exception as error:
            failure = error
        except BaseException as error:
            if not self._died(error):
                raise
            failure = KilledWorker("task", None, 3)
        return _Done(result, failure)

    def as_current(self) -> Any:
        return contextlib.nullcontext()


@contextmanager
def worker_here(died: Callable[[BaseException], bool] = lambda _: False) -> Iterator[None]:
    """Batches in here start no processes.

    Args:
        died: whether what ended a piece of work, no ``Exception``, is the death of a worker and not of the batch.
    """
    here = contextlib.nullcontext(_Here(died))
    with (
        patch("pyrodrop.workflows.cluster.clients.own_workers", lambda *_: here),
        patch("distributed.wait", lambda futures, **_: SimpleNamespace(done=futures)),
    ):
        yield
