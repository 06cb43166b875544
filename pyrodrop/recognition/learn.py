"""Learn from simulations how far network and joint fit are to be believed: ``python -m pyrodrop.recognition.learn``.

Patches of ``detection.simulation`` are recognised, each candidate is held against the truth, and a logistic regression
on the signs of ``presence`` gives their weights. Droplets that lie under the noise were not asked for, and candidates
that are such droplets count neither for nor against. Half of the patches are kept for telling how well it went.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from tqdm import tqdm

from pyrodrop.detection.learning.scoring import calibration_error, match
from pyrodrop.detection.learning.targets import COLUMN, detectability_weight
from pyrodrop.detection.simulation.patches import simulate_patches
from pyrodrop.recognition.presence import SIGNS_OF_PROPOSALS, SIGNS_OF_RESIDUALS, network_log_odds, signs
from pyrodrop.recognition.recognise import recognise
from pyrodrop.rendering.pixel_noise import pixel_noise
from pyrodrop.rendering.profiles import automatic_profiles

Array = NDArray[np.float64]
# The weights are as a priori normal around 0 with this standard deviation.
_PRIOR_SD = 3.0


class Lesson(NamedTuple):
    """Candidates of known truth: the network's log odds, (N,), signs if proposed, (N, 2), if from a residual, (N, 6).

    proposed, correct: which were proposed, and which are droplets.
    """

    network: Array
    of_proposals: Array
    of_residuals: Array
    proposed: NDArray[np.bool_]
    correct: NDArray[np.bool_]

    @classmethod
    def of_patch(cls, image: NDArray[np.float32], circles: NDArray[np.float32]) -> "Lesson":
        """What one simulated patch (H, W) with circles (m, 8) teaches."""
        low, high = np.quantile(image, [0.001, 0.999])
        channels = ((image - low) / max(float(high - low), 1e-12)).astype(np.float64)[None]
        seen = recognise(channels, channels[0], automatic_profiles())
        joint = seen.joint_is_right >= 0.5
        places = np.where(joint, [seen.fit.x, seen.fit.y], [seen.candidates.x, seen.candidates.y]).T
        number, true = match(places, circles[:, [COLUMN.x, COLUMN.y, COLUMN.radius]].astype(np.float64))
        weight = detectability_weight(torch.from_numpy(circles[:, COLUMN.detectability])).numpy()
        correct, counts = np.zeros(len(places), bool), np.ones(len(places), bool)
        correct[number] = True
        counts[number] = weight[true] >= 0.5
        first, second = signs(seen.fit, seen.candidates, pixel_noise(channels))
        network = np.where(seen.candidates.proposed > 0, network_log_odds(seen.candidates), 0.0)
        return cls(
            network[counts], first[counts], second[counts], seen.candidates.proposed[counts] > 0, correct[counts]
        )


def weights_of(signs_of: Array, correct: NDArray[np.bool_], offset: Array | float = 0.0) -> Array:
    """Weights (K,) of signs (N, K): the mode of a logistic regression, with log odds offset (N,) that are given."""

    def loss(weights: Array) -> tuple[float, Array]:
        odds = signs_of @ weights + offset
        value = np.logaddexp(0, np.where(correct, -odds, odds)).sum() + np.square(weights / _PRIOR_SD).sum() / 2
        slope = signs_of.T @ (expit(odds) - correct) + weights / _PRIOR_SD**2
        return float(value), slope

    return np.asarray(minimize(loss, np.zeros(signs_of.shape[1]), jac=True, method="L-BFGS-B").x)


def main(arguments: list[str] | None = None) -> int:
    """Simulate, recognise, learn, write."""
    parser = argparse.ArgumentParser(prog="python -m pyrodrop.recognition.learn", description=__doc__.split("\n")[0])
    parser.add_argument("--patches", type=int, default=600, help="how many simulated patches (default 600)")
    parser.add_argument("--size", type=int, default=128, help="side of a patch in px (default 128)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("presence.json"))
    asked = parser.parse_args(arguments)
    patches = simulate_patches(asked.patches, asked.size, np.random.SeedSequence([asked.seed, 15]))
    pairs = list(zip(patches.images, patches.circles, strict=True))
    lessons = [Lesson.of_patch(*pair) for pair in tqdm(pairs, "recognise", unit="patch")]
    half = len(lessons) // 2
    taught, kept = (
        Lesson(*(np.concatenate(p) for p in zip(*part, strict=True))) for part in (lessons[:half], lessons[half:])
    )
    record: dict[str, object] = {"patches": asked.patches, "size": asked.size, "seed": asked.seed}
    for name, which, labels in (
        ("proposals", lambda lesson: lesson.proposed, SIGNS_OF_PROPOSALS),
        ("residuals", lambda lesson: ~lesson.proposed, SIGNS_OF_RESIDUALS),
    ):
        columns = "of_" + name
        chosen = which(taught)
        learnt = weights_of(getattr(taught, columns)[chosen], taught.correct[chosen], taught.network[chosen])
        says = expit(kept.network[which(kept)] + getattr(kept, columns)[which(kept)] @ learnt)
        error = calibration_error(says, kept.correct[which(kept)])
        print(
            f"{name}: {int(which(kept).sum())} kept, {int(kept.correct[which(kept)].sum())} droplets,", file=sys.stderr
        )
        print(
            f"  calibration error {error:.3f}; " + ", ".join(map("{} {:.3f}".format, labels, learnt)), file=sys.stderr
        )
        record[name] = [round(float(value), 4) for value in learnt]
        record[f"calibration error of {name}"] = round(error, 4)
    beside = asked.out.with_suffix(".writing")
    beside.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    os.replace(beside, asked.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
