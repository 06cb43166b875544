"""Bad files by the thousand: the right picture or one clear line, never a traceback, a hang or a full memory.

A file of every kind is damaged a hundred times, the same ones in each run. PYRODROP_FUZZ=5000 damages each that
many times, with PYRODROP_FUZZ_SEED other ones.
"""

import os
import random
from pathlib import Path

from fresh_python import run_python
from fuzz.damaging import damaged
from fuzz.program import report_of

COUNT = int(os.environ.get("PYRODROP_FUZZ", "120"))
SEED = int(os.environ.get("PYRODROP_FUZZ_SEED", "0"))
PROGRAM = Path(__file__).with_name("damaging.py")
# Reading a damaged file takes milliseconds; this is what tells a hang from a slow machine.
HANGS_AFTER = 300 + COUNT * 5


def test_damaged_files_are_read_rightly_or_refused_in_one_line(tmp_path: Path) -> None:
    found = report_of(PROGRAM, tmp_path, COUNT, SEED, seconds=HANGS_AFTER)
    assert found["faults"] == []
    assert found["most_kilobytes"] < 2**20
    # Damage was done, and was seen, in every kind of file.
    refused = {name.removesuffix(": refused") for name in found["met"] if name.endswith(": refused")}
    assert refused == {name.partition(":")[0] for name in found["met"]}
    assert sum(found["met"].values()) == COUNT * len(refused)


def test_the_fuzz_itself_sees_a_wrong_picture_and_a_traceback(tmp_path: Path) -> None:
    """What is asserted above is only worth something if each fault would be found."""
    code = (
        "import sys, numpy; from pathlib import Path; from fuzz import damaging\n"
        "path = Path(sys.argv[1])\n"
        "path.write_bytes(damaging.FILES['png gray']())\n"
        "right = damaging.read_image(path).pixels.numpy()\n"
        "print(damaging.fault(path, 'png gray', right, None))\n"
        "print(damaging.fault(path, 'png gray', right + 1, None))\n"
        "print(damaging.fault(path, 'tiff gray', right[1:], None))\n"
        "def broken(*_, **__): raise KeyError('x')\n"
        "damaging.read_image = broken\n"
        "print(damaging.fault(path, 'png gray', right, None))\n"
    )
    done = run_python("-c", code, str(tmp_path / "i"), seconds=HANGS_AFTER)
    assert done.stdout.splitlines() == [
        "('read', '')",
        "('read', 'another picture than was written')",
        "('read', 'a picture of (40, 56, 1)')",
        "('failed', \"raised KeyError('x')\")",
    ]


def test_the_same_seed_damages_in_the_same_way() -> None:
    """So that a fault can be looked into again."""
    content = bytes(range(256)) * 4
    first, second = ([damaged(content, chance) for _ in range(50)] for chance in (random.Random(3), random.Random(3)))
    assert first == second
    assert sum(one != content for one in first) > 40
