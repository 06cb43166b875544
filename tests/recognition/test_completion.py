"""What the fit leaves over within a droplet, around its middle, is an edge of it and no droplet."""

import numpy as np
import torch

from pyrodrop.joint.joint_fit import fit_jointly
from pyrodrop.recognition.completion import edges_of_droplets


def test_what_goes_around_the_middle_of_a_droplet_within_it_is_an_edge_of_it() -> None:
    x, y = np.meshgrid(np.arange(80.0), np.arange(60.0))
    noise = torch.randn(60, 80, generator=torch.Generator().manual_seed(3)).double().numpy()
    image = 0.2 + 0.02 * noise + 0.4 * np.exp(-((x - 40) ** 2 + (y - 30) ** 2) / (2 * 9**2))
    before = fit_jointly(image, np.array([40.0]), np.array([30.0]), np.array([9.0]), profile="gaussian")
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
