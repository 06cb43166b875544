"""What is on disk: whole or not at all, plain tensors, and nothing else is let in."""

import os
import pickle
import stat
from pathlib import Path
from typing import Any

import pytest
import torch

from pyrodrop.results.storage.atomic_write import atomic_write
from pyrodrop.results.storage.checkpoint import CheckpointError, load_state, save_state

KIND = "a fit of something"
NEEDS = {"params": torch.Tensor, "iteration": int, "settings": dict}


def state() -> dict[str, Any]:
    return {
        "kind": KIND,
        "params": torch.tensor([1.5, float("inf"), 1e-40]),
        "random": torch.Generator().manual_seed(3).get_state(),
        "iteration": 7,
        "settings": {"start": "uniform", "compiled": None, "error_scale": 0.05},
    }


def test_what_is_saved_is_loaded_to_the_last_bit(tmp_path: Path) -> None:
    save_state(state(), tmp_path / "fit.pt")
    found = load_state(tmp_path / "fit.pt", KIND, NEEDS)
    assert found.keys() == state().keys()
    for name in ("params", "random"):
        assert torch.equal(found[name], state()[name])
        assert found[name].dtype == state()[name].dtype
    assert (found["iteration"], found["settings"]) == (7, state()["settings"])
    assert os.listdir(tmp_path) == ["fit.pt"]


def test_it_is_plain_tensors(tmp_path: Path) -> None:
    save_state(state(), tmp_path / "fit.pt")
    assert torch.load(tmp_path / "fit.pt", weights_only=True)["kind"] == KIND


def test_a_write_that_fails_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "fit.pt"
    path.write_text("old")

    def fail(temporary: Path) -> None:
        assert temporary.parent == tmp_path  # renaming is whole only within one file system
        assert temporary.suffix == ".pt"
        temporary.write_text("half")
        assert path.read_text() == "old"
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        atomic_write(path, fail)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["fit.pt"]
    with pytest.raises(OSError, match="the disk is full"):
        atomic_write(tmp_path / "new.pt", fail)
    assert os.listdir(tmp_path) == ["fit.pt"]


def test_a_state_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "fit.pt"
    save_state(state(), path)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        save_state(state() | {"params": lambda: 1}, path)
    assert load_state(path, KIND, NEEDS)["iteration"] == 7
    assert os.listdir(tmp_path) == ["fit.pt"]


def test_files_are_as_readable_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "ordinary").touch()
    save_state(state(), tmp_path / "fit.pt")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ordinary", "fit.pt")}
    assert len(modes) == 1


class _Trap:
    """What a hostile file holds: code that runs where it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.path, "w")


def test_no_code_in_a_checkpoint_is_run(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    torch.save(state() | {"params": _Trap(str(sprung))}, tmp_path / "fit.pt")
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        load_state(tmp_path / "fit.pt", KIND, NEEDS)
    assert not sprung.exists()


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_file_is_refused(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "fit.pt"
    save_state(state(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(CheckpointError, match=r"fit\.pt is not a readable checkpoint"):
        load_state(path, KIND, NEEDS)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """Bits that turn within the bytes of a tensor are found too, by the archive's check sums."""
    path = tmp_path / "fit.pt"
    save_state(state() | {"params": torch.arange(1000.0)}, path)
    whole = bytearray(path.read_bytes())
    place = whole.find(torch.arange(500.0, 502.0).numpy().tobytes())
    assert place > 0
    whole[place] ^= 0xFF
    path.write_bytes(bytes(whole))
    with pytest.raises(CheckpointError, match="damaged"):
        load_state(path, KIND, NEEDS)


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint", b"\x89PNG\r\n\x1a\n" + bytes(50), pickle.dumps({"kind": KIND})]
)
def test_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fit.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"fit\.pt is (not a readable|a) checkpoint|damaged") as caught:
        load_state(path, KIND, NEEDS)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pt", tmp_path):
        with pytest.raises(CheckpointError, match="there is no such checkpoint; give"):
            load_state(path, KIND, NEEDS)


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        (torch.zeros(3), "checkpoint of type Tensor, expected 'a fit of something'"),
        ([1, 2], "checkpoint of type list"),
        (state() | {"kind": "another model"}, "checkpoint of 'another model', expected"),
        ({"params": torch.zeros(2)}, "checkpoint of no kind, expected"),
        ({k: v for k, v in state().items() if k != "params"}, "'params' is missing or no Tensor"),
        (state() | {"iteration": "seven"}, "'iteration' is missing or no int"),
    ],
)
def test_a_checkpoint_of_another_kind_is_refused(tmp_path: Path, saved: object, message: str) -> None:
    torch.save(saved, tmp_path / "fit.pt")
    with pytest.raises(CheckpointError, match=message):
        load_state(tmp_path / "fit.pt", KIND, NEEDS)
