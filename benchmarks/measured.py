"""Measuring simulated images from beginning to end: are counts, positions and sizes as sure as they say?

    python benchmarks/measured.py [--images 200] [--processes 2]

Images of 240 x 200 px with 20 to 60 Gaussians or discs of random noise and overlap, at a signal to noise of 5 and more
(matched to the profile). Prints for both profiles: in how many images the 90 % interval of the count holds the
number; how many of the 90 % intervals of x, y, radius and amplitude hold the truth, isolated and overlapping droplets
apart; whether the truth's ranks among the draws are uniform; recall and precision. Droplets are matched to the
nearest true one within half a radius. Writes results/measured.json.
"""

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine, machine_lines
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.stats import binom

import pyrodrop
from pyrodrop.results.checks.calibration import check_ranks

HERE = Path(__file__).resolve().parent
SIZE, DRAWS = (200, 240), 99
NAMES = ("x_px", "y_px", "radius_px", "amplitude")


def one(seed: int) -> dict[str, Any]:
    """Measure the image of a seed: its count's interval, and of each matched droplet the truth and the draws."""
    torch.set_num_threads(1)
    random = np.random.default_rng(seed)
    profile = ("gaussian", "disc")[seed % 2]
    number, noise = int(random.integers(20, 61)), float(random.uniform(0.02, 0.06))
    separation = float(random.choice([0.8, 1.2, 2.0])) * (1.0 if profile == "disc" else 1.4)
    radii = (2.0, 6.0) if profile == "gaussian" else (4.0, 9.0)
    # Least amplitude: a signal to noise a r sqrt(pi) / noise of 5 at the least radius, and four times that.
    least = 5 * noise / (radii[0] * np.pi**0.5)
    image, truth = pyrodrop.simulate(
        number,
        SIZE,
        seed=seed,
        kind="gray",
        profile=profile,
        shape=None if profile == "gaussian" else [1.0],
        radius_px=radii,
        amplitude=(max(least, 0.1), max(4 * least, 0.5)),
        separation=separation,
        noise=noise,
    )
    began = time.perf_counter()
    made = pyrodrop.measure(image, seed=seed)
    seconds = time.perf_counter() - began
    true = truth[list(NAMES)].to_numpy()
    # The truth of a Gaussian is its own r, and not the radius of half height.
    drawn = made.draws | ({"radius_px": made.draws["sigma_px"]} if "sigma_px" in made.draws else {})
    draws = np.stack([drawn[name].double().numpy() for name in NAMES[:3]] + [made.draws["amplitude"][:, 0].numpy()])
    draws = draws[:, :, : made.n_droplets]
    found = draws.mean(1).T
    distance = cdist(true[:, :2], found[:, :2]) if len(found) else np.zeros((number, 0))
    rows, columns = linear_sum_assignment(np.where(distance < true[:, 2:3] / 2, distance, 1e6))
    near = distance[rows, columns] < true[rows, 2] / 2
    rows, columns = rows[near], columns[near]
    apart = cdist(true[:, :2], true[:, :2]) / (true[:, 2:3] + true[:, 2])
    np.fill_diagonal(apart, np.inf)
    low, high = made.count.quantile(0.05), made.count.quantile(0.95)
    return {
        "profile": profile,
        "chosen": made.profile,
        "number": number,
        "count": [low, made.count.mean, high],
        "found": made.n_droplets,
        "matched": len(rows),
        "isolated": (apart.min(1)[rows] > (2.5 if profile == "gaussian" else 1.5)).tolist(),
        "truth": true[rows].tolist(),
        "low": np.quantile(draws, 0.05, axis=1).T[columns].tolist(),
        "high": np.quantile(draws, 0.95, axis=1).T[columns].tolist(),
        "draws": draws[:, :: draws.shape[1] // DRAWS, columns][:, :DRAWS].tolist(),
        "seconds": seconds,
    }


def summary(images: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of the images of one profile."""
    held = [image["count"][0] <= image["number"] <= image["count"][2] for image in images]
    right = [image for image in images if image["chosen"] == image["profile"]]
    truth, low, high = (
        np.concatenate([np.array(i[k]).reshape(-1, 4) for i in right]) for k in ("truth", "low", "high")
    )
    alone = np.concatenate([np.array(i["isolated"], bool) for i in right])
    draws = np.concatenate([np.array(i["draws"]).reshape(4, DRAWS, -1) for i in right], 2)
    inside = (low <= truth) & (truth <= high)
    cover = {
        name: {"droplets": int(those.sum()), **dict(zip(NAMES, inside[those].mean(0).round(4).tolist(), strict=True))}
        for name, those in (("isolated", alone), ("overlapping", ~alone))
    }
    ranks = {
        name: {
            "p_chi_square": round(check.p_chi_square, 4),
            "p_cumulative": round(check.p_cumulative, 4),
            "bias": round(check.bias, 2),
            "width": round(check.width, 2),
        }
        for k, name in enumerate(NAMES)
        for check in [check_ranks(truth[:, k], draws[k].T)]
    }
    number, found, matched = (sum(image[key] for image in images) for key in ("number", "found", "matched"))
    return {
        "images": len(images),
        "count_held": float(np.mean(held)),
        "count_held_by_chance": [float(v) for v in binom(len(images), 0.9).ppf([0.025, 0.975]) / len(images)],
        "count_exact": float(np.mean([image["found"] == image["number"] for image in images])),
        "count_bias": float(np.mean([image["count"][1] - image["number"] for image in images])),
        "profile_right": len(right) / len(images),
        "recall": matched / number,
        "precision": matched / max(found, 1),
        "coverage": cover,
        "ranks": ranks,
        "seconds": float(np.median([image["seconds"] for image in images])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE / "results", help="the folder to write to")
    given = parser.parse_args()
    machine = describe_machine()
    print(machine_lines(machine), flush=True)
    with ProcessPoolExecutor(given.processes, mp_context=get_context("spawn")) as pool:
        images = list(pool.map(one, range(given.images)))
    made = {name: summary([i for i in images if i["profile"] == name]) for name in ("gaussian", "disc")}
    counts = [i["count"][0] <= i["number"] <= i["count"][2] for i in images]
    result = {"machine": machine, "count_held": float(np.mean(counts)), "profiles": made}
    print(json.dumps(result["profiles"], indent=1))
    print(f"the count's 90 % interval holds the number in {np.mean(counts):.1%} of {len(images)} images")
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "measured.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
