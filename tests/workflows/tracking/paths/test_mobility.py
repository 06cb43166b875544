"""Mobilities of droplets that are alike, and of such that are not."""

import numpy as np
import pytest
import torch

from pyrodrop.workflows.tracking.paths.mobility import mobilities
from pyrodrop.workflows.tracking.paths.process import PathProcess
from pyrodrop.workflows.tracking.paths.smoothing import SmoothPaths

PATHS, FRAMES, NOISE = 80, 60, 0.05
PROCESS = PathProcess(0.5, 0.0, 5.0, 0.02, 20.0, 1e-5, 1.0, 1.0, 1.0, np.zeros((FRAMES, 2)))


def _drawn(spread: float) -> tuple[np.ndarray, np.ndarray]:
    """True mobilities of paths that differ so much, and draws of their posterior, (paths, draws)."""
    rng = np.random.default_rng(3)
    true = 0.5 * np.exp(spread * rng.standard_normal(PATHS))
    steps = np.sqrt(2 * true)[:, None, None] * rng.standard_normal((PATHS, FRAMES, 2))
    centre = (np.cumsum(steps, 1) + NOISE * rng.standard_normal(steps.shape)).reshape(-1, 2)
    number = len(centre)
    seen = np.column_stack([centre, np.full((number, 2), 5.0), np.full((number, 4), NOISE**2)])
    path, frame = np.repeat(np.arange(PATHS), FRAMES), np.tile(np.arange(FRAMES), PATHS)
    radius = np.full((number, 200), 5.0, np.float32)
    paths = SmoothPaths(path, frame, np.arange(number), centre, np.full((number, 2), NOISE), radius)
    common = {
        "diffusion": torch.from_numpy(0.5 * np.exp(0.01 * rng.standard_normal(200))),
        "mobility_exponent": torch.zeros(200),
    }
    return true, mobilities(paths, seen, PROCESS, common)


def test_droplets_that_are_alike_share_what_all_of_them_say() -> None:
    true, drawn = _drawn(0.0)
    np.testing.assert_allclose(drawn.mean(1), true, rtol=0.05)
    assert drawn.std(1).mean() < 0.05 * true.mean()  # one path alone would leave 0.13 of it


def test_droplets_that_differ_have_mobilities_of_their_own_and_intervals_that_hold() -> None:
    true, drawn = _drawn(0.6)
    low, high = np.quantile(drawn, [0.05, 0.95], axis=1)
    assert np.corrcoef(np.log(true), np.log(drawn).mean(1))[0, 1] > 0.95
    assert ((low <= true) & (true <= high)).mean() == pytest.approx(0.9, abs=0.09)
