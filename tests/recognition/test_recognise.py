"""What is recognised: every droplet that is there, none that is not, whatever its polarity."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from scipy.spatial.distance import cdist

import pyrodrop
from pyrodrop.images.simulation.simulate import simulate
from pyrodrop.joint.posterior import Evidence
from pyrodrop.recognition.candidates import Candidates, unfitted_of
from pyrodrop.recognition.completion import LEAST
from pyrodrop.recognition.presence import presence_of
from pyrodrop.recognition.recognise import LEAST_FITTED, Recognised, recognise
from pyrodrop.rendering.pixel_noise import pixel_noise

ALL = ("gaussian", "disc", "radial", "rimmed")


def drawn(seed: int, **how: Any) -> tuple[np.ndarray, np.ndarray]:
    image, truth = simulate(25, (160, 200), seed=seed, kind="gray", **how)
    return image.pixels[..., 0].double().numpy(), truth[["x_px", "y_px", "radius_px"]].to_numpy()


def likely(seen: Recognised) -> np.ndarray:
    there = seen.presence >= 0.5
    return np.stack([seen.fit.x, seen.fit.y, seen.fit.r], 1)[there]


def matched(found: np.ndarray, truth: np.ndarray) -> int:
    """True droplets with one found within a third of their radius."""
    return int((cdist(truth[:, :2], found[:, :2]).min(1) < truth[:, 2] / 3).sum())


@pytest.mark.parametrize(
    ("profile", "how"),
    [
        ("gaussian", {"radius_px": (3.0, 8.0), "noise": 0.02}),
        ("disc", {"radius_px": (5.0, 10.0), "noise": 0.05, "separation": 1.0, "profile": "disc", "shape": [1.0]}),
    ],
)
def test_all_droplets_and_no_others_are_recognised_and_their_profile_is_chosen(
    profile: str, how: dict[str, object]
) -> None:
    pixels, truth = drawn(3, **how)
    seen = recognise(pixels[None], pixels, ALL)
    assert seen.fit.profile == profile == max(seen.evidence, key=lambda name: seen.evidence[name])
    found = likely(seen)
    assert len(found) == len(truth) == matched(found, truth)
    assert np.median(np.abs(np.sort(found[:, 2]) / np.sort(truth[:, 2]) - 1)) < 0.03


def test_dark_droplets_are_recognised_as_bright_ones_are() -> None:
    pixels, _ = drawn(1, radius_px=(3.0, 8.0), noise=0.02)
    bright, dark = (recognise(one[None], one, ("gaussian",)) for one in (pixels, 1 - pixels))
    assert likely(dark) == pytest.approx(likely(bright), abs=1e-3)
    assert dark.fit.amplitude == pytest.approx(-bright.fit.amplitude, rel=1e-3)


def test_droplets_missed_at_first_are_found_in_what_is_left_over() -> None:
    x, y = np.meshgrid(np.arange(220.0), np.arange(180.0))
    pixels = 0.2 + 0.02 * torch.randn(180, 220, generator=torch.Generator().manual_seed(5)).double().numpy()
    centres = [(40, 40, 9, 0.6), (150, 50, 10, 0.6), (60, 130, 9, 0.5), (160, 130, 4, 0.15), (100, 90, 4, 0.15)]
    for a, b, r, height in centres:
        pixels += height * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * r**2))
    found = likely(recognise(pixels[None], pixels, ("gaussian",)))
    assert len(found) == len(centres) == matched(found, np.array(centres)[:, :3])


def test_how_a_droplet_differs_from_the_others_is_no_droplet_within_it() -> None:
    """Discs with a brighter or darker middle each, a tenth of their height and far above the noise."""
    x, y = np.meshgrid(np.arange(150.0), np.arange(120.0))
    pixels = 0.2 + 0.01 * torch.randn(120, 150, generator=torch.Generator().manual_seed(4)).double().numpy()
    centres = [(20.0 + 27 * (k % 5), 18.0 + 28 * (k // 5), 9.0 + k % 3) for k in range(20)]
    for k, (a, b, r) in enumerate(centres):
        away = np.hypot(x - a, y - b)
        pixels += 0.4 / (1 + np.exp(np.clip(away - r, -60, 60)))
        pixels += (0.03 if k % 2 else -0.03) / (1 + np.exp(np.clip(away - r / 2, -60, 60)))
    found = likely(recognise(pixels[None], pixels, ("disc",)))
    assert len(found) == len(centres) == matched(found, np.array(centres))


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_recognised_in_noise(seed: int) -> None:
    pixels = 0.5 + 0.05 * torch.randn(150, 150, generator=torch.Generator().manual_seed(seed)).double().numpy()
    seen = recognise(pixels[None], pixels, ALL)
    assert seen.presence.sum() < 0.3


def test_an_even_image_has_no_droplets() -> None:
    pixels = np.full((40, 50), 0.3)
    assert len(recognise(pixels[None], pixels, ALL).presence) == 0


def test_what_noise_makes_is_not_there_and_does_not_speak_for_more_of_it() -> None:
    """Peaks of the noise such as a hundred droplets' worth of pixels has, with the odds that a fit gave one of them."""
    pixels, _ = drawn(2, radius_px=(3.0, 8.0), noise=0.01)
    seen = recognise(pixels[None], pixels, ("gaussian",))
    many = np.tile(np.arange(len(seen.fit.x)), 6)
    x, y, r, amplitude = (getattr(seen.fit, name)[..., many] for name in ("x", "y", "r", "amplitude"))
    log_bayes, gain, white = (values[many] for values in seen.fit.evidence[:3])
    few = [0, 1, 2]
    r[few], amplitude[0, few] = (2.0, 2.1, 2.2), -0.016
    log_bayes[few] = white[few] = -3.8
    several = replace(
        seen.fit,
        evidence=Evidence(log_bayes, gain, white, seen.fit.evidence.log_evidence),
        residuals=seen.fit.residuals._replace(at_droplets=seen.fit.residuals.at_droplets[many]),
    ).with_droplets(x, y, r, amplitude)
    places = [values[many] for values in seen.candidates]
    places[3] = np.where(np.isin(np.arange(len(many)), few), 0.0, places[3])  # the network proposes no such thing
    presence = presence_of(several, Candidates(*places), pixel_noise(pixels[None]))
    assert presence[few].max() < 0.2
    others = np.setdiff1d(np.flatnonzero(seen.presence[many] >= 0.5), few)
    assert len(others) > 60
    assert presence[others].min() > 0.5


def test_what_is_too_improbable_to_be_fitted_is_kept_beside() -> None:
    """A texture, of which the network proposes much with little probability."""
    rng = np.random.default_rng(5)
    texture = ndimage.gaussian_filter(rng.standard_normal((200, 200)), 2)
    seen = recognise(texture[None], texture, ("gaussian",))
    assert len(seen.unfitted.x) > 5
    assert seen.unfitted.proposed.max() < LEAST_FITTED
    assert seen.unfitted.proposed.min() >= LEAST
    assert not (seen.candidates.proposed[seen.candidates.proposed > 0] < LEAST_FITTED).any()
    m = pyrodrop.measure(texture)
    assert m.n_droplets == 0
    assert m.count.mean == pytest.approx(float(m.presence.sum()) + float(m.droplets.unfitted[1]), rel=0.1)


def test_doubtful_peaks_of_a_residual_do_not_add_up_to_droplets() -> None:
    """A blank image in coarse steps of a JPEG file: noise that is not white, and much of it."""
    rng = np.random.default_rng(0)
    with io.BytesIO() as file:
        Image.fromarray(np.rint(100 + 2 * rng.standard_normal((200, 200))).astype(np.uint8)).save(
            file, "JPEG", quality=75
        )
        pixels = np.asarray(Image.open(file), dtype=np.float64) / 255
    seen = recognise(pixels[None], pixels, ("gaussian", "disc"))
    assert seen.presence.sum() < 1
    assert (seen.presence[seen.candidates.proposed == 0] >= 0.5).all()


@pytest.mark.parametrize("radius", [22.0, 40.0])
def test_a_lone_ring_is_one_droplet(radius: float) -> None:
    """Two discs, one taken away from the other, draw it as well as one with a rim does."""
    row, column = np.mgrid[:128, :128]
    distance = np.hypot(column - 63.3, row - 64.6)
    pixels = 0.7 - 0.45 * np.exp(-(((distance - radius) / 1.6) ** 2) / 2)
    pixels = pixels + 0.01 * np.random.default_rng(2).standard_normal(pixels.shape)
    found = likely(recognise(pixels[None], pixels, ALL))
    assert len(found) == 1
    assert found[0, :2] == pytest.approx([63.3, 64.6], abs=0.2)


def test_where_the_network_is_sure_what_it_hardly_proposes_is_nothing() -> None:
    """The same faint proposals beside droplets that are sure, and beside a crowd that is not."""
    faint = np.full(50, 0.05)
    sure, unsure = unfitted_of(faint, np.full(40, 0.995)), unfitted_of(faint, np.full(40, 0.5))
    assert sure.number == unsure.number == 50
    assert sure.expected < 0.5 * unsure.expected
    assert unfitted_of(np.zeros(0), np.full(40, 0.5)).expected == 0
