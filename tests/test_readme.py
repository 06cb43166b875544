"""The README as a package index shows it, where nothing stands beside it."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pyrodrop.images.simulation.simulate import embedded
from pyrodrop.rendering.profiles import profile_named
from pyrodrop.workflows.commands.measure import measure_image

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def relative_targets(text: str) -> list[str]:
    """What links and pictures of a Markdown text point to, unless that has an address of its own."""
    targets = re.findall(r"\]\(([^)\s]+)[^)]*\)", text) + re.findall(r"(?:src|href)=[\"']([^\"']+)", text)
    return [target for target in targets if not target.startswith(("https://", "#"))]


def test_no_link_and_no_picture_needs_a_file_beside_the_readme() -> None:
    assert relative_targets(README) == []


@pytest.mark.parametrize("text", ["![a picture](docs/a.png)", "[a page](docs/a.md)", '<img src="docs/a.png">'])
def test_a_link_to_a_file_is_seen(text: str) -> None:
    assert relative_targets(text) != []


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:docs|benchmarks)/[\w./-]*\.\w+)`", README))))
def test_a_file_that_the_readme_names_is_there(name: str) -> None:
    assert (ROOT / name).is_file()


@pytest.mark.slow
def test_the_example_is_what_measure_says(tmp_path: Path) -> None:
    """Its table, and the sentence below it, to the digits that they have."""
    summary = measure_image(None, str(tmp_path), progress=False)
    table = pd.read_csv(tmp_path / "droplets.csv", keep_default_na=False)
    rows = re.findall(r"^\| \d+ \|.*\|$", README, re.MULTILINE)
    assert len(rows) == 3
    for row, droplet in zip(rows, table.itertuples(), strict=False):
        *numbers, flags, diameter = (cell.strip() for cell in row.strip("|").split("|"))
        said = [float(number) for cell in (*numbers, diameter) for number in cell.split(" to ")]
        names = ("id", "x_px", "y_px", "radius_px", "radius_px_q05", "radius_px_q95", "presence", "diameter_um")
        assert said == pytest.approx([float(getattr(droplet, name)) for name in names], abs=0.1)
        assert flags == droplet.flags
    sentence = re.search(r"The micrograph has.*?\.\s+The result says.*?\)\.", README, re.DOTALL)
    assert sentence is not None
    count, median = summary["count"], summary["sizes"]["dn50"]
    numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", sentence[0])]
    micrograph, truth = embedded()
    diameters = 2 * profile_named("gaussian").half_radius(truth["radius_px"].to_numpy(), np.zeros(0))
    assert numbers[:2] == [len(truth), pytest.approx(np.median(diameters) * micrograph.pixel_size_um, abs=0.05)]
    assert numbers[2:5] == pytest.approx([summary["n_droplets"], count["q05"], count["q95"]], abs=1)
    assert numbers[6:] == pytest.approx([median["mean"], median["q05"], median["q95"]], abs=0.15)
