"""The image of the post itself: its hue, and the first steps of its fit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import color

import pyrodrop
from pyrodrop.detection.propose import propose

pytestmark = pytest.mark.shared


@pytest.fixture
def path(shared: Path) -> Path:
    return shared / "post" / "micrograph_half.png"


def test_hue_is_scikit_images(path: Path) -> None:
    with Image.open(path) as image:
        hue = color.rgb2hsv(np.asarray(image.convert("RGB")))[..., 0]
    read = pyrodrop.read_image(path)
    assert read.size == (760, 1014)
    np.testing.assert_allclose(read.channel("hue").numpy(), hue, rtol=0, atol=1e-6)


def test_the_first_steps_of_the_posts_fit(path: Path) -> None:
    """From where the background starts, the first loss is 5 to 70 million; then it falls."""
    hue = pyrodrop.read_image(path).channel("hue")
    losses = pyrodrop.fit(hue, 500, steps=60, start="uniform", seed=0, device="cpu", progress=False).losses
    assert losses.shape == (60,)
    assert bool(torch.isfinite(losses).all())
    assert 5e6 < float(losses[0]) < 7e7
    assert float(losses[-10:].mean()) < 0.9 * float(losses[:10].mean())


def test_what_is_proposed_in_its_quarters_adds_up_to_what_is_proposed_in_the_whole(path: Path) -> None:
    gray = pyrodrop.read_image(path).channel("gray")
    rows, columns = (slice(0, 380), slice(380, 760)), (slice(0, 507), slice(507, 1014))
    parts = [propose(gray[r, c]) for r in rows for c in columns]
    whole = int((propose(gray).presence >= 0.5).sum())
    assert abs(sum(int((part.presence >= 0.5).sum()) for part in parts) / whole - 1) < 0.03
