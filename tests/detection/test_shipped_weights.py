"""The weights that ship: small, and right about what is plain. Fair scores are in benchmarks/recognition.py."""

import numpy as np
import pytest
from detection.learning.toy_patches import discs

from pyrodrop.detection.learning.scoring import match
from pyrodrop.detection.network.weights import SHIPPED, network_for_use
from pyrodrop.detection.propose import propose


def test_they_are_under_two_megabytes_and_load_as_data() -> None:
    assert SHIPPED.stat().st_size < 2e6
    assert max(network_for_use().calibration.said) > 0.8


def test_plain_discs_are_all_proposed() -> None:
    patches = discs(6, 200, seed=3)
    for image, circles in zip(patches.images, patches.circles, strict=True):
        whole = (np.abs(circles[:, :2] - 99.5) < 90).all(1)
        proposals = propose(image)
        likely = proposals.circles[proposals.presence >= 0.5].numpy()
        i, j = match(likely, circles[:, :3].astype(float))
        assert set(np.nonzero(whole)[0]) <= set(j)
        assert len(i) >= len(likely) - 1
        assert np.abs(np.log(likely[i, 2] / circles[j, 2])).mean() < 0.1


@pytest.mark.parametrize("kind", ["white", "smooth", "ramp", "edge"])
def test_nothing_is_reported_where_nothing_is(kind: str) -> None:
    rng = np.random.default_rng(0)
    yy, xx = np.mgrid[:200, :200] / 200
    noise = rng.normal(size=(200, 200))
    image = {
        "white": noise,
        "smooth": np.sin(3 * xx + 1) * np.cos(2 * yy) + 0.02 * noise,
        "ramp": 2 * xx + yy + 0.02 * noise,
        "edge": (xx > 0.4) + 0.02 * noise,
    }[kind]
    assert int((propose(image).presence >= 0.5).sum()) == 0
