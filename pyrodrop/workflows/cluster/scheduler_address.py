"""Whether a Dask scheduler can be reached, found out in two seconds and before anything heavy is imported."""

import json
import re
import socket
import threading
import time
from pathlib import Path

from pyrodrop.workflows.settings import SettingError

# A scheduler that is there answers at once; Dask would try for 30 s.
CONNECT_SECONDS = 2.0
# A job script may start scheduler and batch together.
FILE_SECONDS = 30.0
_ADDRESS = re.compile(r"(?:(?:tcp|tls)://)?(\[[^\]]+\]|[^\s/:\[\]]+):(\d{1,5})")


def _wait_for_file(path: Path) -> None:
    """Wait until a scheduler's file is there, as Dask does, but not for ever."""
    ends = time.monotonic() + FILE_SECONDS
    while not path.is_file() and time.monotonic() < ends:
        time.sleep(0.1)


def check_scheduler(scheduler: str) -> None:
    """Raise ``SettingError`` where nothing listens at the address of a scheduler, or in the file that it writes.

    Addresses of other protocols than TCP and TLS are left for Dask to try.
    """
    address = scheduler
    if scheduler.endswith(".json"):  # a scheduler that was started just now writes its file in some seconds
        _wait_for_file(Path(scheduler))
    if Path(scheduler).is_file():
        try:
            address = str(json.loads(Path(scheduler).read_text())["address"])
        except (OSError, ValueError, KeyError, TypeError):
            raise no_answer(scheduler, "it is not a file that a scheduler has written") from None
    elif "://" not in scheduler and not _ADDRESS.fullmatch(scheduler):
        raise no_answer(scheduler, "it is neither an address nor a file")
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        return
    reason = [f"no answer within {CONNECT_SECONDS:g} s"]

    def connect() -> None:
        try:
            socket.create_connection((parts[1].strip("[]"), int(parts[2])), CONNECT_SECONDS).close()
        except (OSError, OverflowError) as error:
            reason.append(getattr(error, "strerror", None) or str(error) or type(error).__name__)
        else:
            reason.clear()

    # In a thread of its own: the search for a host's name cannot be cut short otherwise.
    attempt = threading.Thread(target=connect, daemon=True)
    attempt.start()
    attempt.join(CONNECT_SECONDS + 0.2)
    if reason:
        raise no_answer(scheduler, reason[-1])


def no_answer(scheduler: str, reason: str) -> SettingError:
    """The error for a scheduler that does not answer."""
    return SettingError(
        f"scheduler {scheduler} does not answer ({reason}); give its address, as tcp://host:8786, or its file",
        "scheduler",
    )
