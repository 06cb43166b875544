"""A Python of its own, in which a hang or a full memory stays."""

import os
import subprocess
import sys


def run(*argv: str, seconds: float) -> "subprocess.CompletedProcess[str]":
    """Run Python with what this one can import; raises ``subprocess.TimeoutExpired`` after so many seconds."""
    return subprocess.run(
        [sys.executable, *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
