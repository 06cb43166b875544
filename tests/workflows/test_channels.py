"""The channels of an image as the post shows them."""

import numpy as np
import pytest
from skimage import color

import pyrodrop
from pyrodrop.workflows.channels import SPACES, channels_figure


@pytest.mark.parametrize("space", SPACES)
def test_three_panels_hold_scikit_images_channels(space: str) -> None:
    image, _ = pyrodrop.simulate(2, (20, 30), seed=0)
    levels = (image.pixels.numpy() * 255).round().astype(np.uint8)
    expected = {"lab": color.rgb2lab, "hsv": color.rgb2hsv}[space](levels)
    figure = channels_figure(image, space)
    panels = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    assert [ax.get_title() for ax in panels] == [f"{name} channel" for name in SPACES[space]]
    assert len(figure.axes) == 6  # each has its colour bar
    for k, ax in enumerate(panels):
        np.testing.assert_allclose(ax.images[0].get_array(), expected[..., k], rtol=1e-5, atol=1e-5)
