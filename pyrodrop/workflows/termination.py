"""SIGTERM, which schedulers send before they kill: an exception, so that whatever is under way can be put away."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Some who send SIGTERM send it twice at once, to the process and to its group; the second one must not cut short
# what the first one has set off.
_REPEATS_WITHIN = 5.0
# An exception that falls into a finaliser or a callback of the garbage collector's ends there; the signal is sent anew.
_ANEW_AFTER = 0.01


class Terminated(SystemExit):
    """SIGTERM has come; the status is the one that shells give to it, 143."""

    def __init__(self, message: str = "ended by SIGTERM") -> None:
        super().__init__(128 + signal.SIGTERM)
        self.message = message

    def __str__(self) -> str:
        return self.message


@contextmanager
def terminated_by_signal() -> Iterator[None]:
    """Let SIGTERM raise ``Terminated`` in here; only the main thread may ask for that, in others nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    first: float | None = None

    def terminate(number: int, frame: FrameType | None) -> None:
        nonlocal first
        now = time.monotonic()
        if first is None or now - first > _REPEATS_WITHIN:
            first = now
            raise Terminated

    def swallowed(what: "sys.UnraisableHookArgs") -> None:
        nonlocal first
        if isinstance(what.exc_value, Terminated):
            first = None
            threading.Timer(_ANEW_AFTER, os.kill, (os.getpid(), signal.SIGTERM)).start()
        else:
            hook(what)

    before, hook = signal.signal(signal.SIGTERM, terminate), sys.unraisablehook
    sys.unraisablehook = swallowed
    try:
        yield
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
