"""What runs have under way: of their own, cleared after them, and after the dead; the living are left alone."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pyrodrop.workflows.batch.run_folders import UNDER_WAY, kept_of, run_folder

HOLDS = """
import sys
from pathlib import Path
from pyrodrop.workflows.batch.run_folders import run_folder
with run_folder(Path(sys.argv[1])) as folder:
    (folder / "half").mkdir()
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_a_run_has_a_folder_while_it_lasts(tmp_path: Path) -> None:
    with run_folder(tmp_path / "out") as one, run_folder(tmp_path / "out") as two:
        assert one != two
        assert one.is_dir()
        assert two.is_dir()
    assert not (tmp_path / "out" / UNDER_WAY).exists()


def test_the_folder_of_a_living_run_stays_and_that_of_a_dead_one_goes(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as other:
        assert other.stdout is not None
        held = Path(other.stdout.readline().strip())
        with run_folder(tmp_path):
            assert (held / "half").is_dir()
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert (held / "half").is_dir()
    with run_folder(tmp_path):
        assert not held.exists()


def test_a_process_that_has_taken_the_number_of_a_dead_one_is_not_it(tmp_path: Path) -> None:
    reused = tmp_path / UNDER_WAY / f"{socket.gethostname()},{os.getpid()},12345.00,1"
    reused.mkdir(parents=True)
    with run_folder(tmp_path):
        assert not reused.exists()


def test_a_run_on_another_machine_is_cleared_after_a_long_silence(tmp_path: Path) -> None:
    silent, lively = (tmp_path / UNDER_WAY / f"elsewhere,{pid},12345.00,1" for pid in (1, 2))
    for folder in (silent, lively):
        folder.mkdir(parents=True)
    os.utime(silent, (1_600_000_000, 1_600_000_000))
    with run_folder(tmp_path):
        assert not silent.exists()
        assert lively.exists()


def test_what_was_worked_out_stays_until_a_run_comes_to_its_end_and_none_is_beside_it(tmp_path: Path) -> None:
    kept = kept_of(tmp_path / "image-1234")

    def broken_off() -> None:
        with run_folder(tmp_path):
            kept.mkdir(parents=True)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert kept.is_dir()
    with run_folder(tmp_path):
        with run_folder(tmp_path):
            assert kept.is_dir()
        assert kept.is_dir()
    assert list(tmp_path.iterdir()) == []
