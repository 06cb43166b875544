"""Bad checkpoints by the thousand: what loads can be used, all else is one clear line, and no code in them is run.

Each kind is spoiled two hundred times in its bytes and as often in what it holds, the same ones in each run.
PYRODROP_FUZZ=5000 spoils each that many times, with PYRODROP_FUZZ_SEED other ones.
"""

import os
from pathlib import Path

from fresh_python import run_python
from fuzz.program import report_of

COUNT = int(os.environ.get("PYRODROP_FUZZ", "200"))
SEED = int(os.environ.get("PYRODROP_FUZZ_SEED", "0"))
PROGRAM = Path(__file__).with_name("spoiling.py")
# Loading takes milliseconds; this is what tells a hang from a slow machine.
HANGS_AFTER = 600 + COUNT * 10


def test_spoiled_checkpoints_can_be_used_or_are_refused_in_one_line(tmp_path: Path) -> None:
    found = report_of(PROGRAM, tmp_path, COUNT, SEED, seconds=HANGS_AFTER)
    assert found["faults"] == []
    # Each kind was spoiled in each way, and some of that was seen.
    for kind in ("fit", "fit of several starts", "measurement"):
        for how in ("in an unusual way", "with code", "in bytes", "in what it holds"):
            assert found["met"][f"{kind} {how}: refused"] > 0
        assert f"{kind} with code: loaded" not in found["met"]
    assert not (tmp_path / "run").exists()


def test_the_fuzz_itself_sees_a_traceback_and_another_state(tmp_path: Path) -> None:
    """What is asserted above is only worth something if each fault would be found."""
    code = (
        "import sys, torch; from pathlib import Path; from fuzz import odd_checkpoints, spoiling\n"
        "folder = Path(sys.argv[1]); path = folder / 'whole'\n"
        "state = spoiling.states(folder)['fit']\n"
        "path.write_bytes(odd_checkpoints.packed(state))\n"
        "print(spoiling.fault(path, state)[1])\n"
        "path.write_bytes(odd_checkpoints.packed(state | {'seconds': 3.0}))\n"
        "print(spoiling.fault(path, state)[1])\n"
        "def broken(*_, **__): raise KeyError('x')\n"
        "spoiling.pyrodrop.load = broken\n"
        "print(spoiling.fault(path, state)[1])\n"
    )
    done = run_python("-c", code, str(tmp_path), seconds=HANGS_AFTER)
    assert done.stdout.splitlines() == ["", "another state than was saved", "loading raised KeyError: \"'x'\""], (
        done.stderr
    )


def test_code_in_a_checkpoint_would_be_seen_if_it_were_run(tmp_path: Path) -> None:
    """Loaded as Python's pickles are, what the fuzz makes does write its file."""
    code = (
        "import sys, torch; from pathlib import Path; from fuzz.odd_checkpoints import with_code\n"
        "made = with_code({'kind': 'x'}, Path(sys.argv[1]) / 'run')\n"
        "(Path(sys.argv[1]) / 'bad.pt').write_bytes(made['eval as a further entry'])\n"
        "torch.load(Path(sys.argv[1]) / 'bad.pt', weights_only=False)\n"
    )
    run_python("-c", code, str(tmp_path), seconds=HANGS_AFTER)
    assert (tmp_path / "run").exists()
