"""A program that spoils inputs by the thousand, run in a Python of its own, in which a hang or a full memory stays."""

import json
import subprocess
from pathlib import Path
from typing import Any

from fresh_python import run_python


def report_of(program: Path, folder: Path, count: int, seed: int, *kinds: str, seconds: float) -> dict[str, Any]:
    """What a program found, as it prints it at its end: its ``faults``, and how often it ``met`` what.

    Args:
        program: the file; it says in ``now`` in the folder what it is at.
        folder: where it works.
        count: how many times it spoils each kind.
        seed: of its chances.
        kinds: those to spoil, all where none is named.
        seconds: what a hang is known by; it is then named by what the program was at, and so is its death.
    """
    now = folder / "now"
    try:
        done = run_python(str(program), str(folder), str(count), str(seed), *kinds, seconds=seconds)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"it hangs at: {now.read_text()}") from None
    assert done.returncode == 0, f"{now.read_text()}: {done.stderr}"
    report: dict[str, Any] = json.loads(done.stdout)
    return report
