"""Images, and what becomes of them where nothing goes wrong."""

from pathlib import Path

import pytest
from faults.processes import BATCH, own, run

import pyrodrop
from pyrodrop.images import write_png


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("image") / "drops.png"
    write_png(pyrodrop.simulate(6, (60, 80), seed=1)[0], path)
    return str(path)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for seed in range(4):
        write_png(pyrodrop.simulate(2, (30, 40), seed)[0], folder / f"{seed}.png")
    return folder


@pytest.fixture(scope="session")
def undisturbed_batch(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("batch") / "out"
    status, _, messages = run("batch", str(images), *BATCH, "--out", str(out), "--quiet")
    assert (status, own(messages)) == (0, [])
    return out
