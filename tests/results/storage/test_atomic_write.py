"""Files are written whole or not at all, and what is left of one at which its writer was killed is cleared."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pyrodrop.results.storage.atomic_write import atomic_write, clear_leftovers

HANGS = """
import sys, time
from pathlib import Path
from pyrodrop.results.storage.atomic_write import atomic_write

def write(path):
    path.write_text("half")
    print(path, flush=True)
    time.sleep(600)

atomic_write(Path(sys.argv[1]), write)
"""


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    atomic_write(path, lambda temporary: temporary.write_text("old"))

    def fail(temporary: Path) -> None:
        temporary.write_text("new")
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        atomic_write(path, fail)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("\N{SNOWMAN}" * 83 + ".csv")  # 253 bytes
    atomic_write(path, lambda temporary: temporary.write_text("x"))
    assert path.read_text() == "x"


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_what_a_writer_leaves_that_is_killed_is_cleared_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    path = tmp_path / "a, b.csv"  # with commas of its own
    others = {".hashes.json", ".a,b,c,d,e.csv", "a,b,c,d,e"}
    with subprocess.Popen(
        [sys.executable, "-c", HANGS, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as writer:
        assert writer.stdout is not None
        left = Path(writer.stdout.readline().strip())
        clear_leftovers(tmp_path)
        assert left.read_text() == "half"
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    (tmp_path / ".hashes.json").touch()
    (tmp_path / "a,b,c,d,e").touch()
    assert left.exists()
    clear_leftovers(tmp_path)
    assert set(os.listdir(tmp_path)) == others - {".a,b,c,d,e.csv"}
