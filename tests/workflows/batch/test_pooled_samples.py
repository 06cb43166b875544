"""The folder of a batch's samples is of these results, or is not there."""

import json
from pathlib import Path

import numpy as np
import pytest
from workflows.samples.sampled_folders import write_results

from pyrodrop.workflows.batch.pooled_samples import pool_samples
from pyrodrop.workflows.batch.tables import Entry
from pyrodrop.workflows.samples import pooling


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run too short for a result, and long enough for what is asked here."""
    monkeypatch.setitem(pooling._HOW, "num_warmup", 30)
    monkeypatch.setitem(pooling._HOW, "num_samples", 10)


def entry(out: Path, name: str, sample: str, **summary: object) -> Entry:
    folder = write_results(out / f"{name}-key", np.linspace(6, 9, 20), **summary)
    return Entry(f"{name}.png", None, name, folder, None, {"sample": sample} if sample else {})


def test_samples_are_pooled_once_and_go_with_what_they_are_of(tmp_path: Path) -> None:
    entries = [entry(tmp_path, "a", "x"), entry(tmp_path, "b", "x"), entry(tmp_path, "c", "")]
    folder = tmp_path / "samples"
    assert pool_samples(entries, tmp_path, "one") == {"samples": str(folder)}
    said = json.loads((folder / "summary.json").read_text())
    assert (said["samples"]["x"]["images"], said["state"]) == (2, "one")
    before = (folder / "summary.json").stat().st_mtime_ns
    pool_samples(entries, tmp_path, "one")
    assert (folder / "summary.json").stat().st_mtime_ns == before
    assert pool_samples([each._replace(columns={}) for each in entries], tmp_path, "two") == {}
    assert not folder.exists()


def test_what_cannot_be_pooled_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    entries = [entry(tmp_path, "a", "x"), entry(tmp_path, "b", "x", pixel_size_um=None)]
    told = pool_samples(entries, tmp_path, "one")["samples"]
    assert told.startswith("not pooled: the size of a pixel is not known of b.png")
    assert not (tmp_path / "samples").exists()


def test_images_that_failed_are_left_out(tmp_path: Path) -> None:
    failed = entry(tmp_path, "a", "x")._replace(reason="it is cut")
    assert pool_samples([failed], tmp_path, "one") == {}
