"""Batches whose workers fit several images side by side: they die, are ended, and go on."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
from faults.processes import BATCH, all_gone, children, nothing_damaged, own, run, start, tables, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="signals and file systems as POSIX has them"),
]
TOGETHER = ("--together", "4", "--device", "cpu")


def same_tables(one: Path, other: Path) -> None:
    """The droplets of all images, but for rounding."""
    assert tables(one).keys() == tables(other).keys()
    for path in tables(one):
        pd.testing.assert_frame_equal(pd.read_csv(one / path), pd.read_csv(other / path), rtol=1e-2)


@pytest.fixture(scope="module")
def undisturbed(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("together") / "out"
    status, _, messages = run("batch", str(images), *BATCH, *TOGETHER, "--out", str(out), "--quiet")
    assert (status, own(messages)) == (0, [])
    return out


def test_side_by_side_they_are_the_results_of_one_by_one(undisturbed: Path, undisturbed_batch: Path) -> None:
    same_tables(undisturbed, undisturbed_batch)
    assert not (undisturbed / ".under-way").exists()


def test_what_was_fitted_side_by_side_is_what_a_batch_of_single_images_finds(
    images: Path, undisturbed: Path, tmp_path: Path
) -> None:
    shutil.copytree(undisturbed, tmp_path / "out")
    status, told, _ = run("batch", str(images), *BATCH, "--out", str(tmp_path / "out"), "--quiet", "--json")
    assert (status, json.loads(told)["done_before"]) == (0, 4)


def test_images_whose_worker_dies_at_them_are_done_alone(images: Path, undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start("batch", str(images), *BATCH, *TOGETHER, "--out", str(out), "--quiet", "--json")
    victims: list[Path] = []

    def at_work() -> bool:
        victims[:] = [path for path in out.glob(".under-way/*/*.together/worker.json") if path.read_text()[-1:] == "}"]
        return len(victims) == 4

    assert wait_for(at_work, process)
    os.kill(json.loads(victims[0].read_text())["pid"], signal.SIGKILL)
    told, messages = process.communicate()
    assert "Traceback" not in messages
    summary = json.loads(told)
    assert (process.returncode, summary["done"], summary["failed"]) == (0, 4, 0)
    same_tables(out, undisturbed)
    nothing_damaged(out)


def test_ended_at_any_moment_it_goes_on_with_what_is_missing(images: Path, undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    argv = ("batch", str(images), *BATCH, *TOGETHER, "--out", str(out), "--quiet")
    process = start(*argv)
    assert wait_for(lambda: next(iter(out.glob(".under-way/*/*.together")), None) is not None, process)
    time.sleep(random.Random(0).uniform(0.0, 2.0))
    workers = children(process)
    process.terminate()
    process.communicate()
    assert all_gone(workers)
    nothing_damaged(out)
    status, _, messages = run(*argv)
    assert (status, own(messages)) == (0, [])
    same_tables(out, undisturbed)
