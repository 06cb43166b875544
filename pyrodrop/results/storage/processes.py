"""Which process something belongs to, in a name: whoever comes after sees whether it may still be at it."""

import os
import socket
import time

# A process on another machine cannot be asked whether it lives: it is given this long without a sign of life.
_SILENT_SECONDS = 24 * 3600.0
# The time at which a process began is counted from the start of the machine, which moves when its clock is set.
_CLOCK_SECONDS = 5.0


def this_process() -> str:
    """Words for this process that no other has: machine, number and beginning, with commas between."""
    import psutil

    pid = os.getpid()
    return f"{socket.gethostname()},{pid},{psutil.Process(pid).create_time():.2f}"


def may_live(process: str, last_seen: float) -> bool:
    """Whether a process may still live.

    Args:
        process: its words, as ``this_process`` gives them. What is none does not live.
        last_seen: when it last did something, in seconds as ``time.time`` counts them.
    """
    import psutil

    try:
        host, pid, begun = process.rsplit(",", 2)
        if host == socket.gethostname():
            known = psutil.Process(int(pid))
            same = abs(known.create_time() - float(begun)) < _CLOCK_SECONDS
            return same and bool(known.status() != psutil.STATUS_ZOMBIE)
        return time.time() - last_seen < _SILENT_SECONDS
    except (psutil.Error, ValueError):
        return False
