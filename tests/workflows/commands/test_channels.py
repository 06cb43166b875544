"""The channels of an image as the post shows them."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import color

import pyrodrop
from pyrodrop.workflows.commands.channels import SPACES, channels, channels_figure, figures_of


@pytest.mark.parametrize("space", SPACES)
def test_three_panels_hold_scikit_images_channels(space: str) -> None:
    image, _ = pyrodrop.simulate(2, (20, 30), seed=0)
    levels = (image.pixels.numpy() * 255).round().astype(np.uint8)
    expected = {"lab": color.rgb2lab, "hsv": color.rgb2hsv}[space](levels)
    figure = channels_figure(image, SPACES[space])
    panels = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    assert [ax.get_title() for ax in panels] == [f"{name} channel" for name in SPACES[space]]
    assert len(figure.axes) == 6  # each has its colour bar
    for k, ax in enumerate(panels):
        np.testing.assert_allclose(ax.images[0].get_array(), expected[..., k], rtol=1e-5, atol=1e-5)


def test_colours_are_drawn_as_lab_and_hsv(tmp_path: Path) -> None:
    image, _ = pyrodrop.simulate(2, (20, 30), seed=0)
    Image.fromarray((image.pixels.numpy() * 255).astype(np.uint8)).save(tmp_path / "i.png")
    found = channels(str(tmp_path / "i.png"), str(tmp_path / "out"))
    assert (found["lab"], found["hsv"]) == (str(tmp_path / "out/lab.png"), str(tmp_path / "out/hsv.png"))
    assert found["names"] == list(pyrodrop.images.CHANNELS)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"lab.png", "hsv.png"}


@pytest.mark.parametrize(("names", "told"), [(["DAPI", "GFP"], ["DAPI", "GFP"]), (["GFP", "GFP"], ["0", "1"])])
def test_channels_of_a_frame_are_drawn_by_their_names(tmp_path: Path, names: list[str], told: list[str]) -> None:
    """Of a camera of 12 bits, whose level of white nobody has to know to look at it."""
    levels = np.random.default_rng(0).integers(0, 4096, (3, 2, 20, 30), dtype=np.uint16)
    path = tmp_path / "i.ome.tif"
    metadata = {"axes": "ZCYX", "Channel": {"Name": names}}
    tifffile.imwrite(path, levels, ome=True, photometric="minisblack", metadata=metadata)
    found = channels(str(path), str(tmp_path / "out"), frame=2)
    assert found["names"] == names
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["channels.png"]
    image = pyrodrop.read_image(path, frame=2, white="brightest")
    figure = channels_figure(image, figures_of(image)["channels"])
    panels = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    assert [ax.get_title() for ax in panels] == [f"{name} channel" for name in told]
    for k, ax in enumerate(panels):
        np.testing.assert_allclose(ax.images[0].get_array(), levels[2, k] / levels[2].max(), rtol=1e-6)
