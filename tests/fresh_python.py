"""A Python of its own, for what must not be of this one: what it has imported, its state, a hang or a full memory."""

import os
import subprocess
import sys
from collections.abc import Sequence


def run_python(
    *argv: str, seconds: float | None = None, first: Sequence[str] = ()
) -> "subprocess.CompletedProcess[str]":
    """Run Python with what this one can import, and keep what it prints.

    Args:
        argv: its arguments, as ``"-c"`` and a program.
        seconds: it is ended after these, and ``subprocess.TimeoutExpired`` raised.
        first: folders to import from before all others.
    """
    return subprocess.run(
        [sys.executable, *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*first, *sys.path])},
    )
