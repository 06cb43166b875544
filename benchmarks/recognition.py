"""What the network proposes of annotated images and of images without droplets, beside others told the truth.

    python benchmarks/recognition.py [../shared/data/real ../shared/data/wild] [--cases ../shared/cases] [--peers]
        [--measure] [--simulations N] [--weights FILE] [--out results/recognition.json]

A folder holds images and an annotations.csv (image, x, y, r) in folders of their own; --cases one of images with one
truth.csv for all, where an image without rows has no droplets. Prints F1 and the median error of the radii of the
network's proposals of presence 1/2 or more, how many are reported of images without droplets, and whether presence and
counts of held-out simulations are calibrated. It is there to see by: no number of the package is set by what it prints.
"""

import argparse
import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from empties import drawn_empties, photographs
from machine import describe_machine, machine_lines
from numpy.typing import NDArray
from peers import annotated, compare
from simulated import Finder, simulated_row

import pyrodrop
from pyrodrop.detection.learning.scoring import match
from pyrodrop.detection.network.weights import SHIPPED
from pyrodrop.detection.propose import propose
from pyrodrop.results.statistics.unfitted import NONE_UNFITTED, Unfitted
from pyrodrop.workflows.measuring.reported import unfitted_in

Array = NDArray[np.float64]
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folders", nargs="*", type=Path, help="folders of annotated images")
    parser.add_argument("--cases", type=Path, help="a folder with truth.csv")
    parser.add_argument("--peers", action="store_true", help="run measure and the others, told the truth, too: minutes")
    parser.add_argument("--measure", action="store_true", help="run measure on every image, too")
    parser.add_argument("--simulations", type=int, default=0, help="how many held-out simulations (the goal: 2,000)")
    parser.add_argument("--no-empties", action="store_true", help="leave out the images without droplets")
    parser.add_argument("--weights", type=Path, default=SHIPPED)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    machine = describe_machine()
    print(machine_lines(machine), flush=True)
    rows: list[Row] = []
    for folder in arguments.folders:
        rows += report(folder.name, annotated(folder), arguments)
    if arguments.cases:
        rows += report("cases", cases(arguments.cases), arguments)
    if not arguments.no_empties:
        rows += report_empties(arguments.weights, arguments.measure)
    if arguments.simulations:
        rows.append(simulated_row("network", partial(proposed, weights=arguments.weights), arguments.simulations))
        if arguments.measure:
            rows.append(simulated_row("measure", measured, arguments.simulations))
    if arguments.out:
        arguments.out.write_text(json.dumps({"machine": machine, "images": rows}, indent=1) + "\n", encoding="utf-8")


def cases(folder: Path) -> Iterator[tuple[str, Array, Array]]:
    """Name, gray image and true circles (n, 3) of every image of a folder, those without droplets too."""
    truth = pd.read_csv(folder / "truth.csv")
    for path in sorted(folder.iterdir()):
        if path.suffix in (".png", ".tif"):
            try:
                gray = pyrodrop.read_image(path, white="brightest").channel("gray").double().numpy()
            except ValueError as error:
                print(f"  {path.name}: refused, {error}")
                continue
            yield path.name, gray, truth[truth["image"] == path.name][["x", "y", "r"]].to_numpy(float)


def proposed(image: NDArray[np.floating], weights: Path) -> tuple[Array, Array, Unfitted]:
    """What the network proposes: circles (n, 3), the presence of each, and nothing besides."""
    proposals = propose(image, weights=weights)
    return proposals.circles.numpy(), proposals.presence.numpy(), NONE_UNFITTED


def measured(image: NDArray[np.floating]) -> tuple[Array, Array, Unfitted]:
    """What ``measure`` finds, the unlikely ones too: circles (n, 3), the presence of each, and what it did not fit."""
    m = pyrodrop.measure(torch.from_numpy(np.ascontiguousarray(image, np.float32)))
    table = m.candidates
    circles, presence = table[["x_px", "y_px", "radius_px"]].to_numpy(float), table["presence"].to_numpy(float)
    return circles, presence, unfitted_in(m.droplets)


def scores(circles: Array, presence: Array, truth: Array) -> Row:
    """F1, recall, precision and the radii's median errors of the circles (n, 3) of presence 1/2 or more."""
    expected, circles = float(presence.sum()), circles[presence >= 0.5]
    i, j = match(circles, truth)
    error = np.log(circles[i, 2] / truth[j, 2])
    error = error[np.isfinite(error)]
    return {
        "true": len(truth),
        "reported": len(circles),
        "expected": expected,
        "recall": len(i) / max(len(truth), 1),
        "precision": len(i) / max(len(circles), 1),
        "f1": 2 * len(i) / max(len(truth) + len(circles), 1) if len(truth) else float(len(circles) == 0),
        "radius_error": float(np.median(np.abs(error))) if len(error) else None,
        "radius_bias": float(np.median(error)) if len(error) else None,
    }


def report(name: str, images: Iterator[tuple[str, Array, Array]], asked: argparse.Namespace) -> list[Row]:
    """Print and return a row for each image of a set, by the network and, if asked, by ``measure``."""
    finders: dict[str, Finder] = {"network": partial(proposed, weights=asked.weights)}
    if asked.measure:
        finders["measure"] = measured
    print(f"\n{name}\n{'image':30s} by       true  reported  expected  recall precision  F1    radius  bias   s")
    rows: list[Row] = []
    for image_name, gray, truth in images:
        for by, finder in finders.items():
            began = time.perf_counter()
            row = scores(*finder(gray)[:2], truth)
            row = {"set": name, "image": image_name, "by": by, "seconds": time.perf_counter() - began, **row}
            radius = "    -      -  "
            if row["radius_error"] is not None:
                radius = f"{row['radius_error']:6.3f} {row['radius_bias']:+.3f}"
            print(
                f"{image_name[:30]:30s} {by:8s} {row['true']:4d} {row['reported']:8d} {row['expected']:10.1f}"
                f"  {row['recall']:5.2f} {row['precision']:7.2f}  {row['f1']:.3f} {radius} {row['seconds']:.2f}",
                flush=True,
            )
            rows.append(row)
        if asked.peers and len(truth):
            rows[-1]["peers"] = compare(gray, truth)
            print("    " + "  ".join(f"{k} {v['f1']:.2f}" for k, v in rows[-1]["peers"].items()), flush=True)
    for by in finders:
        f1 = [row["f1"] for row in rows if row["true"] and row["by"] == by]
        if f1:
            print(f"{by}: mean F1 of {len(f1)} images with droplets: {np.mean(f1):.3f}")
    return rows


def report_empties(weights: Path, with_measure: bool) -> list[Row]:
    """Print and return how many droplets are reported of each image without any."""
    print(f"\nwithout droplets\n{'image':40s} reported  expected{'  measure' if with_measure else ''}")
    rows: list[Row] = []
    for name, image in [*drawn_empties(), *photographs()]:
        presence = propose(image, weights=weights).presence
        row: Row = {"set": "empty", "image": name, "reported": int((presence >= 0.5).sum())}
        row["expected"] = float(presence.sum())
        line = f"{name:40s} {row['reported']:8d} {row['expected']:9.2f}"
        if with_measure:
            row["measure"] = pyrodrop.measure(torch.from_numpy(image).float()).n_droplets
            line += f" {row['measure']:8.0f}"
        print(line, flush=True)
        rows.append(row)
    reported = [int(str(r["reported"])) for r in rows]
    print(f"{len(rows)} images: at most one on {sum(n <= 1 for n in reported)}, the worst {max(reported)}")
    return rows


if __name__ == "__main__":
    main()
