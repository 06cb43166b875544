"""How often the 90 % intervals of droplets that a person adds hold the truth, and how long an edit takes.

    python benchmarks/editing.py --out benchmarks/results/editing.json

In each of some dozens of simulated images, three of the droplets that were found are removed, and then added by circles
as a hand draws them, off by 1 px in x and y and by a tenth in radius. Processor time is that of one edit of a large
image, one after the other: a faint droplet added and taken away.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from machine import describe_machine

import pyrodrop
from pyrodrop.rendering import profile_named

KINDS = {
    "disc": {"profile": "disc", "noise": 0.02},
    "disc, noisy": {"profile": "disc", "noise": 0.06},
    "disc, meeting": {"profile": "disc", "noise": 0.02, "separation": 0.8},
    "gaussian": {"profile": "gaussian", "noise": 0.02},
}
_COLUMNS = ("x_px", "y_px", "radius_px")
_ADDED = 3


def held_in(kind: str, seed: int) -> np.ndarray:
    """Whether the intervals of x, y and radius of each added droplet hold the truth, (n, 3)."""
    settings = {"radius_px": (4.0, 8.0), "separation": 1.3, **KINDS[kind]}
    image, truth = pyrodrop.simulate(14, (110, 130), seed=seed, kind="gray", **settings)
    truth["radius_px"] = truth["radius_px"] * profile_named(settings["profile"]).half_share
    measurement = pyrodrop.measure(image, profile=settings["profile"], seed=seed)
    generator = np.random.default_rng(seed)
    # Those that were found for sure, so that the circle is of a droplet that is there.
    places = truth[list(_COLUMNS)].to_numpy()
    table = measurement.table
    apart = np.hypot(*(places[:, None, k] - table[name].to_numpy() for k, name in enumerate(_COLUMNS[:2])))
    of = apart.argmin(1)
    found = np.flatnonzero(apart.min(1) < 1.5)
    chosen = generator.choice(found, min(_ADDED, len(found)), replace=False)
    without = measurement.edit(remove=sorted({int(table["id"].iloc[of[k]]) for k in chosen}))
    drawn = places[chosen] + generator.normal(0, [1.0, 1.0, 0.0], (len(chosen), 3))
    drawn[:, 2] *= np.exp(generator.normal(0, 0.1, len(chosen)))
    drawn[:, :2] = np.clip(drawn[:, :2], 0, [129, 109])
    edited = without.edit(add=drawn).table
    added = edited[edited["id"] > measurement.droplets.ids.max().item()].sort_values("id")
    assert len(added) == len(chosen)
    low, high = (added[[f"{name}_{end}" for name in _COLUMNS]].to_numpy() for end in ("q05", "q95"))
    return (low <= places[chosen]) & (places[chosen] <= high)


def seconds_of_an_edit(n: int, side: int) -> dict[str, float]:
    """Processor seconds of an edit of an image of n droplets."""
    image, _ = pyrodrop.simulate(n, (side, side), seed=3, kind="gray", profile="disc", radius_px=(4, 9))
    measurement = pyrodrop.measure(image, profile="disc")
    spot = (side / 2, side / 2, 5.0)
    measurement.edit(add=[spot])  # compiles
    seconds = {}
    started = time.process_time()
    added = measurement.edit(add=[spot])
    seconds["add one"] = time.process_time() - started
    started = time.process_time()
    added.edit(remove=[int(added.droplets.ids.max())])
    seconds["remove one"] = time.process_time() - started
    started = time.process_time()
    measurement.edit(add=[(side * u, side * v, 4.0) for u in (0.2, 0.4, 0.6, 0.8) for v in (0.3, 0.7)])
    seconds["add eight"] = time.process_time() - started
    return {name: round(value, 2) for name, value in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=40, help="of each kind")
    parser.add_argument("--out", type=Path, required=True)
    words = parser.parse_args()
    coverage = {}
    for kind in KINDS:
        held = np.concatenate([held_in(kind, seed) for seed in range(words.images)])
        coverage[kind] = {
            "added": len(held),
            **{name: float(share) for name, share in zip(_COLUMNS, held.mean(0), strict=True)},
        }
        print(kind, coverage[kind], flush=True)
    seconds = seconds_of_an_edit(3_000, 1_500)
    print(seconds)
    results = {
        "machine": describe_machine(),
        "coverage of 90 % intervals": coverage,
        "processor seconds, 3,000 droplets": seconds,
    }
    words.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
