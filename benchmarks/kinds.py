"""Are kinds of droplets told apart where there are several, and not where there is one?

Populations are simulated as a measurement would report them: log radius and amplitudes with known errors.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from machine import describe_machine, machine_lines
from numpy.typing import NDArray

from pyrodrop.recognition.kinds import kinds_of

Array = NDArray[np.float64]
RADII = ("log-normal", "uniform", "gamma", "log-uniform")
COLOURS = np.array([[0.3, 0.15, 0.05], [0.05, 0.15, 0.3]])


def log_radii(rng: np.random.Generator, n: int, of: str) -> Array:
    """Log radii of a population of this form."""
    if of == "log-normal":
        return np.asarray(np.log(5) + rng.uniform(0.05, 0.6) * rng.standard_normal(n))
    if of == "uniform":
        return np.asarray(np.log(rng.uniform(2, rng.uniform(5, 14), n)))
    if of == "gamma":
        return np.asarray(np.log(rng.gamma(rng.uniform(2, 8), 1.5, n) + 0.5))
    return rng.uniform(np.log(2), np.log(12), n)


def measured(rng: np.random.Generator, log_r: Array, heights: Array) -> tuple[Array, Array]:
    """What a measurement says, and the covariances of its errors."""
    n, channels = heights.shape
    sd_r, sd = rng.uniform(0.005, 0.05) + 0.05 / np.exp(log_r), 0.02 / np.exp(log_r)
    log_r = log_r + sd_r * rng.standard_normal(n)
    heights = heights + sd[:, None] * rng.standard_normal(heights.shape)
    scale = np.median(sd)
    errors = np.zeros((n, 1 + channels, 1 + channels))
    errors[:, 0, 0] = sd_r**2
    for c in range(channels):
        errors[:, c + 1, c + 1] = sd**2 / (heights[:, c] ** 2 + scale**2)
    return np.column_stack([log_r, np.arcsinh(heights / scale)]), errors


def right_of(told: NDArray[np.int64], kind: NDArray[np.int64]) -> float:
    """Share of droplets whose kind is right, of two kinds in either order."""
    return float(max((told == kind).mean(), (told != kind).mean()))


def one_kind(rng: np.random.Generator, count: int) -> float:
    """Share of populations of one kind that are told as one."""
    right = 0
    for i in range(count):
        n = int(np.exp(rng.uniform(np.log(20), np.log(800))))
        log_r = log_radii(rng, n, RADII[i % 4])
        brightness = np.exp(rng.uniform(0, 0.5) * rng.standard_normal(n))[:, None]
        right += len(kinds_of(*measured(rng, log_r, brightness * COLOURS[:1, : (1, 3)[i // 4 % 2]]))) == 1
    return right / count


def two_colours(rng: np.random.Generator, count: int) -> tuple[float, float]:
    """Share of mixtures of two colours that are told as two kinds; of those, share of droplets whose kind is right."""
    shares = []
    for i in range(count):
        n = int(np.exp(rng.uniform(np.log(30), np.log(600))))
        kind = (rng.random(n) < rng.uniform(0.2, 0.8)).astype(np.int64)
        brightness = np.exp(rng.uniform(0, 0.4) * rng.standard_normal(n))[:, None]
        modes = kinds_of(*measured(rng, log_radii(rng, n, RADII[i % 4]), brightness * COLOURS[kind]))
        if len(modes) == 2:
            shares.append(right_of(modes[-1].membership.argmax(1), kind))
    return len(shares) / count, float(np.mean(shares))


def beads(rng: np.random.Generator, ratio: float) -> tuple[int, float]:
    """430 bright beads and 510 of this ratio of their brightness, which varies by a fifth: kinds, and share right."""
    kind = np.repeat([0, 1], [430, 510])
    heights = (0.5 * np.where(kind == 0, 1.0, ratio) * np.exp(0.2 * rng.standard_normal(940)))[:, None]
    modes = kinds_of(*measured(rng, np.log(3) + 0.1 * rng.standard_normal(940), heights))
    return len(modes), right_of(modes[-1].membership.argmax(1), kind)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", type=Path, help="file for the results")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    machine = describe_machine()
    print(machine_lines(machine))
    results: dict[str, object] = {"machine": machine, "one kind of 100": one_kind(rng, 100)}
    two = two_colours(rng, 40)
    results["two colours of 40"] = {"told as two": two[0], "droplets right": two[1]}
    results["beads"] = {
        str(ratio): dict(zip(("kinds", "droplets right"), beads(rng, ratio), strict=True))
        for ratio in (0.5, 0.4, 0.3, 0.2)
    }
    print(json.dumps({name: value for name, value in results.items() if name != "machine"}, indent=2))
    if arguments.save:
        arguments.save.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
