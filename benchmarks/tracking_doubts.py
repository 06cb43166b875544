"""Are probabilities of links right where they say that they do not know?

Of one stack only some pairs are in doubt, a few dozen, and those of one doubt go together: two droplets that met are
eight pairs. By chance alone such probabilities seem to be off by a tenth and more. So many stacks of ``tracking.py``'s
scenes are pooled here, each with its own seed: the expected calibration error in ten bins, of pairs between 0.001 and
0.999, beside what it would be on average if each doubt, all pairs that hang together by their detections, fell as its
probabilities say. Mergers and the intervals of mobility, of which a stack has few or one, are pooled likewise.

python benchmarks/tracking_doubts.py --scenes fast coalescence --stacks 8 --save tracking_doubts.json
"""

import argparse
import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
from machine import describe_machine, machine_lines
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tracked_scenes import scene
from tracking import SCENES, coverage, merger_counts, right_pairs

from pyrodrop.workflows.tracking.paths.detections import detections_of
from pyrodrop.workflows.tracking.paths.following import follow
from pyrodrop.workflows.tracking.tracks import Tracks

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

_UNSURE = 1e-3


def off_by(probability: Array, right: NDArray[np.bool_]) -> float:
    """Expected calibration error in ten bins."""
    bins = np.minimum((10 * probability).astype(int), 9)
    sums = np.bincount(bins, probability - right, 10)
    return float(np.abs(sums).sum() / len(probability))


def doubts(heads: Numbers, tails: Numbers) -> Numbers:
    """Number of the doubt that each pair is of: pairs of one hang together by their detections, (P,)."""
    _, node = np.unique(np.concatenate([heads, tails]), return_inverse=True)
    number, pairs = int(node.max(initial=-1)) + 1, len(heads)
    graph = coo_array((np.ones(pairs), (node[:pairs], node[pairs:])), shape=(number, number))
    return np.asarray(connected_components(graph, directed=False)[1][node[:pairs]])


def by_chance(probability: Array, doubt: Numbers, draws: int = 200) -> float:
    """The mean of ``off_by`` where each doubt falls as its probabilities say: all its pairs by one draw."""
    rng, found = np.random.default_rng(0), []
    for _ in range(draws):
        drawn = rng.random(int(doubt.max()) + 1)[doubt]
        # of two ways that exclude each other one is right where the other is wrong
        right = np.where(probability >= 0.5, drawn < probability, drawn > 1 - probability)
        found.append(off_by(probability, right))
    return float(np.mean(found))


def pooled(name: str, seeds: range, droplets: int, frames: int) -> dict[str, Any]:
    """What is said of all stacks of a scene together."""
    probabilities, rights, of_doubt, held, known = [], [], [], [], 0
    counts, seconds = np.zeros(3, dtype=int), 0.0
    for seed in seeds:
        settings = replace(SCENES[name], droplets=droplets, frames=frames, seed=seed)
        table, truth = scene(settings)
        detections = detections_of(table, truth.size, frames, truth.missing)
        started = time.process_time()
        found = follow(detections)
        seconds += time.process_time() - started
        droplet = truth.droplet[detections.rows]
        p, right = found.posterior.probability, right_pairs(found.posterior, droplet)
        unsure = (p > _UNSURE) & (p < 1 - _UNSURE)
        probabilities.append(p[unsure])
        rights.append(right[unsure])
        which = doubts(found.posterior.heads[unsure], found.posterior.tails[unsure])
        of_doubt.append(which + known)
        known += int(which.max(initial=-1)) + 1
        counts += merger_counts(found.joined, droplet, truth)
        held.append(coverage(Tracks(found), truth, settings))
    p, right = np.concatenate(probabilities), np.concatenate(rights)
    bins = np.minimum((10 * p).astype(int), 9)
    rows = [
        (b, int((bins == b).sum()), float(p[bins == b].mean()), float(right[bins == b].mean())) for b in np.unique(bins)
    ]
    said: dict[str, Any] = {"stacks": len(seeds), "process_seconds": round(seconds, 1), "unsure": len(p)}
    if len(p):
        said |= {
            "ece_unsure": off_by(p, right),
            "ece_by_chance": by_chance(p, np.concatenate(of_doubt)),
            "doubts": known,
        }
        said["bins"] = [{"pairs": n, "said": mean, "right": share} for _, n, mean, share in rows]
    if counts.any():
        said |= dict(zip(("mergers", "found", "mergers_right"), counts.tolist(), strict=True))
        said["mergers_f1"] = float(2 * counts[2] / (counts[0] + counts[1]))
    weights = [each["tracks"] for each in held]
    for key in held[0]:
        if key.startswith("coverage"):
            said[key] = float(np.average([each[key] for each in held], weights=weights))
    return said | {"tracks": int(sum(weights))}


def main() -> None:
    """Run the scenes that were asked for, and print and save what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scenes", nargs="+", choices=tuple(SCENES), default=tuple(SCENES))
    parser.add_argument("--stacks", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=3000)
    parser.add_argument("--droplets", type=int, default=100)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--save", metavar="FILE.JSON")
    words = parser.parse_args()
    machine = describe_machine()
    print(machine_lines(machine))
    size = {"droplets": words.droplets, "frames": words.frames, "first_seed": words.first_seed}
    results: dict[str, Any] = {"machine": machine, **size, "scenes": {}}
    for name in words.scenes:
        seeds = range(words.first_seed, words.first_seed + words.stacks)
        results["scenes"][name] = pooled(name, seeds, words.droplets, words.frames)
        print(name, json.dumps(results["scenes"][name], indent=1), flush=True)
        if words.save:
            with open(words.save, "w", encoding="utf-8") as file:
                json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
