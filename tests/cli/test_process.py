"""The command line as a process: its exit status, and what it imports."""

import json
from pathlib import Path
from typing import Any

import pytest
from fresh_python import run_python

import pyrodrop


def run(*argv: str, code: str = "import sys; from pyrodrop.cli import main; sys.exit(main(sys.argv[1:]))") -> Any:
    return run_python("-c", code, *argv)


def test_a_process_exits_with_the_status(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    wrong = run("channels", str(tmp_path / "none.png"), "--out", out)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.count("\n") == 1
    assert "Traceback" not in wrong.stderr
    right = run("simulate", "--droplets", "1", "--size", "20", "20", "--out", out, "--json")
    assert (right.returncode, right.stderr) == (0, "")
    assert json.loads(right.stdout)["n_droplets"] == 1


LIGHT = """
import sys
from pyrodrop.cli import main
try:
    main(sys.argv[1:])
except SystemExit as left:
    assert not left.code, left.code
heavy = {"torch", "pyro", "numpy", "pandas", "matplotlib", "skimage", "numba", "PIL"} & sys.modules.keys()
sys.exit(f"imported {sorted(heavy)}" if heavy else 0)
"""


@pytest.mark.parametrize("argv", [["--help"], ["fit", "--help"], ["--version"]], ids=" ".join)
def test_help_imports_nothing_heavy(argv: list[str]) -> None:
    helped = run(*argv, code=LIGHT)
    assert (helped.returncode, helped.stderr) == (0, "")
    if argv == ["--version"]:
        assert helped.stdout == f"pyrodrop {pyrodrop.__version__}\n"
        return
    named = ("fit", "prior", "channels", "simulate") if argv == ["--help"] else ("--droplets", "--resume", "--json")
    assert all(name in helped.stdout for name in named)
