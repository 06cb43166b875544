"""Killed or ended at any moment: what was under way goes on to the same results.

The moments are drawn at random: a few of them, and with PYRODROP_FAULTS=100 in the environment a hundred a test.
"""

import json
import os
import signal
from pathlib import Path

import pandas as pd
import pytest
import torch
from faults.processes import (
    BATCH,
    FIT,
    MOMENTS,
    RUN,
    STOPS,
    all_gone,
    children,
    nothing_damaged,
    own,
    run,
    some_time,
    start,
    tables,
    wait_for,
)

import pyrodrop

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="signals and file systems as POSIX has them"),
]
STEPS = 600
MEASURE = ("--channel", "saturation", "--profile", "gaussian", "--quiet")
MEASURING = ("--job", "measure", *MEASURE, "--workers", "2")


@pytest.fixture(scope="module")
def undisturbed_fit(image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fit")
    status, _, messages = run("fit", image, *FIT, "--steps", str(STEPS), "--out", str(out), "--quiet")
    assert (status, messages) == (0, "")
    return out


def finish_fit(image: str, out: Path) -> None:
    """Go on from the checkpoint, or begin again where there is none."""
    argv = ["fit", image, *FIT, "--steps", str(STEPS), "--out", str(out), "--quiet"]
    if (out / "fit.pt").exists():
        left = STEPS - len(pyrodrop.load(out / "fit.pt", device="cpu").losses)  # 0 if it was stopped while it drew
        argv = ["fit", image, "--channel", "saturation", "--device", "cpu", "--resume", str(out / "fit.pt")]
        argv += ["--steps", str(left), "--out", str(out), "--quiet"]
    assert run(*argv)[0] == 0


def same_fit(one: Path, other: Path) -> None:
    first, second = (pyrodrop.load(folder / "fit.pt", device="cpu") for folder in (one, other))
    assert torch.equal(first.losses.reshape(-1), second.losses.reshape(-1))
    assert torch.equal(first.state.params, second.state.params)


# Any command may be ended while it is imported, which takes most of the time: one stands for all.
@pytest.mark.parametrize(
    ("how", "moment"), [*STOPS, (signal.SIGTERM, 1)], ids=lambda each: getattr(each, "name", str(each))
)
def test_a_fit_stopped_at_any_moment_goes_on_to_the_same_numbers(
    how: signal.Signals, moment: int, image: str, undisturbed_fit: Path, tmp_path: Path
) -> None:
    process = start("fit", image, *FIT, "--steps", str(STEPS), "--out", str(tmp_path), "--quiet")
    # From the first checkpoint on every second time: before it lie the imports, which take most of the time.
    if moment % 2 == 0:
        wait_for((tmp_path / "fit.pt").exists, process)
        some_time(1)
    else:
        some_time(8)
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
    assert tables(tmp_path) == tables(undisturbed_fit)


@pytest.fixture(scope="module")
def undisturbed_measurement(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("measurement")
    assert run("measure", str(images / "0.png"), *MEASURE, "--out", str(out))[0] == 0
    return out


@pytest.mark.parametrize(("how", "moment"), STOPS, ids=lambda each: getattr(each, "name", str(each)))
def test_a_measurement_stopped_at_any_moment_is_the_same_when_made_again(
    how: signal.Signals, moment: int, images: Path, undisturbed_measurement: Path, tmp_path: Path
) -> None:
    argv = ("measure", str(images / "0.png"), *MEASURE, "--out", str(tmp_path))
    process = start(*argv)
    # While it writes every second time, which is soon over.
    if moment % 2 == 0:
        wait_for((tmp_path / "fit.pt").exists, process)
        some_time(1)
    else:
        some_time(12)
    process.send_signal(how)
    _, messages = process.communicate()
    if how == signal.SIGTERM:
        assert process.returncode in (0, 143, -signal.SIGTERM)
    assert "Traceback" not in messages
    nothing_damaged(tmp_path)
    assert run(*argv)[0] == 0
    nothing_damaged(tmp_path)
    assert tables(tmp_path) == tables(undisturbed_measurement)
    assert not (tmp_path / ".measuring").exists()


def test_a_measurement_killed_whenever_it_has_kept_something_goes_on_to_the_same_numbers(
    images: Path, undisturbed_measurement: Path, tmp_path: Path
) -> None:
    argv, kept = ("measure", str(images / "0.png"), *MEASURE, "--out", str(tmp_path)), tmp_path / ".measuring"
    killed, before = 0, 0
    while killed < 3:
        process = start(*argv)
        if not wait_for(lambda known=before: len(list(kept.glob("[!.]*.pt"))) > known, process):
            process.communicate()
            break
        process.kill()
        process.communicate()
        killed, before = killed + 1, len(list(kept.glob("[!.]*.pt")))
    assert killed > 1
    assert run(*argv)[0] == 0
    assert not kept.exists()
    nothing_damaged(tmp_path)
    assert tables(tmp_path) == tables(undisturbed_measurement)


@pytest.mark.parametrize(("how", "moment"), STOPS, ids=lambda each: getattr(each, "name", str(each)))
def test_a_batch_stopped_at_any_moment_goes_on_to_the_same_results(
    how: signal.Signals, moment: int, images: Path, undisturbed_batch: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = start("batch", str(images), *BATCH, "--out", str(out), "--quiet")
    if moment % 2 == 0:
        wait_for(lambda: bool(list(out.glob(".under-way/*/*.1/results"))), process)
        some_time(2)
    else:
        some_time(12)
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


@pytest.fixture(scope="module")
def undisturbed_measuring(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("measuring") / "out"
    status, _, messages = run("batch", str(images), *MEASURING, "--out", str(out))
    assert (status, own(messages)) == (0, [])
    return out


def numbers(out: Path) -> pd.DataFrame:
    """What a batch says of each image, but for how long it took and how often it was tried."""
    table = pd.read_csv(out / "summary.csv").sort_values("image", ignore_index=True)
    return table.drop(columns=[name for name in table if "second" in name or name == "attempts"])


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_batch_killed_while_it_measures_goes_on_to_the_same_results(
    moment: int, images: Path, undisturbed_measuring: Path, tmp_path: Path
) -> None:
    """Killed by SIGKILL twice, the second time while it goes on with what the first has left, and then let be."""
    out = tmp_path / "out"
    argv = ("batch", str(images), *MEASURING, "--out", str(out))
    ended = []
    for _ in range(2):
        process = start(*argv)
        if wait_for(lambda: bool(list(out.glob(".under-way/*/*/results"))), process):
            some_time(0.5)
        workers = children(process)
        process.kill()
        process.communicate()
        ended.append(process.returncode)
        assert all_gone(workers)
        nothing_damaged(out)
    assert -signal.SIGKILL in ended, "it was done before it could be killed, and the test says nothing"
    status, told, messages = run(*argv, "--json")
    assert (status, own(messages)) == (0, [])
    assert (json.loads(told)["done"], json.loads(told)["failed"]) == (4, 0)
    nothing_damaged(out)
    assert not (out / ".under-way").exists()
    assert tables(out) == tables(undisturbed_measuring)
    pd.testing.assert_frame_equal(numbers(out), numbers(undisturbed_measuring), check_exact=True)


def test_a_batch_that_a_person_interrupts_says_how_far_it_is(images: Path, tmp_path: Path) -> None:
    """Ctrl-C goes to all processes of a terminal at once."""
    out = tmp_path / "out"
    # Where the tests run in the background, the signal would be ignored.
    code = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{RUN}"
    process = start("batch", str(images), *BATCH, "--out", str(out), code=code)
    assert wait_for(lambda: bool(list(out.glob(".under-way/*/*.1/results"))), process)
    workers = children(process)
    os.killpg(process.pid, signal.SIGINT)
    _, messages = process.communicate()
    assert all_gone(workers)
    assert process.returncode == 130
    (said,) = own(messages)
    assert said.startswith("pyrodrop batch: interrupted with ")
    assert said.endswith(" of 4 images done; run again to go on")
    assert "Traceback" not in messages
    assert not (out / ".under-way").exists()
    nothing_damaged(out)
