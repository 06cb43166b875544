"""What each part of the recognition is worth: all of it, and all but one part, on the same held-out simulations.

    python benchmarks/parts.py [--patches 80] [--out results/parts.json]

Half of the images are broad simulations, half as the joint fit's model says. Printed are F1 (presence 1/2 and more,
droplets that nobody sees left out), the mean absolute log error of radii, the mean absolute error of the log of one
more than the count, and the seconds that all images took.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from machine import describe_machine, machine_lines

from pyrodrop.detection.learning.model_images import as_the_model_says
from pyrodrop.detection.learning.scoring import judge, total
from pyrodrop.detection.learning.targets import COLUMN, detectability_weight
from pyrodrop.detection.simulation import simulate_patches
from pyrodrop.joint.joint_fit import JointFit
from pyrodrop.recognition import completion, presence, recognise
from pyrodrop.rendering.profiles import automatic_profiles

SIDE, SEED = 128, (2026, 29)


def no_odds(fit: JointFit, *_: object) -> Any:
    """Log odds that say nothing, of each droplet of a fit."""
    return np.zeros(len(fit.x))


WITHOUT: dict[str, list[tuple[Any, str, Any]]] = {
    "nothing left out": [],
    "without membership": [(presence, "log_membership", no_odds)],
    "without looks at the residual": [(completion, "_LOOKS", 0)],
    "all proposals fitted at once": [(recognise, "first_words", lambda some: np.ones(len(some.x), bool))],
    "without a word that goes on": [(where, "succeeded", lambda kept, *_: kept) for where in (recognise, completion)],
}


def images(n: int) -> Iterator[tuple[Any, Any]]:
    """Images (SIDE, SIDE) and their circles (m, 8), n of either kind."""
    seed = np.random.SeedSequence(SEED)
    broad = simulate_patches(n, SIDE, seed)
    yield from zip(broad.images, broad.circles, strict=True)
    yield from (as_the_model_says(SIDE, child) for child in seed.spawn(2 * n)[n:])


def row(name: str, without: list[tuple[Any, str, Any]], n: int) -> dict[str, float | str]:
    """Print and return how well it goes without these parts."""
    started, judged, errors = time.perf_counter(), [], []
    with ExitStack() as changed:
        for module, what, instead in without:
            changed.enter_context(patch.object(module, what, instead))
        for image, circles in images(n):
            one, error = _judged(recognise.recognise, image, circles)
            judged.append(one)
            errors.append(error)
    scores = total([one.scores for one in judged])
    made: dict[str, float | str] = {
        "what": name,
        "f1": scores.f1,
        "radius_error": scores.radius_error,
        "count_error": float(np.mean(errors)),
        "seconds": time.perf_counter() - started,
    }
    print(f"{name:45s}" + "".join(f"  {k} {v:8.4f}" for k, v in made.items() if isinstance(v, float)), flush=True)
    return made


def _judged(find: Callable[..., Any], image: Any, circles: Any) -> tuple[Any, float]:
    low, high = np.quantile(image, [0.001, 0.999])
    channels = ((image - low) / max(float(high - low), 1e-12)).astype(np.float64)[None]
    seen = find(channels, channels[0], automatic_profiles())
    found = np.stack([seen.places.x, seen.places.y, seen.places.radius], 1)
    weight = detectability_weight(torch.from_numpy(circles[:, COLUMN.detectability])).numpy().astype(float)
    truth = circles[:, [COLUMN.x, COLUMN.y, COLUMN.radius]].astype(float)
    one = judge(found, seen.presence, truth, weight)
    asked = float((weight >= 0.5).sum())
    return one, abs(float(np.log((one.presence.sum() + 1) / (asked + 1))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--patches", type=int, default=80, help="images of either kind (default 80)")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    machine = describe_machine()
    print(machine_lines(machine), flush=True)
    rows = [row(name, without, arguments.patches) for name, without in WITHOUT.items()]
    if arguments.out:
        said = {"machine": machine, "patches": arguments.patches, "rows": rows}
        arguments.out.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
