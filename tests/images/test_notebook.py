"""What a notebook shows of a micrograph: its own colours, its size, and nothing that runs."""

import base64
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pyrodrop.images import Micrograph


def picture_of(html: str) -> np.ndarray:
    (found,) = re.findall(r'<img src="data:image/png;base64,([^"]+)"', html)
    return np.asarray(Image.open(BytesIO(base64.b64decode(found))))


def test_colours_stay_and_small_images_grow_by_whole_pixels() -> None:
    pixels = torch.rand(40, 60, 3, generator=torch.Generator().manual_seed(0))
    html = Micrograph(pixels, 0.5, Path("a/drops.tif"))._repr_html_()
    assert "<p>drops.tif · 60 × 40 px · 0.5 µm per px</p>" in html
    np.testing.assert_allclose(picture_of(html)[::8, ::8] / 255, pixels, atol=0.003)


def test_a_large_image_is_small_in_the_notebook() -> None:
    assert picture_of(Micrograph(torch.zeros(700, 2_000, 1))._repr_html_()).shape == (168, 480)


@pytest.mark.parametrize("level", [0.0, 7.0])
def test_own_channels_are_named_and_the_first_is_seen_whatever_its_range(level: float) -> None:
    pixels = torch.full((4, 480, 2), level)
    pixels[:, :240, 0] += 1e-3
    html = Micrograph(pixels, channel_names=("DAPI", "<b>"))._repr_html_()
    assert "480 × 4 px · channels DAPI, &lt;b&gt;" in html
    shown = picture_of(html)
    assert (shown[:, :240] == 255).all()
    assert (shown[:, 240:] == 0).all()
