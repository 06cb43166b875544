"""A measurement that goes on from any part of what was worked out before is the undisturbed one, to the bit."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

import pyrodrop
from pyrodrop.images import Micrograph
from pyrodrop.models.prior_scales import PriorScales
from pyrodrop.results.storage.checkpoint import load_state, save_state
from pyrodrop.workflows.measuring.measurement import Measurement
from pyrodrop.workflows.measuring.progress import kept_on_disk
from pyrodrop.workflows.measuring.progress.kept_on_disk import KeptOnDisk
from pyrodrop.workflows.settings import SettingError


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thing that is worked out is written at once."""
    monkeypatch.setattr(kept_on_disk, "_SECONDS", 0.0)


def scene(seed: int = 3) -> Micrograph:
    return pyrodrop.simulate(12, (70, 90), seed=seed, profile="disc", radius_px=(4, 8), noise=0.02)[0]


def plain(value: object) -> object:
    """Named tuples, tensors and scales as what NumPy compares."""
    if isinstance(value, torch.Tensor):
        return value.numpy()
    parts = value._asdict() if hasattr(value, "_asdict") else vars(value) if isinstance(value, PriorScales) else value
    return {name: plain(part) for name, part in parts.items()} if isinstance(parts, Mapping) else parts


def same(one: Measurement, other: Measurement) -> None:
    """To the bit, but for the seconds."""
    for part in ("droplets", "fitted", "image"):
        np.testing.assert_equal(plain(getattr(one, part)), plain(getattr(other, part)))
    assert one.count.as_dict() == other.count.as_dict()


@pytest.mark.usefixtures("at_once")
def test_wherever_it_was_killed_it_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    image = scene()
    undisturbed = pyrodrop.measure(image)
    same(pyrodrop.measure(image, keep=tmp_path / "whole"), undisturbed)
    files = sorted((tmp_path / "whole").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    assert len(files) > 2  # the proposals, the race of the profiles, and the descent of the one that won
    for number in range(len(files) + 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        for path in files[:number]:
            (folder / path.name).write_bytes(path.read_bytes())
        (folder / ".half-written.pt").write_bytes(files[-1].read_bytes()[:100])
        same(pyrodrop.measure(image, keep=folder), undisturbed)
        # What was there was not worked out again: the rest is as many files.
        assert {path.name for path in folder.glob("[!.]*")} == {path.name for path in files}


@pytest.mark.usefixtures("at_once")
def test_what_is_kept_is_of_one_image_and_its_settings(tmp_path: Path) -> None:
    pyrodrop.measure(scene(), profile="disc", keep=tmp_path)
    for image, profile in ((scene(), "gaussian"), (scene(4), "disc")):
        same(pyrodrop.measure(image, profile=profile, keep=tmp_path), pyrodrop.measure(image, profile=profile))


@pytest.mark.usefixtures("at_once")
def test_what_is_damaged_or_of_another_version_is_as_good_as_none(tmp_path: Path) -> None:
    kept = KeptOnDisk(tmp_path)
    kept.keep("a", {"x": np.arange(3.0)})
    kept.keep("b", {"x": np.zeros((0, 2), bool)})
    again = KeptOnDisk(tmp_path)
    np.testing.assert_equal([again.read("a"), again.read("b")], [{"x": np.arange(3.0)}, {"x": np.zeros((0, 2), bool)}])
    assert again.read("c") is None
    for path in tmp_path.iterdir():
        state = load_state(path, kept_on_disk._KIND, {})
        if "a" in state["work"]:
            save_state(state | {"versions": "pyrodrop 0"}, path)
        else:
            path.write_bytes(path.read_bytes()[:-30])
    assert (KeptOnDisk(tmp_path).read("a"), KeptOnDisk(tmp_path).read("b")) == (None, None)


def test_what_is_soon_done_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(kept_on_disk.time, "monotonic", lambda: now)
    kept = KeptOnDisk(tmp_path / "kept")
    for number in range(5):
        now += 0.6
        kept.keep(str(number), {"x": torch.arange(number).numpy()})
        assert (tmp_path / "kept").exists() == (number >= 3)
    assert len(list((tmp_path / "kept").iterdir())) == 1
    again = KeptOnDisk(tmp_path / "kept")
    assert [again.read(str(number)) is not None for number in range(5)] == [True] * 4 + [False]


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SettingError, match=r"keep .* is not a folder"):
        pyrodrop.measure(torch.zeros(20, 20), keep=tmp_path / "file")
