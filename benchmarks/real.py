"""Are the droplets of real images found, with nothing told? Beside blob_log, told the truth of each image.

    python benchmarks/real.py [--data ../shared/data/real]

Prints for each annotated image how many droplets are found, recall, precision and F1, the median error of the radius,
the seconds, and beside them the F1 and the radius error of scikit-image's blob_log with the radii and the threshold
that suit each image best: what a person gets who tunes by hand, and knows the answer. A droplet is found if its
centre is closer than half the true radius, or 3 px where that is unknown; one to one. The images are not shipped.
"""

import argparse
import csv
import json
import math
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from machine import describe_machine, machine_lines
from PIL import Image
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from pyrodrop.models.finder import find

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[1] / "shared" / "data" / "real"


class Task(NamedTuple):
    """An image, F1 and radius error of blob_log tuned on its truth, and whether the truth lists every droplet."""

    image: str
    f1: float | None
    radius: float | None
    complete: bool = True


TASKS = (
    Task("biopixr_beads/droplet_beads.png", 1.00, 0.04),
    Task("biopixr_beads/beads_small.png", 0.90, 0.04),
    Task("biopixr_beads/beads_image1.png", 0.94, 0.04),
    Task("emps/emps_e8e39c913a_crop.png", 0.98, 0.13),
    Task("emps/emps_4cd9e65aae_crop.png", 0.88, 0.17),
    Task("emps/emps_97e645b56e_crop.png", 1.00, 0.05),
    Task("stardist_dsb2018/dsb2018_test256.png", 0.80, 0.07),
    Task("skimage_coins/coins.png", 1.00, 0.11),
    Task("trackpy_brightfield/bf_0000.png", 1.00, 0.21),
    Task("spitzer_glimpse/glimpse_a.tif", None, None, complete=False),
    Task("trackpy_bulkwater/T76S3F00001.png", 0.83, None, complete=False),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of annotated images")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="the folder to write to")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        parser.exit(2, f"{arguments.data} is not there: the annotated images are not shipped\n")
    machine = describe_machine()
    print(machine_lines(machine))
    find(torch.zeros(32, 32))  # compiles
    print(f"{'image':38s} true found recall precision   F1  radius  seconds | blob_log: F1 radius")
    rows = []
    for task in TASKS:
        rows.append(measure(task, arguments.data))
        print(line(rows[-1], task), flush=True)
    complete = [row["f1"] for row, task in zip(rows, TASKS, strict=True) if task.complete]
    print(f"mean F1 of the {len(complete)} images whose truth is complete: {np.mean(complete):.3f}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "real.json").write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")


def measure(task: Task, data: Path) -> dict[str, Any]:
    with Image.open(data / task.image) as image:
        channel = torch.from_numpy(np.array(image, np.float32))
    begin = time.perf_counter()
    found = find(channel)
    seconds = time.perf_counter() - begin
    there = found.presence >= 0.5
    table = np.stack([found.x, found.y, found.r], 1)[there]
    return {"image": task.image, "seconds": round(seconds, 2), **score(table, annotated(data / task.image))}


def annotated(path: Path) -> npt.NDArray[np.float64]:
    """The true x, y, r (n, 3) of an image in px, r NaN where it is unknown."""
    with (path.parent / "annotations.csv").open(newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["image"] == path.name]
    return np.array([[float(row["x"]), float(row["y"]), float(row["r"] or "nan")] for row in rows]).reshape(-1, 3)


def score(found: npt.NDArray[np.float64], truth: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Matches one to one at the least total distance, each closer than half the true radius or 3 px."""
    reach = np.where(np.isfinite(truth[:, 2]), 0.5 * truth[:, 2], 3.0).clip(min=2.0)
    apart = cdist(truth[:, :2], found[:, :2])
    cost = np.where(apart <= reach[:, None], apart, 1e6)
    i, j = linear_sum_assignment(cost)
    met = cost[i, j] < 1e6
    i, j = i[met], j[met]
    recall, precision = len(i) / len(truth), len(i) / max(len(found), 1)
    relative = np.abs(found[j, 2] / truth[i, 2] - 1.0)
    relative = relative[np.isfinite(relative)]
    return {
        "true": len(truth),
        "found": len(found),
        "recall": round(recall, 4),
        "precision": round(precision, 4),
        "f1": round(2 * recall * precision / max(recall + precision, 1e-12), 4),
        "radius_error": round(float(np.median(relative)), 4) if len(relative) else None,
    }


def line(row: dict[str, Any], task: Task) -> str:
    def figure(value: float | None, width: int) -> str:
        return " " * (width - 1) + "-" if value is None or math.isnan(value) else f"{value:{width}.2f}"

    return (
        f"{row['image']:38s} {row['true']:4d} {row['found']:5d} {row['recall']:6.2f} {row['precision']:9.2f}"
        f" {row['f1']:5.2f} {figure(row['radius_error'], 6)} {row['seconds']:8.2f} |"
        f"       {figure(task.f1, 6)} {figure(task.radius, 6)}"
    )


if __name__ == "__main__":
    main()
