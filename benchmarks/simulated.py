"""Held-out simulations: whether presence and counts are as probable as is said."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from pyrodrop.detection.learning.scoring import calibration_error, judge, total
from pyrodrop.detection.learning.targets import COLUMN, detectability_weight
from pyrodrop.detection.simulation import simulate_patches
from pyrodrop.recognition.learnt import shared_sd
from pyrodrop.results.statistics.counts import count_distribution
from pyrodrop.results.statistics.unfitted import Unfitted

Array = NDArray[np.float64]
SIDE = 128  # px of a patch
SEED = (2026, 11)  # no training has this one

# An image to circles (n, 3), the presence of each (n,), and what besides is too improbable to be fitted.
Finder = Callable[[NDArray[np.float32]], tuple[Array, Array, Unfitted]]


def simulated_row(name: str, finder: Finder, n: int) -> dict[str, object]:
    """Print and return how a finder does on n patches of every kind, droplets that nobody sees left out."""
    patches = simulate_patches(n, SIDE, np.random.SeedSequence(SEED))
    judged, covered, exact = [], [], []
    for image, circles in zip(patches.images, patches.circles, strict=True):
        found, presence, unfitted = finder(image)
        truth = circles[:, [COLUMN.x, COLUMN.y, COLUMN.radius]].astype(float)
        weight = detectability_weight(torch.from_numpy(circles[:, COLUMN.detectability])).numpy().astype(float)
        one = judge(found, presence, truth, weight)
        count, asked = count_distribution(one.presence, shared_sd(), unfitted), int((weight >= 0.5).sum())
        judged.append(one)
        covered.append(count.quantile(0.05) <= asked <= count.quantile(0.95))
        exact.append(count.quantile(0.5) == asked)
    scores = total([one.scores for one in judged])
    row: dict[str, object] = {
        "set": "simulated",
        "by": name,
        "patches": n,
        "f1": scores.f1,
        "recall": scores.matched / max(scores.true, 1),
        "precision": scores.matched / max(scores.reported, 1),
        "radius_error": scores.radius_error,
        "calibration_error": calibration_error(
            np.concatenate([one.presence for one in judged]), np.concatenate([one.correct for one in judged])
        ),
        "count_in_interval": float(np.mean(covered)),
        "count_exact": float(np.mean(exact)),
    }
    print(
        f"{name}, {n} held-out simulations: "
        + ", ".join(f"{k} {v:.3f}" for k, v in row.items() if isinstance(v, float))
    )
    return row
