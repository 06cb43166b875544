"""One droplet that was taken for two is one again, and two that overlap stay two."""

import numpy as np
import pytest
import torch

from pyrodrop.joint.joint_fit import JointFit, fit_jointly
from pyrodrop.recognition.splits import edges_of_droplets, needless, suspects, united

NOISE = 0.02


def picture(droplets: list[tuple[float, float, float, float]]) -> np.ndarray:
    x, y = np.meshgrid(np.arange(80.0), np.arange(60.0))
    made = 0.2 + NOISE * torch.randn(60, 80, generator=torch.Generator().manual_seed(3)).double().numpy()
    for a, b, r, height in droplets:
        made += height * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * r**2))
    return made


def fitted(image: np.ndarray, places: list[tuple[float, float, float]]) -> JointFit:
    x, y, r = (np.array(values) for values in zip(*places, strict=True))
    return fit_jointly(image, x, y, r, profile="gaussian")


def judged(image: np.ndarray, before: JointFit) -> tuple[np.ndarray, np.ndarray]:
    taken = suspects(before)
    one = united(before, taken)
    kept = ~np.isin(np.arange(len(before.x)), taken)
    without = fit_jointly(image, one.x[kept], one.y[kept], one.r[kept], one.amplitude[:, kept], profile="gaussian")
    return taken, needless(before, without, taken, np.full(len(taken), np.log(10)))


def test_a_droplet_taken_for_two_needs_one() -> None:
    image = picture([(40.0, 30.0, 6.0, 0.4), (15.0, 15.0, 4.0, 0.4)])
    before = fitted(image, [(38.0, 30.0, 5.0), (42.5, 30.0, 5.0), (15.0, 15.0, 4.0)])
    taken, gone = judged(image, before)
    assert len(taken) == 1
    assert taken[0] in (0, 1)
    assert gone.all()


def test_two_that_overlap_are_both_needed() -> None:
    image = picture([(37.0, 30.0, 4.5, 0.4), (42.0, 30.0, 4.5, 0.3)])
    taken, gone = judged(image, fitted(image, [(37.0, 30.0, 4.5), (42.0, 30.0, 4.5)]))
    assert len(taken) == 1
    assert not gone.any()


def test_droplets_apart_are_not_suspected() -> None:
    image = picture([(20.0, 30.0, 4.0, 0.4), (40.0, 30.0, 4.0, 0.3)])
    assert len(suspects(fitted(image, [(20.0, 30.0, 4.0), (40.0, 30.0, 4.0)]))) == 0
    assert len(suspects(fitted(image, [(20.0, 30.0, 4.0)]))) == 0


def test_the_united_droplet_adds_as_much_to_the_image_as_the_two_and_lies_between() -> None:
    before = fitted(picture([(40.0, 30.0, 6.0, 0.4)]), [(38.0, 30.0, 5.0), (42.5, 30.0, 5.0)])
    taken = suspects(before)
    one, k = united(before, taken), 1 - int(taken[0])
    content = (before.amplitude * before.r**2).sum()
    assert float(one.amplitude[0, k] * one.r[k] ** 2) == pytest.approx(float(content))
    assert min(before.x) <= one.x[k] <= max(before.x)
    assert one.r[k] == max(before.r)


def test_what_goes_around_the_middle_of_a_droplet_within_it_is_an_edge_of_it() -> None:
    before = fitted(picture([(40.0, 30.0, 9.0, 0.4)]), [(40.0, 30.0, 9.0)])
    half = float(before.half_radius[0])
    circles = {
        (40.5, 30.0, 0.8 * half): True,  # the other side of a ring
        (40.0 + half / 2, 30.0, 0.3 * half): False,  # a droplet in front of it
        (40.5, 30.0, 1.1 * half): False,  # one that it lies in
        (70.0, 10.0, 3.0): False,
    }
    x, y, r = np.array(list(circles)).T
    assert edges_of_droplets(before, x, y, r).tolist() == list(circles.values())
    assert not edges_of_droplets(before.with_droplets(*np.zeros((3, 0)), np.zeros((1, 0))), x, y, r).any()
