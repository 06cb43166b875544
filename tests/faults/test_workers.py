"""Workers that die, and runs that share a folder."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from faults.processes import BATCH, nothing_damaged, own, run, start, tables

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="signals and file systems as POSIX has them"),
]


def kill_whoever_works_on(name: str, out: Path, times: int, process: "subprocess.Popen[str]") -> int:
    """Kill the workers of an image as often as asked, while they work on it; how often it was done."""
    for number in range(1, times + 1):
        worker = next(iter(out.glob(f".under-way/*/{name}.{number}/worker.json")), None)
        while worker is None or not worker.read_text().endswith("}"):
            if process.poll() is not None:
                return number - 1
            time.sleep(0.002)
            worker = next(iter(out.glob(f".under-way/*/{name}.{number}/worker.json")), None)
        os.kill(json.loads(worker.read_text())["pid"], signal.SIGKILL)
    return times


@pytest.mark.parametrize("times", [1, 3])
def test_an_image_whose_worker_dies_is_tried_again_twice_and_then_reported(
    times: int, images: Path, undisturbed_batch: Path, tmp_path: Path
) -> None:
    (victim,) = undisturbed_batch.glob("1-*")
    out = tmp_path / "out"
    process = start("batch", str(images), *BATCH, "--out", str(out), "--quiet", "--json")
    assert kill_whoever_works_on(victim.name, out, times, process) == times
    told, messages = process.communicate()
    summary = json.loads(told)
    assert "Traceback" not in messages
    if times == 1:
        assert (process.returncode, summary["done"], summary["failed"]) == (0, 4, 0)
        assert tables(out) == tables(undisturbed_batch)
        return
    assert (process.returncode, summary["done"], summary["failed"]) == (1, 3, 1)
    (failure,) = summary["failures"]
    assert failure["image"] == str(images / "1.png")
    assert "died 3 times" in failure["reason"]
    # The next run begins anew, with nothing held against the image.
    assert run("batch", str(images), *BATCH, "--out", str(out), "--quiet")[0] == 0
    assert tables(out) == tables(undisturbed_batch)


def test_two_runs_on_one_output_folder(images: Path, undisturbed_batch: Path, tmp_path: Path) -> None:
    argv = ("batch", str(images), *BATCH, "--out", str(tmp_path / "out"), "--quiet", "--json")
    both = [start(*argv), start(*argv)]
    for process in both:
        told, messages = process.communicate()
        assert (process.returncode, own(messages)) == (0, [])
        assert json.loads(told)["done"] == 4
    nothing_damaged(tmp_path / "out")
    assert tables(tmp_path / "out") == tables(undisturbed_batch)
    assert len([path for path in (tmp_path / "out").iterdir() if path.is_dir()]) == 4
