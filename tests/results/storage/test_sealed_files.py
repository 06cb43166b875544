"""Sealed files: what was written comes back, and nothing that was altered does."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrodrop.results.storage.sealed_files import read_sealed, write_sealed

NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.booleans(), st.none(), st.text())
CONTENT = st.dictionaries(
    st.text().filter(lambda name: name != "digest"),
    st.recursive(NUMBERS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner))),
    max_size=4,
)


@given(CONTENT)
def test_what_was_written_comes_back(tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("sealed") / "file.json"
    write_sealed(content, path)
    assert read_sealed(path) == content


@pytest.mark.parametrize("altered", [{"a": 2}, {"a": 1, "b": 0}, {}, [1], None, "digest"])
def test_what_was_altered_does_not(altered: Any, tmp_path: Path) -> None:
    write_sealed({"a": 1}, tmp_path / "file.json")
    digest = json.loads((tmp_path / "file.json").read_text())["digest"]
    new = {**altered, "digest": digest} if isinstance(altered, dict) else altered
    (tmp_path / "file.json").write_text(json.dumps(new))
    with pytest.raises(ValueError, match="not as it was written"):
        read_sealed(tmp_path / "file.json")


@pytest.mark.parametrize("depth", [400, 700, 100_000])
@pytest.mark.parametrize("closed", [False, True])
def test_lists_in_lists_are_no_file_of_ours(tmp_path: Path, depth: int, closed: bool) -> None:
    inner = "[" * depth + "]" * depth * closed
    (tmp_path / "file.json").write_text(f'{{"digest": "0", "a": {inner}}}')
    with pytest.raises(ValueError):  # noqa: PT011 - of JSON where it is not closed
        read_sealed(tmp_path / "file.json")


@pytest.mark.parametrize("what", ["a pipe", "a folder", "a link to itself", "a device without an end"])
def test_only_a_file_is_read(tmp_path: Path, what: str) -> None:
    """Whoever opens a pipe waits for ever for what is written into it."""
    path = tmp_path / "file.json"
    if what == "a pipe":
        os.mkfifo(path)
    elif what == "a folder":
        path.mkdir()
    else:
        path.symlink_to(path if what == "a link to itself" else "/dev/zero")
    with pytest.raises(OSError, match="No such file"):
        read_sealed(path)
