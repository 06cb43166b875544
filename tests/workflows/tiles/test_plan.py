"""What tiles share, on the disk."""

import json

import numpy as np

from pyrodrop.models.prior_scales import image_scales
from pyrodrop.workflows.tiles.large_image import LevelRange
from pyrodrop.workflows.tiles.plan import Plan, halo_of


def test_a_plan_survives_the_disk() -> None:
    scales = image_scales(np.random.default_rng(0).random((1, 40, 50)))
    plan = Plan("disc", {"disc": -3.25}, scales, 48, LevelRange(255.0, -3.0))
    again = Plan.of_dict(json.loads(json.dumps(plan.as_dict())))
    assert again.as_dict() == plan.as_dict()
    assert again.levels == plan.levels
    np.testing.assert_array_equal(again.scales.amplitude, scales.amplitude)


def test_the_halo_is_as_wide_as_the_largest_droplet_and_not_made_by_it_alone() -> None:
    assert halo_of(np.zeros(0)) == halo_of(np.full(5, 3.0)) == 64
    assert halo_of(np.full(500, 20.0)) == 80
    assert halo_of(np.array([*[20.0] * 499, 30.0])) == 80
    assert halo_of(np.array([*[20.0] * 499, 90.0])) == 180
