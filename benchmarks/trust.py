"""How often is an image called good, to be looked at, not reliable, or without evidence of droplets?

    python benchmarks/trust.py [--images 200] [--droplets 5 40] [--no-empties] [--out results/trust.json]

Asked are simulated images that are as the model of ``measure`` says, on which the predictive check is to alarm in 5 %,
and the images without droplets of ``empties.py``, on which it is to alarm in 95 %. Prints the share of each level, the
share of alarms, and whether the probabilities of the first are uniform (Kolmogorov and Smirnov).
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from empties import drawn_empties, photographs
from machine import describe_machine, machine_lines
from scipy.stats import binom, kstest

import pyrodrop
from pyrodrop.results.checks.trust import ALARM
from pyrodrop.workflows.measuring.doubts import check_of

SIZE = (128, 160)


def as_the_model_says(n: int, droplets: tuple[int, int]) -> Iterator[tuple[str, Any]]:
    """Name and pixels of n images, by turns of Gaussian droplets and of discs."""
    for seed in range(n):
        random = np.random.default_rng([seed, 20])
        number = int(random.integers(droplets[0], droplets[1] + 1))
        look: dict[str, Any] = {"profile": "disc", "shape": [1.0]} if seed % 2 else {"profile": "gaussian"}
        image, _ = pyrodrop.simulate(number, SIZE, seed=seed, kind="gray", radius_px=(3, 9), noise=0.02, **look)
        yield f"{look['profile']} {seed}", image.channel("gray")


def rows(images: Iterable[tuple[str, Any]]) -> list[dict[str, Any]]:
    """What is said of each image."""
    said = []
    for name, pixels in images:
        measurement = pyrodrop.measure(pixels)
        check, trust = check_of(measurement.fitted, measurement.looked_at), measurement.trust
        said.append(
            {
                "image": name,
                "droplets": measurement.n_droplets,
                "level": trust.level,
                "rings": check.rings,
                "neighbours": check.neighbours,
                "p_value": trust.p_value,
            }
        )
        print(f"{name:40s} {measurement.n_droplets:4d} {trust.sentence[:70]}", flush=True)
    return said


def told(title: str, said: list[dict[str, Any]]) -> dict[str, Any]:
    """The shares of a set of images, printed."""
    n, levels = len(said), Counter(row["level"] for row in said)
    alarms = sum(row["p_value"] < ALARM for row in said)
    low, high = binom.ppf([0.05, 0.95], n, alarms / n) / n
    print(f"{title}: {n} images, {dict(levels)}, alarms {alarms / n:.3f} ({low:.3f} to {high:.3f})")
    figures = {"set": title, "images": n, "levels": dict(levels), "alarms": alarms / n}
    for name in ("rings", "neighbours"):
        figures[f"uniform_{name}"] = float(kstest([row[name] for row in said], "uniform").pvalue)
        print(f"  {name}: Kolmogorov and Smirnov p {figures[f'uniform_{name}']:.3f}")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=200, help="how many that are as the model says")
    parser.add_argument("--droplets", type=int, nargs=2, default=(5, 40), help="fewest and most in one")
    parser.add_argument("--no-empties", action="store_true", help="leave out the images without droplets")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    machine = describe_machine()
    print(machine_lines(machine), flush=True)
    figures = [told("as the model says", rows(as_the_model_says(given.images, tuple(given.droplets))))]
    if not given.no_empties:
        empties = [*drawn_empties(), *photographs()]
        figures.append(told("without droplets", rows(empties)))
    if given.out:
        given.out.write_text(json.dumps({"machine": machine, "sets": figures}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
