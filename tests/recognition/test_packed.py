"""Images packed with droplets: looked at twice, and texture, which is packed with something else, left alone."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.distance import cdist

from pyrodrop.detection.finder import Found, find
from pyrodrop.recognition.packed import found_in_packed, structure_left
from pyrodrop.recognition.recognise import recognise

Array = NDArray[np.float64]
SIZE = (110, 130)


def packed(noise: float, spacing: float = 10.0) -> tuple[Array, Array]:
    """Discs on a disturbed hexagonal lattice, nearly all touching, that leave no quarter of the image without rims."""
    generator = np.random.default_rng(0)
    rows = []
    for k, down in enumerate(np.arange(4.0, SIZE[0] - 3, 0.87 * spacing)):
        for along in np.arange(4.0 + spacing / 2 * (k % 2), SIZE[1] - 3, spacing):
            moved = generator.uniform(-0.4, 0.4, 2)
            rows.append((along + moved[0], down + moved[1], spacing * generator.uniform(0.45, 0.5)))
    truth = np.array(rows)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    image = 0.2 + noise * generator.standard_normal(SIZE)
    for a, b, r in truth:
        image += 0.5 / (1 + np.exp(np.clip((np.hypot(x - a, y - b) - r) / 0.5, -60, 60)))
    return image, truth


def f1(x: Array, y: Array, truth: Array) -> float:
    """Of centres found within a third of a true radius."""
    if not len(x):
        return 0.0
    met = (cdist(truth[:, :2], np.stack([x, y], 1)).min(1) < truth[:, 2] / 3).sum()
    return float(2 * met / (len(x) + len(truth)))


def looked(image: Array, twice: bool = False) -> Found:
    return find(torch.from_numpy(image).float(), everything=True, packed=twice)


def test_droplets_of_a_packed_image_are_recognised_though_the_first_look_sees_none() -> None:
    image, truth = packed(0.02)
    first = looked(image)
    assert f1(first.x[first.presence >= 0.5], first.y[first.presence >= 0.5], truth) < 0.3
    seen = recognise(image[None], image, ("disc",))
    there = seen.presence >= 0.5
    assert f1(seen.fit.x[there], seen.fit.y[there], truth) > 0.8


def test_the_second_look_reads_no_more_noise_than_the_pixels_have() -> None:
    """A component of the gradient of white noise, smoothed over one sample, has 1 / sqrt(8 pi) of its deviation."""
    image, _ = packed(0.02)
    expected = 0.02 / np.sqrt(8 * np.pi)
    assert looked(image).level_noise[0] > 2 * expected
    assert looked(image, twice=True).level_noise[0] < 1.4 * expected


def test_structure_is_left_where_nothing_is_found_and_none_where_all_is() -> None:
    image, _ = packed(0.02)
    first, again = looked(image), looked(image, twice=True)
    nothing = first._replace(**{name: getattr(first, name)[:0] for name in ("x", "y", "r", "amplitude", "presence")})
    assert np.isclose(structure_left(image[None], nothing), 1.0)
    assert structure_left(image[None], again) < 0.3


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("smoothing", [1.5, 2.5])
def test_a_texture_is_not_taken_for_a_packed_image(seed: int, smoothing: float) -> None:
    """Smooth noise: its bumps leave nothing quiet either, and are no droplets."""
    generator = np.random.default_rng(seed)
    texture = ndimage.gaussian_filter(generator.normal(size=(150, 150)), smoothing)
    texture = texture / texture.std() + 0.05 * generator.normal(size=texture.shape)
    found = looked(texture)
    assert found_in_packed(texture[None], texture, found) is found


def test_an_image_that_the_first_look_explains_is_not_looked_at_again() -> None:
    image, _ = packed(0.02, spacing=40.0)
    found = looked(image)
    assert found_in_packed(image[None], image, found) is found
