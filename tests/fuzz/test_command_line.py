"""Wrong command lines by the thousand: done rightly or one clear line, never a traceback, a hang or a full memory.

Of the quick commands a thousand, and some dozen finished batches with a damaged file, the same ones in each run.
PYRODROP_FUZZ=5000 does each that many times, also fit, measure, batch, and folders of results and of tiles with damaged
files; with PYRODROP_FUZZ_SEED other ones.
"""

import os
from pathlib import Path

import pytest
from fresh_python import run_python
from fuzz.program import report_of

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="pipes and limits as Linux has them")

COUNT = int(os.environ.get("PYRODROP_FUZZ", "250"))
# A batch takes a second where most command lines take a hundredth.
BATCHES = int(os.environ.get("PYRODROP_FUZZ", "20"))
SEED = int(os.environ.get("PYRODROP_FUZZ_SEED", "0"))
PROGRAM = Path(__file__).with_name("wronging.py")
# A command takes a second at most; this is what tells a hang from a slow machine.
HANGS_AFTER = 900 + COUNT * 60
QUICK = ("prior", "channels", "simulate", "report")
# Those that fit and measure take seconds each time that they are given something right.
SLOW = ("fit", "measure", "batch", "results", "tiles") if "PYRODROP_FUZZ" in os.environ else ()


@pytest.mark.slow
@pytest.mark.parametrize(("kinds", "count"), [(QUICK, COUNT), (("batches", *SLOW), BATCHES)], ids=["quick", "slow"])
def test_wrong_command_lines_are_done_rightly_or_refused_in_one_line(
    tmp_path: Path, kinds: tuple[str, ...], count: int
) -> None:
    found = report_of(PROGRAM, tmp_path, count, SEED, *kinds, seconds=HANGS_AFTER)
    assert found["faults"] == []
    refused = {name.removesuffix(": 2") for name in found["met"] if name.endswith(": 2")}
    assert refused.issuperset(set(kinds) & set(QUICK))
    assert sum(found["met"].values()) >= count * len(set(kinds) & {*QUICK, "batches"})


def test_the_fuzz_itself_sees_a_traceback_and_a_second_line(tmp_path: Path) -> None:
    """What is asserted above is only worth something if each fault would be found."""
    code = (
        "import sys; from fuzz import wronging\n"
        "def seen(broken):\n"
        "    wronging.cli.main = broken\n"
        "    print(wronging.wrong('fit', wronging.ran(['fit'])))\n"
        "def raising(_): raise KeyError('x')\n"
        "def talking(_): print('pyrodrop fit: a\\nb', file=sys.stderr); return 2\n"
        "def nan(_): print('{\"loss\": NaN}'); return 0\n"
        "def right(_): print('pyrodrop fit: a', file=sys.stderr); return 2\n"
        "for broken in (raising, talking, nan, right): seen(broken)\n"
    )
    done = run_python("-c", code, seconds=HANGS_AFTER)
    lines = done.stdout.splitlines()
    assert "KeyError" in lines[0], done.stderr
    assert lines[1].startswith("said ")
    assert "NaN in JSON" in lines[2]
    assert lines[3:] == [""]


def test_the_fuzz_itself_sees_another_table_and_other_counts(tmp_path: Path) -> None:
    """A batch that takes what is damaged for finished, or that tells something else."""
    code = (
        "import random, shutil, sys; from pathlib import Path; from fuzz import wronging\n"
        "def main(argv):\n"
        "    out = Path(argv[-1]); out.mkdir(exist_ok=True)\n"
        "    if out.name != 'damaged': (out / 'droplets.csv').write_text('right')\n"
        "    print('{\"done\": %d}' % done[out.name == 'damaged']); return 0\n"
        "def damage(whole, chance, folder):\n"
        "    shutil.rmtree(folder, ignore_errors=True); shutil.copytree(whole, folder)\n"
        "    (folder / 'droplets.csv').write_text(text); return 'damaged'\n"
        "wronging.cli.main = main\n"
        "looks = wronging.Looks(Path(sys.argv[1]))\n"
        "for text, done in (('right', (3, 3)), ('wrong', (3, 3)), ('right', (3, 2))):\n"
        "    looks.faults.clear()\n"
        "    wronging.look_at_damaged(looks, ['batch'], 1, random.Random(0), damage, ['droplets.csv'])\n"
        "    print([fault.rpartition(' -> ')[2] for fault in looks.faults.values()])\n"
    )
    done = run_python("-c", code, str(tmp_path), seconds=HANGS_AFTER)
    assert done.stdout.splitlines() == ["[]", "['another table']", "['other counts']"], done.stderr
