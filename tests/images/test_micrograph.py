"""The micrograph itself: what it holds, what it refuses, and the way out to a PNG."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyrodrop.images import ImageError, Micrograph, read_image, write_png


def noise(height: int, width: int, channels: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(height, width, channels, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "pixels",
    [
        torch.zeros(4, 4),
        torch.zeros(4, 4, 2),
        torch.zeros(4, 4, 4),
        torch.zeros(1, 4, 3),
        torch.zeros(4, 1, 1),
        torch.zeros(4, 4, 3, dtype=torch.float64),
        torch.zeros(4, 4, 3, dtype=torch.uint8),
    ],
    ids=lambda pixels: f"{tuple(pixels.shape)} {pixels.dtype}",
)
def test_pixels_of_another_form_are_refused(pixels: torch.Tensor) -> None:
    with pytest.raises(ImageError, match=r"expected torch\.float32 of shape"):
        Micrograph(pixels)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_pixels_that_are_no_numbers_are_refused(bad: float) -> None:
    pixels = torch.zeros(4, 4, 1)
    pixels[2, 1] = bad
    with pytest.raises(ImageError, match="NaN or infinite"):
        Micrograph(pixels)


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_pixel_size_is_refused(size: float) -> None:
    with pytest.raises(ImageError, match="pixel size is"):
        Micrograph(torch.zeros(4, 4, 1), size)


def test_size_and_name() -> None:
    image = Micrograph(torch.zeros(4, 5, 3), path=Path("folder") / "drops.png")
    assert image.size == (4, 5)
    assert image.name == "drops.png"
    assert Micrograph(torch.zeros(4, 5, 3)).name == ""
    assert "tensor" not in repr(image)


@given(
    st.integers(2, 12),
    st.integers(2, 12),
    st.sampled_from([1, 3]),
    st.one_of(st.none(), st.floats(1e-2, 10)),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_written_and_read_is_the_nearest_level(
    tmp_path: Path, height: int, width: int, channels: int, pixel_size_um: float | None, seed: int
) -> None:
    image = Micrograph(noise(height, width, channels, seed), pixel_size_um)
    write_png(image, tmp_path / "i.png")
    again = read_image(tmp_path / "i.png")
    assert again.pixels.shape == image.pixels.shape
    assert float((again.pixels - image.pixels).abs().max()) <= 0.5 / 255 + 1e-6
    assert again.pixel_size_um == (pixel_size_um and pytest.approx(pixel_size_um, rel=1e-4))
    assert again.path == tmp_path / "i.png"
    write_png(again, tmp_path / "again.png")
    assert torch.equal(read_image(tmp_path / "again.png").pixels, again.pixels)


def test_writing_clips_and_leaves_nothing_beside(tmp_path: Path) -> None:
    pixels = torch.tensor([[-1.0, 0.0], [1.0, 2.0]])[..., None]
    write_png(Micrograph(pixels), tmp_path / "i.png")
    assert read_image(tmp_path / "i.png").pixels.flatten().tolist() == [0, 0, 1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["i.png"]


def test_writing_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "i.png").mkdir()
    with pytest.raises(OSError, match=r"i\.png"):
        write_png(Micrograph(torch.zeros(2, 2, 1)), tmp_path / "i.png")
    assert [path.name for path in tmp_path.iterdir()] == ["i.png"]


def test_reading_at_a_scale_is_reading_and_resizing(tmp_path: Path) -> None:
    write_png(Micrograph(noise(20, 30, 3), 0.5), tmp_path / "i.png")
    half = read_image(tmp_path / "i.png", scale=0.5)
    assert half.size == (10, 15)
    assert half.pixel_size_um == pytest.approx(1.0)
    assert torch.equal(half.pixels, read_image(str(tmp_path / "i.png")).resize(0.5).pixels)


def test_a_scale_is_looked_at_before_the_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="scale"):
        read_image(tmp_path / "missing.png", scale=0)


def test_a_file_is_never_changed_by_reading(tmp_path: Path) -> None:
    write_png(Micrograph(noise(9, 9, 3)), tmp_path / "i.png")
    before = (tmp_path / "i.png").read_bytes()
    np.testing.assert_array_equal(read_image(tmp_path / "i.png").pixels, read_image(tmp_path / "i.png").pixels)
    assert (tmp_path / "i.png").read_bytes() == before
