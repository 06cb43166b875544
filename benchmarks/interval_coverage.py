"""Do the intervals of ``measure`` hold the truth on images that are not as its model says?

    python benchmarks/interval_coverage.py [--droplets 500] [--images 12] [--kinds Bayer "JPEG 80"]

Thirteen kinds of images of 256 x 256 px with 40 to 60 droplets, of which ``interval_scenes.py`` knows the truth. For
each it prints how many droplets are found; how many of the 90 % intervals of x, y, radius and amplitude hold the
truth; median and root mean square of the errors in standard deviations; in how many images the count's interval holds
the number; and in how many each warning is given. Writes results/interval_coverage.json.
"""

import argparse
import json
import re
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from interval_scenes import KINDS
from machine import describe_machine, machine_lines
from scipy.stats import binom

import pyrodrop
from pyrodrop.detection.learning.scoring import match

HERE = Path(__file__).resolve().parent
NAMES = ("x_px", "y_px", "radius_px", "amplitude")
_FEWEST_PER_IMAGE = 40


def one(job: tuple[str, int]) -> dict[str, Any]:
    """Measure an image of a kind, and hold its table against the truth."""
    kind, seed = job
    torch.set_num_threads(1)
    image, truth = KINDS[kind](np.random.default_rng([seed, list(KINDS).index(kind)]))
    measured = pyrodrop.measure(image.astype(np.float32))
    table, true = measured.table, np.stack(truth, 1)
    found, rows = match(table[["x_px", "y_px", "radius_px"]].to_numpy(), true[:, :3])

    def column(end: str) -> list[list[float]]:
        return table[[name + end for name in NAMES]].to_numpy()[found].tolist()

    return {
        "kind": kind,
        "seed": seed,
        "true": len(true),
        "reported": len(table),
        "count": [measured.count.quantile(level) for level in (0.05, 0.95)],
        "profile": measured.profile,
        "warnings": [worded(warning) for warning in measured.warnings],
        "truth": true[rows].tolist(),
        "mean": column(""),
        "sd": column("_sd"),
        "low": column("_q05"),
        "high": column("_q95"),
        "flags": table["flags"].to_numpy()[found].tolist(),
    }


def worded(warning: str) -> str:
    """The beginning of a warning, without its numbers."""
    return " ".join(re.sub(r"[\d.,]+%?", "", warning).split()[:8])


def row(images: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of the images of one kind."""
    truth, mean, sd, low, high = (
        np.concatenate([np.array(image[key]).reshape(-1, 4) for image in images])
        for key in ("truth", "mean", "sd", "low", "high")
    )
    inside = np.where(np.isnan(truth), np.nan, (low <= truth) & (truth <= high))
    z = (mean - truth) / sd
    counts = Counter(warning for image in images for warning in set(image["warnings"]))
    held = [image["count"][0] <= image["true"] <= image["count"][1] for image in images]
    n, asked = len(truth), sum(image["true"] for image in images)

    def named(values: np.ndarray) -> dict[str, float | None]:
        return {name: None if np.isnan(v) else round(float(v), 4) for name, v in zip(NAMES, values, strict=True)}

    return {
        "kind": images[0]["kind"],
        "images": len(images),
        "droplets": n,
        "recall": round(n / asked, 4),
        "precision": round(n / max(sum(image["reported"] for image in images), 1), 4),
        "cover_90": named(inside.mean(0)),
        "sampling_error": round(float(binom(n, 0.9).std() / n), 4),
        "median_error_over_sd": named(np.median(z, 0)),
        "rms_error_over_sd": named(np.sqrt(np.square(z).mean(0))),
        "mean_radius_error_px": round(float((mean - truth)[:, 2].mean()), 4),
        "median_radius_sd_px": round(float(np.median(sd[:, 2])), 4),
        "count_held": round(float(np.mean(held)), 4),
        "profiles": dict(Counter(image["profile"] for image in images)),
        "warned": {text: round(times / len(images), 3) for text, times in counts.most_common()},
    }


def line(figures: dict[str, Any]) -> str:
    """The figures of a kind in one line."""
    cover, bias, rms = (figures[key] for key in ("cover_90", "median_error_over_sd", "rms_error_over_sd"))

    def three(values: dict[str, float | None]) -> str:
        return " ".join("  -  " if v is None else f"{v:5.2f}" for v in values.values())

    return (
        f"{figures['kind']:20s} n {figures['droplets']:4d} recall {figures['recall']:.2f} cover {three(cover)} "
        f"median z {three(bias)} rms {three(rms)} count {figures['count_held']:.2f} {figures['profiles']} "
        + "; ".join(f"{share:.2f} {text}" for text, share in figures["warned"].items())
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--droplets", type=int, default=500, help="at least so many of each kind")
    parser.add_argument("--images", type=int, default=0, help="at least so many images of each kind")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE / "results", help="the folder to write to")
    parser.add_argument("--all", type=Path, help="a file for every droplet of every image, as JSON")
    given = parser.parse_args()
    machine = describe_machine()
    print(machine_lines(machine), flush=True)
    print("cover and errors: x, y, radius, amplitude", flush=True)
    images = max(given.images, -(-given.droplets // _FEWEST_PER_IMAGE))
    rows, every = [], []
    with ProcessPoolExecutor(given.processes, mp_context=get_context("spawn")) as pool:
        for kind in given.kinds:
            every.append(list(pool.map(one, [(kind, seed) for seed in range(images)])))
            rows.append(row(every[-1]))
            print(line(rows[-1]), flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": machine, "kinds": rows}, indent=1) + "\n"
    (given.out / "interval_coverage.json").write_text(text, encoding="utf-8")
    if given.all is not None:
        given.all.write_text(json.dumps(every), encoding="utf-8")


if __name__ == "__main__":
    main()
