"""What the tests of the command line share: a small image, and a folder that ``fit`` has written."""

from pathlib import Path

import pytest
from cli.asked import FIT

from pyrodrop.cli import main


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small micrograph on disk, 40 x 30 px."""
    folder = tmp_path_factory.mktemp("micrograph")
    assert main(["simulate", "--droplets", "3", "--size", "40", "30", "--out", str(folder), "--seed", "1"]) == 0
    return str(folder / "micrograph.png")


@pytest.fixture(scope="module")
def fit_folder(image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fit")
    assert main(["fit", image, *FIT, "--out", str(folder), "--quiet"]) == 0
    return folder
