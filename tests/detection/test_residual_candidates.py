"""Droplets that a fit left over stand out where they are, by as much as the matched filter says, up to the border."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from pyrodrop.detection.residual_candidates import STANDS_OUT, Peaks, residual_peaks
from pyrodrop.rendering.profiles import Profile, ShapeParameter, register, unregister

RADII = np.array([2.5, 3.0, 4.0, 5.0])


def residual(droplets: list[tuple[float, float, float, float]], noise: float, seed: int = 0) -> np.ndarray:
    x, y = np.meshgrid(np.arange(90.0), np.arange(70.0))
    made = noise * torch.randn(70, 90, generator=torch.Generator().manual_seed(seed)).double().numpy()
    for a, b, r, height in droplets:
        made += height * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * r**2))
    return made[None].astype(np.float32)


def look(image: np.ndarray, noise: float) -> Peaks:
    return residual_peaks(image, np.array([noise]), RADII, "gaussian", np.zeros(0))


def test_droplets_of_both_signs_stand_out_at_their_place_and_radius() -> None:
    droplets = [(20.0, 30.0, 3.0, 0.3), (60.0, 40.0, 4.5, -0.3)]
    peaks = look(residual(droplets, 0.02), 0.02)
    assert len(peaks.x) == 2
    order = np.argsort(peaks.x)
    for k, (a, b, r, height) in zip(order, droplets, strict=True):
        assert np.hypot(peaks.x[k] - a, peaks.y[k] - b) < 1.5
        assert peaks.r[k] == pytest.approx(r, rel=0.3)
        # Of a Gaussian matched to itself, |a| r sqrt(pi) / noise.
        assert peaks.signal[k] == pytest.approx(abs(height) * r * np.sqrt(np.pi) / 0.02, rel=0.1)


def test_a_droplet_on_the_border_stands_out_where_its_centre_is() -> None:
    peaks = look(residual([(45.0, 0.0, 4.0, 0.2), (89.0, 69.0, 4.0, 0.2)], 0.02), 0.02)
    found = {(round(float(x)), round(float(y))) for x, y in zip(peaks.x, peaks.y, strict=True)}
    assert any(abs(x - 45) <= 2 and y <= 2 for x, y in found)
    assert any(x >= 87 and y >= 67 for x, y in found)


def test_noise_has_few_peaks_and_none_far_above() -> None:
    peaks = [look(residual([], 0.02, seed), 0.02) for seed in range(10)]
    assert sum(len(p.x) for p in peaks) <= 5
    assert all((p.signal > STANDS_OUT).all() and (p.signal < 6).all() for p in peaks)


def test_noise_that_is_correlated_has_as_few_peaks_as_noise_that_is_not() -> None:
    """As the residual of a smooth image in a JPEG is: a filter as wide as a droplet sums up what goes together."""
    generator = np.random.default_rng(0)
    for _ in range(10):
        field = gaussian_filter(generator.standard_normal((70, 90)), 2.5)
        image = (0.02 * field / field.std())[None].astype(np.float32)
        assert len(look(image, 0.02).x) <= 2
    droplet = residual([(45.0, 35.0, 4.0, 0.3)], 0.0)
    peaks = look(image + droplet, 0.02)
    assert any(np.hypot(x - 45, y - 35) < 2 for x, y in zip(peaks.x, peaks.y, strict=True))


def test_channels_add_up_as_squares() -> None:
    image = residual([(40.0, 30.0, 3.0, 0.1)], 0.0) + residual([], 0.02, 1) * 0
    single = residual_peaks(image, np.array([0.02]), RADII, "gaussian", np.zeros(0)).signal.max()
    both = residual_peaks(
        np.concatenate([image, -image]), np.array([0.02, 0.02]), RADII, "gaussian", np.zeros(0)
    ).signal.max()
    assert both == pytest.approx(single * np.sqrt(2), rel=1e-6)


def wide_skirt(squared: torch.Tensor, r: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    """A Gaussian on one that is shape[..., 1] times as wide; shape[..., 0] is a share of height, and no length."""
    wide = torch.exp(-squared / (2 * shape[..., 1].square()))
    return (1 - shape[..., 0]) * torch.exp(-squared / 2) + shape[..., 0] * wide


def test_how_far_a_droplet_goes_is_for_its_profile_to_say() -> None:
    """The first of a profile's shared numbers may be anything: cut at r + 3 of it, half of this would be lost."""
    share, times = 0.4, 4.0
    parameters = (ShapeParameter("share", 1.0, log=True), ShapeParameter("times", 1.0, log=True))
    register(Profile("skirt", wide_skirt, parameters))
    try:
        image = residual([(45.0, 35.0, 3.0, 0.3 * (1 - share)), (45.0, 35.0, 3.0 * times, 0.3 * share)], 0.0)
        image = np.pad(image, ((0, 0), (100, 100), (100, 100)))  # so large that most of it is not the droplet
        noise, shape = np.array([0.02]), np.array([share, times])
        peaks = residual_peaks(image, noise, np.array([3.0]), "skirt", shape)
    finally:
        unregister("skirt")
    k = int(peaks.signal.argmax())
    # Of a droplet matched to itself, its root sum of squares over the noise; the radii tried are a fifth apart.
    assert peaks.signal[k] == pytest.approx(np.sqrt(np.square(image).sum()) / 0.02, rel=0.02)
    assert np.hypot(peaks.x[k] - 145, peaks.y[k] - 135) < 1.5
