"""pyrodrop as a process of its own, that can be killed, and what may then be seen of it on the disk."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import tifffile
import torch
from PIL import Image

# How many moments are drawn at random for each test; where nothing is said, one of each kind.
MOMENTS = int(os.environ.get("PYRODROP_FAULTS", "1"))
# Signals and numbers of moments. Even ones are while a command is at its work, odd ones at any time since its start.
STOPS = [(how, moment) for how in (signal.SIGKILL, signal.SIGTERM) for moment in range(MOMENTS)]
FIT = ("--channel", "saturation", "--droplets", "6", "--device", "cpu")
BATCH = ("--job", "fit", "--channel", "saturation", "--droplets", "2", "--steps", "100", "--workers", "2")
# Checkpoints at short intervals, so that a kill falls between two of them.
RUN = """
import sys
import faults.blank
from pyrodrop.workflows.fitting import loop as stepping
from pyrodrop.workflows.measuring.progress import kept_on_disk
stepping._REPORT_SECONDS = 0.2
kept_on_disk._SECONDS = 0.0
from pyrodrop.cli import main
sys.exit(main(sys.argv[1:]))
"""


def start(*argv: str, code: str = RUN, **how: Any) -> "subprocess.Popen[str]":
    """Start pyrodrop in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "DASK_DISTRIBUTED__WORKER__PRELOAD": "faults.blank",
        },
        start_new_session=True,
        **how,
    )


def run(*argv: str, **how: Any) -> tuple[int, str, str]:
    """Run pyrodrop to its end: status, what it printed, its messages."""
    process = start(*argv, **how)
    told, messages = process.communicate()
    return process.returncode, told, messages


def own(messages: str) -> list[str]:
    """The lines that pyrodrop itself says: Dask logs a connection that closes under it, now and then."""
    return [line for line in messages.splitlines() if line.startswith("pyrodrop ")]


def children(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def all_gone(processes: list[psutil.Process]) -> bool:
    """Whether processes end by themselves; those that do not are killed, so that no test leaves one."""
    _, alive = psutil.wait_procs(processes, timeout=60)
    for process in alive:
        process.kill()
    return not alive


def wait_for(condition: Any, process: "subprocess.Popen[str]") -> bool:
    """Wait until something holds; False if the process ended before."""
    while process.poll() is None:
        if condition():
            return True
        time.sleep(0.01)
    return bool(condition())


def some_time(most: float) -> None:
    """Wait for a time drawn at random, which a test that fails tells."""
    seconds = random.uniform(0.0, most)
    print(f"then {seconds:.3f} s")
    time.sleep(seconds)


def nothing_damaged(folder: Path) -> None:
    """Every file that a person can see can be read to its end."""
    for path in folder.rglob("*"):
        if any(part.startswith(".") for part in path.relative_to(folder).parts) or not path.is_file():
            continue
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".csv":
            with path.open(newline="") as file:
                header, *rows = csv.reader(file)
            assert all(len(row) == len(header) for row in rows)
            assert path.read_text().endswith("\n")
        elif path.suffix == ".parquet":
            pd.read_parquet(path)
        elif path.suffix == ".pt":
            torch.load(path, weights_only=True)
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                picture.load()
        elif path.suffix == ".tif":
            tifffile.imread(path)
        else:  # whatever comes to be written must be looked at here, too
            raise AssertionError(f"{path} is of no kind that can be looked at")


def tables(out: Path) -> dict[str, bytes]:
    """The droplet tables that a person can see."""
    found = [path.relative_to(out) for path in out.rglob("droplets.csv")]
    return {str(path): (out / path).read_bytes() for path in found if not str(path).startswith(".")}
