"""The bar of a measurement: what it says on a terminal, and that it says nothing elsewhere."""

import contextlib
import os
import re
import subprocess
import sys

import pytest
from fresh_python import run_python

import pyrodrop
from pyrodrop.recognition.recognise import STAGES
from pyrodrop.workflows.measuring.progress.measure_progress import SHARES, MeasureProgress

MEASURE = """
import pyrodrop
image, _ = pyrodrop.simulate(5, (70, 90), seed=6, kind="gray", profile="disc", radius_px=(4, 8), noise=0.02)
pyrodrop.measure(image, progress=True)
"""


def test_the_shares_are_parts_of_one() -> None:
    assert list(SHARES) == list(STAGES)
    assert 0 < sum(SHARES.values()) < 1


def test_stages_that_are_left_out_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with MeasureProgress(True) as watch:
        told = []
        for stage in (STAGES[0], STAGES[2], STAGES[4]):
            watch(stage)
            told.append(watch._bar.n)
    assert told == pytest.approx([0, SHARES[STAGES[0]] + SHARES[STAGES[1]], sum(SHARES.values()) - SHARES[STAGES[4]]])


def test_a_file_is_shown_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    image, _ = pyrodrop.simulate(3, (50, 60), seed=6, kind="gray", profile="disc", radius_px=(4, 6), noise=0.02)
    pyrodrop.measure(image, profile="disc", progress=True)
    assert capsys.readouterr().err == ""
    run = run_python("-c", MEASURE)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no terminals of its own here")
def test_a_terminal_is_shown_each_stage_and_the_time_left() -> None:
    termios = pytest.importorskip("termios")
    terminal, end = os.openpty()
    termios.tcsetwinsize(terminal, (24, 100))
    with subprocess.Popen([sys.executable, "-c", MEASURE], stderr=end) as run:
        os.close(end)
        seen = b""
        with contextlib.suppress(OSError):  # Linux says so that nobody has it open any more
            while data := os.read(terminal, 4096):
                seen += data
    os.close(terminal)
    text = seen.decode()
    assert run.returncode == 0, text
    assert all(stage in text for stage in STAGES[:3])
    assert re.search(r"looking into the residual: +\d+%\|.*\| \d\d:\d\d, \d\d:\d\d left", text)
