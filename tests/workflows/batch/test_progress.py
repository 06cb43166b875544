"""What is seen of a batch: in a file whole lines now and then, on a terminal a bar, or nothing."""

import io
from typing import Any

import pytest

from pyrodrop.workflows.batch import progress as batch_progress
from pyrodrop.workflows.batch.progress import BatchProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, **how: Any) -> str:
    """What stands in a stream after three images, the second of which failed."""
    monkeypatch.setattr("sys.stderr", stream)
    progress = BatchProgress(2, **how)
    progress.count(2, failed=False)
    progress.say("b.png: is cut short")
    progress.count(3, failed=True)  # a file that held two pictures
    progress.count(3, failed=False)
    progress.close()
    return stream.getvalue()


def test_a_file_gets_whole_lines_and_the_last_says_how_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    told = shown(io.StringIO(), monkeypatch, shown=True)
    assert told.splitlines() == ["b.png: is cut short", "3 of 3 images after 00:00, 1 of them failed"]
    assert "\r" not in told


def test_a_file_is_told_of_progress_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_progress, "_LINE_SECONDS", 0.0)
    lines = shown(io.StringIO(), monkeypatch, shown=True).splitlines()
    assert lines[0] == "1 of 2 images after 00:00"
    assert lines[2] == "2 of 3 images after 00:00, 1 of them failed"


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    told = shown(Terminal(), monkeypatch, shown=True)
    assert "b.png: is cut short\n" in told
    last = told.split("\r")[-1]
    assert "3/3" in last
    assert "1 failed" in last


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_quiet_is_quiet(stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(stream(), monkeypatch, shown=False) == ""
