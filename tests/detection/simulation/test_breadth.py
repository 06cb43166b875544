"""Everything that is promised occurs: looks, clutter, sizes, contrasts, packings, ellipses, nesting, both signs."""

from collections import Counter

import numpy as np
import pytest

from pyrodrop.detection.simulation import Patches, simulate_patches
from pyrodrop.detection.simulation.clutter.kinds import CLUTTER
from pyrodrop.detection.simulation.droplets.looks import LOOKS


@pytest.fixture(scope="module")
def patches() -> Patches:
    """Enough patches for the rarest kind, small ones for the time."""
    return simulate_patches(700, 64, seed=2)


def test_all_looks_and_all_clutter_occur(patches: Patches) -> None:
    looks = Counter(kind.partition("+")[0] for kind in patches.kinds)
    clutter = Counter(kind.partition("+")[2] for kind in patches.kinds)
    assert looks.keys() == {*LOOKS, "mixture", "nested", "foam", "empty"}
    assert clutter.keys() == {*CLUTTER, ""}


def test_clutter_occurs_with_droplets_and_without(patches: Patches) -> None:
    with_droplets = {k.partition("+")[2] for k in patches.kinds if not k.startswith("empty")}
    without = {k.partition("+")[2] for k in patches.kinds if k.startswith("empty")}
    assert with_droplets == without == {*CLUTTER, ""}


def test_sizes_and_contrasts_span_orders_of_magnitude(patches: Patches) -> None:
    table = np.concatenate(patches.circles)
    low, high = np.percentile(table[:, 2], [1, 99])
    assert low < 1.5
    assert high > 15
    low, high = np.percentile(table[:, 5], [5, 95])
    assert low < 4
    assert high > 30


def test_from_one_droplet_to_a_packed_field(patches: Patches) -> None:
    numbers = np.array([len(c) for c in patches.circles])
    cover = np.array([np.pi * (c[:, 2] ** 2).sum() / 64**2 for c in patches.circles])
    assert (numbers == 1).any()
    assert numbers.max() > 100
    assert (cover > 0.6).mean() > 0.03


def test_ellipses_nesting_and_both_signs(patches: Patches) -> None:
    table = np.concatenate(patches.circles)
    assert 0.1 < (table[:, 3] < 0.95).mean() < 0.7
    assert (table[:, 6] == 1).any()
    assert (table[:, 6] == 2).any()
    assert min((table[:, 7] == s).mean() for s in (-1, 1)) > 0.2
    assert (table[:, 7] == 0).any()


def test_images_are_smooth_grainy_coarse_and_saturated(patches: Patches) -> None:
    levels = np.array([len(np.unique(image)) for image in patches.images])
    assert (levels < 30).any()
    assert (levels > 3000).any()
    ends = np.array([max((im == im.max()).mean(), (im == im.min()).mean()) for im in patches.images])
    assert (ends > 0.1).any()
