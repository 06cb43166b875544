"""The folder of the results: nothing is left of it where a run was broken off before it wrote anything."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pyrodrop.workflows.output_folder import no_empty_folder_left, open_folder


def broken_off(out: Path, work: Callable[[], object]) -> None:
    with no_empty_folder_left(out):
        work()
        raise KeyboardInterrupt


def test_a_run_that_is_broken_off_leaves_no_empty_folder(tmp_path: Path) -> None:
    out = tmp_path / "new" / "deep"
    with pytest.raises(KeyboardInterrupt):
        broken_off(out, lambda: open_folder(open_folder(out) / "tiles"))
    assert list(tmp_path.iterdir()) == []


def test_what_was_written_stays_and_so_does_a_folder_that_was_there(tmp_path: Path) -> None:
    out = tmp_path / "new"
    with pytest.raises(KeyboardInterrupt):
        broken_off(out, lambda: (open_folder(out) / "fit.pt").write_text("state"))
    assert [path.name for path in out.iterdir()] == ["fit.pt"]
    there = tmp_path / "there"
    there.mkdir()
    with pytest.raises(KeyboardInterrupt):
        broken_off(there, lambda: None)
    assert there.is_dir()


def test_a_run_that_ends_well_keeps_its_folder(tmp_path: Path) -> None:
    with no_empty_folder_left(tmp_path / "out"):
        open_folder(tmp_path / "out")
    assert (tmp_path / "out").is_dir()
