"""The script of the page on Slurm, run as it stands there; only ``srun`` is a stand-in, which starts the tasks here."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pyrodrop
from pyrodrop.images import write_png

PAGE = Path(__file__).parents[3] / "docs" / "slurm.md"
SETTINGS = ("--job", "fit", "--channel", "saturation", "--droplets", "2", "--steps", "4", "--start", "uniform")
# As srun does: as many tasks as are asked for or as the job has, signals handed on, the highest status.
SRUN = """
import argparse, os, signal, subprocess, sys
parser = argparse.ArgumentParser(allow_abbrev=False)
for flag in ("--overlap",):
    parser.add_argument(flag, action="store_true")
for flag in ("--nodes", "--ntasks", "--kill-on-bad-exit"):
    parser.add_argument(flag, type=int)
parser.add_argument("command", nargs=argparse.REMAINDER)
given = parser.parse_args()
tasks = [subprocess.Popen(given.command) for _ in range(given.ntasks or int(os.environ["SLURM_NTASKS"]))]
signal.signal(signal.SIGTERM, lambda *_: [task.terminate() for task in tasks])
with open(f"srun-{os.getpid()}", "w") as file:
    file.write(given.command[1])
sys.exit(max(status if status >= 0 else 128 - status for status in [task.wait() for task in tasks]))
"""

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="a script of bash's")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for seed in range(3):
        write_png(pyrodrop.simulate(2, (30, 40), seed)[0], folder / f"{seed}.png")
    return folder


def start(where: Path, *argv: str) -> "subprocess.Popen[str]":
    """Start the script in a folder, as Slurm would on the first node of a job of two tasks."""
    script = next(block for block in re.findall(r"```bash\n(.*?)```", PAGE.read_text(), re.DOTALL) if "#!" in block)
    binaries = where / "pyrodrop" / "bin"
    binaries.mkdir(parents=True)
    (where / "srun.py").write_text(SRUN)
    for name, does in (("srun", f"{where}/srun.py"), ("dask", "-m dask"), ("pyrodrop", "-m pyrodrop.cli")):
        (binaries / name).write_text(f'#!/bin/sh\nexec {sys.executable} {does} "$@"\n')
        (binaries / name).chmod(0o755)
    (binaries / "activate").write_text(f'PATH="{binaries}:$PATH"\n')
    ours = {name for name in os.environ if name.startswith("NUMBA")} - {"NUMBA_CACHE_DIR"}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    environment |= {"HOME": str(where), "SLURM_JOB_ID": "7", "SLURM_NTASKS": "2", "SLURM_MEM_PER_CPU": "4096"}
    return subprocess.Popen(
        ["bash", "-c", script, "pyrodrop.sh", *argv],
        cwd=where,
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def nothing_runs(process: "subprocess.Popen[str]") -> bool:
    """Whether all that the script has started ends; what does not is killed, so that no test leaves it."""
    for _ in range(600):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    return False


def test_a_job_does_all_images_and_leaves_nothing_running(images: Path, tmp_path: Path) -> None:
    process = start(tmp_path, str(images), *SETTINGS, "--out", "out", "--json")
    told, messages = process.communicate()
    assert process.returncode == 0, messages
    assert json.loads(told)["done"] == 3
    assert nothing_runs(process)
    assert sorted(path.name for path in tmp_path.glob("dask-*")) == ["dask-7-0.log"]
    log = (tmp_path / "dask-7-0.log").read_text()
    assert (log.count("Registered to"), log.count("Memory:                   3.50 GiB")) == (2, 2)


def test_a_job_that_is_told_to_end_says_so(images: Path, tmp_path: Path) -> None:
    """The signal goes to all steps at once, and not to the script."""
    process = start(tmp_path, str(images), *SETTINGS[:-4], "--out", "out")
    while not list((tmp_path / "out").glob(".under-way/*/*.1/results")):
        assert process.poll() is None
        time.sleep(0.01)
    for step in tmp_path.glob("srun-*"):
        os.kill(int(step.name.partition("-")[2]), signal.SIGTERM)
    _, messages = process.communicate()
    assert process.returncode == 143
    assert "pyrodrop batch: ended by SIGTERM with 0 of 3 images done; run again to go on" in messages
    assert nothing_runs(process)
    assert not list(tmp_path.glob("dask-*.json"))


def test_a_job_whose_scheduler_does_not_start_ends(images: Path, tmp_path: Path) -> None:
    process = start(tmp_path, str(images), "--out", "out")
    (tmp_path / "pyrodrop" / "bin" / "dask").write_text("#!/bin/sh\nexit 1\n")
    _, messages = process.communicate()
    assert process.returncode == 1
    assert "the scheduler did not start; see " in messages
    assert nothing_runs(process)
