"""A result is known by content, settings and version; contents are remembered while files stay as they are."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrodrop.results.storage.sealed_files import read_sealed, write_sealed
from pyrodrop.workflows.batch.result_keys import Contents, key_of, mark_of, settings_of_key
from pyrodrop.workflows.settings import SettingError

SETTINGS = {"channel": "hue", "n_droplets": 5, "device": "cpu", "seed": None}
OLD = 1_600_000_000_000_000_000


def one(path: str) -> int:
    """Every file holds one picture."""
    return 1


def test_the_key_hangs_on_everything_that_makes_a_result() -> None:
    arguments: tuple[Any, ...] = ("c" * 64, 3, "fit", SETTINGS, "1.0")
    others = [("d" * 64,), (4,), ("measure",), (SETTINGS | {"n_droplets": 6},), ("1.1",)]
    keys = {key_of(*arguments)}
    for place, (other,) in enumerate(others):
        keys.add(key_of(*arguments[:place], other, *arguments[place + 1 :]))
    assert len(keys) == 1 + len(others)


def test_the_key_does_not_hang_on_where_nor_on_what_was_not_given() -> None:
    key = key_of("c", None, "fit", SETTINGS, "1.0")
    assert key == key_of("c", None, "fit", {"n_droplets": 5, "channel": "hue", "device": "cuda"}, "1.0")


def test_of_a_file_of_weights_the_key_has_the_content(tmp_path: Path) -> None:
    one, same, other = (tmp_path / f"{name}.pt" for name in ("one", "same", "other"))
    for path, content in ((one, b"a"), (same, b"a"), (other, b"b")):
        path.write_bytes(content)
    known = [settings_of_key({"seed": 1, "weights": str(path)}) for path in (one, same, other)]
    assert known[0] == known[1] != known[2]
    assert settings_of_key({"seed": 1}) == {"seed": 1}
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "none.pt", tmp_path, tmp_path / "pipe"):
        with pytest.raises(SettingError, match=r"weights .* cannot be read"):
            settings_of_key({"weights": str(path)})


@given(st.binary(max_size=200))
def test_contents_are_hashed(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("contents")
    path = folder / "image"
    path.write_bytes(content)
    found = Contents(folder / "memory", len).of(str(path))
    assert found == (hashlib.sha256(content).hexdigest(), len(str(path)), mark_of(str(path)))


def aged(path: Path, content: bytes, changed: int = OLD) -> str:
    """Write a file that was last changed long ago; its path."""
    path.write_bytes(content)
    os.utime(path, ns=(changed, changed))
    return str(path)


def test_what_is_remembered_is_not_read_again(tmp_path: Path) -> None:
    path, memory = aged(tmp_path / "image", b"one"), tmp_path / "memory"
    contents = Contents(memory, one)
    contents.of(path)
    contents.remember()
    known = read_sealed(memory)
    known["files"][path][3:] = ["f" * 64, 7]  # only what is not read again can come out like this
    write_sealed(known, memory)
    assert Contents(memory, one).of(path)[:2] == ("f" * 64, 7)


def test_a_memory_that_was_altered_is_begun_anew(tmp_path: Path) -> None:
    path, memory = aged(tmp_path / "image", b"one"), tmp_path / "memory"
    contents = Contents(memory, one)
    right = contents.of(path)
    contents.remember()
    known = json.loads(memory.read_text())
    known["files"][path][4] = 10**9  # so many pictures, nobody would wait for
    memory.write_text(json.dumps(known))
    assert Contents(memory, one).of(path) == right


@pytest.mark.parametrize("change", ["size", "time", "replaced"])
def test_a_file_that_has_changed_is_read_again(tmp_path: Path, change: str) -> None:
    path, memory = aged(tmp_path / "image", b"one"), tmp_path / "memory"
    contents = Contents(memory, one)
    contents.of(path)
    contents.remember()
    content = b"three" if change == "size" else b"two"
    if change == "replaced":
        os.replace(aged(tmp_path / "other", content), path)
    else:
        aged(tmp_path / "image", content, OLD + (change == "time"))
    assert Contents(memory, one).of(path).hash == hashlib.sha256(content).hexdigest()


def test_a_file_changed_just_now_is_not_remembered(tmp_path: Path) -> None:
    """Within a tick of the disk's clock it may change again and keep its mark."""
    (tmp_path / "image").write_bytes(b"one")
    contents = Contents(tmp_path / "memory", one)
    contents.of(str(tmp_path / "image"))
    contents.remember()
    assert not (tmp_path / "memory").exists()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"image": 3}', '{"image": [1, 2, 3, "short", 1]}', "\0\xff"])
def test_a_damaged_memory_is_begun_anew(tmp_path: Path, damage: str) -> None:
    path, memory = aged(tmp_path / "image", b"one"), tmp_path / "memory"
    memory.write_text(damage, encoding="latin-1")
    contents = Contents(memory, one)
    assert contents.of(path).hash == hashlib.sha256(b"one").hexdigest()
    contents.remember()
    assert list(read_sealed(memory)["files"]) == [path]
