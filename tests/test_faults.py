"""What really goes wrong: killed at any moment, ended by a scheduler, a full disk, a folder that is closed.

Each test does it to a process of its own. The moments are drawn at random: a few of them, and with
PYRODROP_FAULTS=100 in the environment a hundred a test.
"""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from PIL import Image

import pyrodrop
from pyrodrop.images import write_png

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and file systems as POSIX has them")

MOMENTS = int(os.environ.get("PYRODROP_FAULTS", "2"))
STEPS = 600
FIT = ("--channel", "saturation", "--droplets", "6", "--device", "cpu")
BATCH = ("--job", "fit", "--channel", "saturation", "--droplets", "2", "--steps", "100", "--workers", "2")
# Checkpoints at short intervals, so that a kill falls between two of them.
RUN = """
import sys
from pyrodrop.workflows import stepping
stepping._REPORT_SECONDS = 0.2
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
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
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
        elif path.suffix == ".pt":
            torch.load(path, weights_only=True)
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                picture.load()


def tables(out: Path) -> dict[str, bytes]:
    """The droplet tables that a person can see."""
    found = [path.relative_to(out) for path in out.rglob("droplets.csv")]
    return {str(path): (out / path).read_bytes() for path in found if not str(path).startswith(".")}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("image") / "drops.png"
    write_png(pyrodrop.simulate(6, (60, 80), seed=1)[0], path)
    return str(path)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for seed in range(4):
        write_png(pyrodrop.simulate(2, (30, 40), seed)[0], folder / f"{seed}.png")
    return folder


@pytest.fixture(scope="module")
def undisturbed_fit(image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fit")
    status, _, messages = run("fit", image, *FIT, "--steps", str(STEPS), "--out", str(out), "--quiet")
    assert (status, messages) == (0, "")
    return out


@pytest.fixture(scope="module")
def undisturbed_batch(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("batch") / "out"
    status, _, messages = run("batch", str(images), *BATCH, "--out", str(out), "--quiet")
    assert (status, own(messages)) == (0, [])
    return out


def finish_fit(image: str, out: Path) -> None:
    """Go on from the checkpoint, or begin again where there is none."""
    argv = ["fit", image, *FIT, "--steps", str(STEPS), "--out", str(out), "--quiet"]
    if (out / "fit.pt").exists():
        left = STEPS - len(pyrodrop.load(out / "fit.pt", device="cpu").losses)
        if left == 0:
            return
        argv = ["fit", image, "--channel", "saturation", "--device", "cpu", "--resume", str(out / "fit.pt")]
        argv += ["--steps", str(left), "--out", str(out), "--quiet"]
    assert run(*argv)[0] == 0


def same_fit(one: Path, other: Path) -> None:
    first, second = (pyrodrop.load(folder / "fit.pt", device="cpu") for folder in (one, other))
    assert torch.equal(first.losses.reshape(-1), second.losses.reshape(-1))
    assert torch.equal(first.state.params, second.state.params)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_fit_stopped_at_any_moment_goes_on_to_the_same_numbers(
    how: signal.Signals, moment: int, image: str, undisturbed_fit: Path, tmp_path: Path
) -> None:
    process = start("fit", image, *FIT, "--steps", str(STEPS), "--out", str(tmp_path), "--quiet")
    # From the first checkpoint on every second time: before it lie the imports, which take most of the time.
    if moment % 2 == 0:
        wait_for((tmp_path / "fit.pt").exists, process)
        time.sleep(random.random())
    else:
        time.sleep(8 * random.random())
    process.send_signal(how)
    _, messages = process.communicate()
    nothing_damaged(tmp_path)
    if how == signal.SIGTERM and process.returncode not in (0, -signal.SIGTERM):  # it may have ended, or not begun
        assert process.returncode == 143
        (said,) = own(messages)
        assert said.startswith("pyrodrop fit: ended by SIGTERM")
        if "iterations" in said:
            (taken,) = (int(word) for word in said.split() if word.isdigit())
            assert len(pyrodrop.load(tmp_path / "fit.pt", device="cpu").losses) == taken
    finish_fit(image, tmp_path)
    nothing_damaged(tmp_path)
    same_fit(tmp_path, undisturbed_fit)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
def test_a_measurement_stopped_at_any_moment_is_the_same_when_made_again(
    how: signal.Signals, images: Path, tmp_path: Path
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    argv = ("measure", str(images / "0.png"), "--channel", "saturation", "--profile", "gaussian", "--quiet")
    assert run(*argv, "--out", str(whole))[0] == 0
    for _ in range(max(MOMENTS // 2, 1)):
        process = start(*argv, "--out", str(out))
        time.sleep(12 * random.random())
        process.send_signal(how)
        process.communicate()
        if how == signal.SIGTERM:
            assert process.returncode in (0, 143, -signal.SIGTERM)
        if out.exists():
            nothing_damaged(out)
    assert run(*argv, "--out", str(out))[0] == 0
    assert tables(out) == tables(whole)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_batch_stopped_at_any_moment_goes_on_to_the_same_results(
    how: signal.Signals, moment: int, images: Path, undisturbed_batch: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = start("batch", str(images), *BATCH, "--out", str(out), "--quiet")
    if moment % 2 == 0:
        wait_for(lambda: bool(list(out.glob(".under-way/*/*.1/results"))), process)
        time.sleep(2 * random.random())
    else:
        time.sleep(12 * random.random())
    workers = children(process)
    process.send_signal(how)
    _, messages = process.communicate()
    assert all_gone(workers)
    if out.exists():
        nothing_damaged(out)
    if how == signal.SIGTERM and process.returncode not in (0, -signal.SIGTERM):
        assert process.returncode == 143
        (said,) = own(messages)
        assert said.startswith("pyrodrop batch: ended by SIGTERM")
        assert not (out / ".under-way").exists()
    status, told, messages = run("batch", str(images), *BATCH, "--out", str(out), "--quiet", "--json")
    assert (status, own(messages)) == (0, [])
    assert (json.loads(told)["done"], json.loads(told)["failed"]) == (4, 0)
    nothing_damaged(out)
    assert tables(out) == tables(undisturbed_batch)
    assert not (out / ".under-way").exists()


def kill_whoever_works_on(key: str, out: Path, times: int, process: "subprocess.Popen[str]") -> int:
    """Kill the workers of an image as often as asked, while they work on it; how often it was done."""
    for number in range(1, times + 1):
        worker = next(iter(out.glob(f".under-way/*/{key}.{number}/worker.json")), None)
        while worker is None or not worker.read_text().endswith("}"):
            if process.poll() is not None:
                return number - 1
            time.sleep(0.002)
            worker = next(iter(out.glob(f".under-way/*/{key}.{number}/worker.json")), None)
        os.kill(json.loads(worker.read_text())["pid"], signal.SIGKILL)
    return times


@pytest.mark.parametrize("times", [1, 3])
def test_an_image_whose_worker_dies_is_tried_again_twice_and_then_reported(
    times: int, images: Path, undisturbed_batch: Path, tmp_path: Path
) -> None:
    (victim,) = undisturbed_batch.glob("1-*/batch.json")
    key = json.loads(victim.read_text())["key"]
    out = tmp_path / "out"
    process = start("batch", str(images), *BATCH, "--out", str(out), "--quiet", "--json")
    assert kill_whoever_works_on(key, out, times, process) == times
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


def mounted(folder: Path, options: str) -> Path:
    """Mount a file system in memory on a new folder, or skip the test where that is not allowed."""
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root may mount")
    argv = [mount, "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(argv, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system may be mounted here")
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 192 kB."""
    disk = mounted(tmp_path / "disk", "size=192k")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder that nobody here may write to: root is only kept out by a disk that is read only."""
    if os.geteuid() != 0:
        (tmp_path / "closed").mkdir(mode=0o555)
        yield tmp_path / "closed"
        return
    disk = mounted(tmp_path / "closed", "ro")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("command", ["fit", "batch"])
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
    command: str, image: str, images: Path, small_disk: Path
) -> None:
    what = [image, *FIT, "--steps", "20"] if command == "fit" else [str(images), *BATCH]
    for filled in (0, 60 * 1024, 172 * 1024):  # so that it is full at different files
        out = small_disk / f"out{filled}"
        (small_disk / "filler").write_bytes(b"\0" * filled)
        status, told, messages = run(command, *what, "--out", str(out), "--quiet")
        assert (status, told) == (1, "")
        (said,) = own(messages)
        assert said.startswith(f"pyrodrop {command}: ")
        assert "No space left on device" in said
        assert "Traceback" not in messages
        nothing_damaged(out)
        shutil.rmtree(out)


def test_a_folder_that_may_not_be_written_to(image: str, images: Path, closed: Path) -> None:
    for argv in (["fit", image, *FIT, "--steps", "4"], ["batch", str(images), *BATCH]):
        for out in (closed, closed / "new"):
            status, told, messages = run(*argv, "--out", str(out), "--quiet")
            (said,) = own(messages)
            assert (status, told) == (2, "")
            assert str(out) in said
            assert "Traceback" not in messages
            assert list(closed.iterdir()) == []


def test_a_corrupt_file_among_many_good_ones(images: Path, undisturbed_batch: Path, tmp_path: Path) -> None:
    """A few good ones, whose results are those of a run without it; a thousand in the long variant."""
    good = sorted(images.glob("*.png"))
    folder, out = tmp_path / "images", tmp_path / "out"
    shutil.copytree(images, folder)
    many = 1000 if MOMENTS >= 100 else len(good)
    for number in range(len(good), many):
        # A byte behind the end of a PNG is no part of the picture, and makes another content of it.
        content = good[number % len(good)].read_bytes() + str(number).encode()
        (folder / f"{number}.png").write_bytes(content)
    whole = good[0].read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    status, told, messages = run("batch", str(folder), *BATCH, "--out", str(out), "--quiet", "--json")
    summary = json.loads(told)
    assert (status, summary["done"], summary["failed"]) == (1, many, 1)
    assert summary["failures"][0]["image"] == str(folder / "cut.png")
    assert "Traceback" not in messages
    for name, table in tables(undisturbed_batch).items():
        if name != "droplets.csv":
            assert (out / name).read_bytes() == table
    nothing_damaged(out)
