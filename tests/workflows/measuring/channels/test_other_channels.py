"""What the network sees in the channels that were not measured, and what is said of it."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

import pyrodrop
from pyrodrop.cli import main
from pyrodrop.detection.network.weights import SHIPPED
from pyrodrop.images import Micrograph
from pyrodrop.workflows.measuring.channels.other_channels import with_other_channels


def two_channels() -> np.ndarray:
    """Two droplets in the first channel and twelve others in the second, (2, H, W)."""
    few, _ = pyrodrop.simulate(2, (110, 130), seed=4, kind="gray", profile="disc", radius_px=(5, 7), noise=0.02)
    many, _ = pyrodrop.simulate(12, (110, 130), seed=5, kind="gray", profile="disc", radius_px=(5, 7), noise=0.02)
    return np.stack([few.pixels[..., 0].numpy(), many.pixels[..., 0].numpy()])


def micrograph(channels: np.ndarray) -> Micrograph:
    return Micrograph(torch.from_numpy(channels).movedim(0, -1).contiguous(), None, None, ("few", "many"))


def test_a_channel_that_shows_more_droplets_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tifffile.imwrite(
        tmp_path / "two.ome.tif", two_channels(), metadata={"axes": "CYX", "Channel": {"Name": ["few", "many"]}}
    )
    arguments = ["--profile", "disc", "--quiet", "--out", str(tmp_path / "out")]
    assert main(["measure", str(tmp_path / "two.ome.tif"), "--channel", "few", *arguments]) == 0
    said = capsys.readouterr().out
    assert "another channel would give another answer: the network alone sees" in said
    assert "in many" in said
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert list(summary["other_channels"]) == ["many"]
    assert summary["other_channels"]["many"]["q05"] <= 12 <= summary["other_channels"]["many"]["q95"]
    (line,) = [line for line in summary["warnings"] if "another channel" in line]
    again = pyrodrop.load(tmp_path / "out" / "fit.pt")
    assert isinstance(again, pyrodrop.Measurement)
    assert line in again.warnings
    # What is counted is what was asked for: that there is more elsewhere is no doubt of it.
    assert again.n_droplets == 2
    assert again.trust.level == summary["trust"]["level"]
    assert "channel" not in again.trust.sentence


def test_a_channel_that_says_the_same_is_not_named() -> None:
    channels = two_channels()
    alike = np.stack([channels[1], 0.2 + 0.5 * channels[1]]).astype(np.float32)
    made = pyrodrop.measure(micrograph(alike), profile="disc")
    assert set(made.other_channels.counts) == {"few", "many"}
    assert made.other_channels.warnings == ()


def test_copies_and_channels_without_contrast_are_not_looked_at() -> None:
    gray = torch.from_numpy(two_channels()[1])[..., None]
    image = Micrograph(gray.expand(-1, -1, 3).contiguous())
    made = pyrodrop.measure(image.channel("gray"), profile="disc")
    looked = with_other_channels(made, image, "gray", SHIPPED, torch.device("cpu")).other_channels
    assert not {"hue", "saturation", "red", "green", "blue"} & set(looked.counts)
    assert looked.warnings == ()


def test_what_is_not_looked_at_is_not_counted_elsewhere() -> None:
    channels = two_channels()
    mask = np.zeros(channels.shape[1:], bool)
    mask[:, :50] = True
    image = micrograph(channels)
    made = pyrodrop.measure(image, mask, profile="disc")
    everywhere = dataclasses.replace(made, image=made.image._replace(looked_at=None))
    half, whole = (
        with_other_channels(each, image, "few", SHIPPED, torch.device("cpu")).other_channels.counts["many"][1]
        for each in (made, everywhere)
    )
    assert half < whole
