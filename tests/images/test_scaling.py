"""Resizing: sizes, averages, no aliasing; scales that cannot be; a torchvision that does not fit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from fresh_python import run_python
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from pyrodrop.images import ImageError, Micrograph
from pyrodrop.images.scaling import from_levels


def noise(height: int, width: int, channels: int) -> Micrograph:
    return Micrograph(torch.rand(height, width, channels, generator=torch.Generator().manual_seed(0)), 0.5)


@pytest.mark.parametrize(
    ("size", "scale", "expected"),
    [((1521, 2029), 0.5, (760, 1014)), ((30, 50), 0.1, (3, 5)), ((4, 6), 1.5, (6, 9)), ((5, 5), 0.5, (2, 2))],
)
def test_sides_are_rounded_down_as_in_the_post(size: tuple[int, int], scale: float, expected: tuple[int, int]) -> None:
    assert Micrograph(torch.zeros(*size, 1)).resize(scale).size == expected


@settings(deadline=None, max_examples=50)
@given(st.integers(4, 40), st.integers(4, 40), st.sampled_from([1, 3]), st.floats(0.3, 3), st.floats(0, 1, width=32))
def test_a_level_image_stays_level(height: int, width: int, channels: int, scale: float, level: float) -> None:
    assume(min(height, width) * scale >= 2)
    image = Micrograph(torch.full((height, width, channels), level), 0.5).resize(scale)
    assert image.pixels.shape[-1] == channels
    assert image.pixels.dtype == torch.float32
    torch.testing.assert_close(image.pixels, torch.full_like(image.pixels, level), atol=1e-5, rtol=0)
    assert image.pixel_size_um == pytest.approx(0.5 * width / image.size[1])


def test_scale_one_changes_nothing() -> None:
    image = noise(7, 9, 3)
    assert image.resize(1.0) is image


def test_fine_stripes_do_not_alias() -> None:
    stripes = (torch.arange(120) % 3 == 0).float().expand(60, 120)[..., None]
    third = Micrograph(stripes.contiguous()).resize(1 / 4)
    inner = third.pixels[:, 2:-2]
    assert float((inner - 1 / 3).abs().max()) < 0.05


def test_pixels_stay_within_their_range() -> None:
    checks = ((torch.arange(12)[:, None] // 4 + torch.arange(12) // 4) % 2).float()[..., None]
    for scale in (0.6, 2.5):
        pixels = Micrograph(checks).resize(scale).pixels
        assert float(pixels.min()) >= 0
        assert float(pixels.max()) <= 1


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf"), -float("inf"), None, "half", 10**400])
def test_a_scale_is_a_positive_number(scale: float) -> None:
    with pytest.raises(ImageError, match=r"scale is .*give a positive number"):
        noise(8, 8, 3).resize(scale)


@pytest.mark.parametrize("scale", [0.1, 1e-12, 0.2499])
def test_a_scale_that_leaves_no_pixels(scale: float) -> None:
    with pytest.raises(ImageError, match=r"leaves .* of 9 x 8 pixels"):
        noise(8, 9, 3).resize(scale)


def test_a_scale_that_makes_too_many_pixels() -> None:
    assert Image.MAX_IMAGE_PIXELS is not None
    with pytest.raises(ImageError, match="give a smaller one"):
        noise(8, 8, 3).resize(1e9)


def test_a_torchvision_of_another_torch_is_explained(tmp_path: Path) -> None:
    """A torchvision that raises what a mismatched one raises, found first on the path of a fresh interpreter."""
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')\n", encoding="utf-8"
    )
    code = (
        "import torch\nfrom pyrodrop.images import Micrograph\n"
        "try:\n    Micrograph(torch.zeros(8, 8, 1)).resize(0.5)\n"
        "except ImportError as error:\n    print(error)\n"
    )
    run = run_python("-c", code, first=[str(tmp_path)])
    assert run.returncode == 0, run.stderr
    assert "torchvision does not work with torch" in run.stdout
    assert "nms does not exist" in run.stdout
    assert "install the two together" in run.stdout


@pytest.mark.parametrize("channels", [1, 3])
def test_levels_become_the_pixels_that_torchvision_makes_of_them(channels: int) -> None:
    from torchvision.transforms.v2 import functional

    levels = np.random.default_rng(0).permutation(np.arange(256 * channels, dtype=np.uint16) % 256).astype(np.uint8)
    levels = levels.reshape(16, 16, channels)
    expected = functional.to_dtype(functional.to_image(levels), torch.float32, scale=True)
    assert torch.equal(from_levels(levels), expected.permute(1, 2, 0))


def test_reading_brings_in_neither_torchvision_nor_scikit_image_before_they_are_needed(tmp_path: Path) -> None:
    Image.new("RGB", (8, 6), (10, 20, 30)).save(tmp_path / "image.png")
    code = (
        "import sys, pyrodrop; pyrodrop.read_image(sys.argv[1]);"
        "print([m for m in ('torchvision', 'torch._dynamo', 'skimage') if m in sys.modules])"
    )
    run = run_python("-c", code, str(tmp_path / "image.png"))
    assert run.stdout.strip() == "[]", run.stderr
