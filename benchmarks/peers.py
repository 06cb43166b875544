"""pyrodrop's measure beside scikit-image's blob_log and Hough circles, and trackpy: F1, radius error and seconds.

    python benchmarks/peers.py ../shared/data/real [--out results/peers.json]

The folder holds images and an annotations.csv (image, x, y, r) in folders of their own. The others are told what
measure is not: the range of the true radii, whether droplets are brighter or darker, and each the threshold with the
best F1 of a row of them, chosen with the truth in hand; their seconds are those of the one best call. Needs trackpy.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from machine import describe_machine, machine_lines
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from skimage import feature, transform

import pyrodrop

Array = NDArray[np.float64]
# What a peer finds for a threshold: rows of x, y, r in px.
Peer = Callable[[Array, tuple[float, float], float], Array]


def blob_log(image: Array, radii: tuple[float, float], threshold: float) -> Array:
    """scikit-image's Laplacian of Gaussian; of a disc, sigma is r / sqrt(2)."""
    low, high = (radius / 2**0.5 for radius in radii)
    found = feature.blob_log(image, low, high, num_sigma=12, threshold=None, threshold_rel=threshold)
    return np.stack([found[:, 1], found[:, 0], found[:, 2] * 2**0.5], 1)


def hough(image: Array, radii: tuple[float, float], threshold: float) -> Array:
    """scikit-image's circular Hough transform on Canny edges."""
    edges = feature.canny(image, sigma=1.5)
    tried = np.unique(np.linspace(*radii, 24).round().astype(int).clip(1))
    votes = transform.hough_circle(edges, tried)
    _, x, y, r = transform.hough_circle_peaks(
        votes, tried, int(radii[0]) | 1, int(radii[0]) | 1, threshold=threshold * votes.max(), num_peaks=2_000
    )
    found = np.stack([x, y, r], 1).astype(float)
    # Its peaks are of each radius by itself: of those that share a centre, the strongest is kept.
    kept: list[Array] = []
    for circle in found:
        if all(np.hypot(*(circle[:2] - other[:2])) > 0.5 * other[2] for other in kept):
            kept.append(circle)
    return np.array(kept).reshape(-1, 3)


def trackpy(image: Array, radii: tuple[float, float], threshold: float) -> Array:
    """Trackpy's locate, whose diameter is odd and a bit larger than the droplet; its size is a radius of gyration."""
    import trackpy as tp

    diameter = int(np.ceil(radii[0] + radii[1])) | 1
    found = tp.locate(image * 255, diameter, percentile=64, minmass=threshold * 255 * diameter**2)
    return np.stack([found["x"], found["y"], found["size"] * 2**0.5], 1) if len(found) else np.zeros((0, 3))


PEERS: dict[str, tuple[Peer, Array]] = {
    "blob_log": (blob_log, np.geomspace(0.03, 0.7, 12)),
    "hough": (hough, np.linspace(0.25, 0.9, 12)),
    "trackpy": (trackpy, np.geomspace(0.002, 0.5, 12)),
}


def score(found: Array, truth: Array) -> tuple[float, float]:
    """F1, and median size of the radii's relative errors, of circles (n, 3) matched one to one within half a radius."""
    reach = np.where(np.isfinite(truth[:, 2]), truth[:, 2] / 2, 3.0).clip(2.0)
    if not len(found):
        return 0.0, float("nan")
    distance = cdist(truth[:, :2], found[:, :2])
    rows, columns = linear_sum_assignment(np.where(distance <= reach[:, None], distance, 1e6))
    near = distance[rows, columns] <= reach[rows]
    error = np.abs(found[columns[near], 2] / truth[rows[near], 2] - 1)
    error = error[np.isfinite(error)]
    return 2 * near.sum() / (len(found) + len(truth)), float(np.median(error)) if len(error) else float("nan")


def annotated(folder: Path) -> Iterator[tuple[str, Array, Array]]:
    """Name, gray image and true circles (n, 3) of every image with annotations."""
    for path in sorted(folder.glob("*/annotations.csv")):
        rows = pd.read_csv(path)
        for name, truth in rows.groupby("image"):
            file = path.parent / str(name)
            if file.exists():
                gray = pyrodrop.read_image(file, white="brightest").channel("gray").double().numpy()
                yield str(name), gray, truth[["x", "y", "r"]].to_numpy(float)


def compare(image: Array, truth: Array) -> dict[str, dict[str, float]]:
    """F1, radius error and seconds of measure and of each peer at its best."""
    began = time.perf_counter()
    table = pyrodrop.measure(torch.from_numpy(image)).table
    seconds = time.perf_counter() - began
    f1, error = score(table[["x_px", "y_px", "radius_px"]].to_numpy(float), truth)
    made = {"pyrodrop": {"f1": f1, "radius_error": error, "seconds": seconds}}
    radii = truth[:, 2][np.isfinite(truth[:, 2])]
    told = (float(radii.min()), float(radii.max())) if len(radii) else (1.5, 5.0)
    told = (0.8 * told[0], 1.25 * told[1])
    centres = truth[:, :2].round().astype(int).clip(0, np.array(image.shape)[::-1] - 1)
    bright = image[centres[:, 1], centres[:, 0]].mean() > np.median(image)
    seen = image if bright else image.max() - image
    for name, (find, thresholds) in PEERS.items():
        best: dict[str, float] = {}
        for threshold in thresholds:
            began = time.perf_counter()
            found = find(seen, told, float(threshold))
            seconds = time.perf_counter() - began
            f1, error = score(found, truth)
            if not best or f1 > best["f1"]:
                best = {"f1": f1, "radius_error": error, "seconds": seconds}
        made[name] = best
    return made


def main() -> None:
    """Prints one table, and writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    pyrodrop.measure(pyrodrop.simulate(5, (64, 64), seed=0)[0])  # compiles
    results = {}
    print(machine_lines(describe_machine()))
    print(f"{'image':32}" + "".join(f"{name:>26}" for name in ("pyrodrop", *PEERS)) + "\n" + " " * 32, end="")
    print(f"{'F1   radius    s':>26}" * (1 + len(PEERS)))
    for name, image, truth in annotated(given.folder):
        results[name] = compare(image, truth)
        cells = (f"{r['f1']:.3f}  {r['radius_error']:6.1%}  {r['seconds']:6.2f}" for r in results[name].values())
        print(f"{name:32}" + "".join(f"{cell:>26}" for cell in cells), flush=True)
    # Where radii are known every droplet is annotated; elsewhere what is found beside the annotated may well be there.
    complete = [r for r in results.values() if np.isfinite(r["blob_log"]["radius_error"])]
    mean = {who: float(np.mean([r[who]["f1"] for r in complete])) for who in ("pyrodrop", *PEERS)}
    print(
        f"{f'mean F1 of {len(complete)} with all annotated':32}" + "".join(f"{value:>26.3f}" for value in mean.values())
    )
    if given.out:
        given.out.write_text(
            json.dumps({"machine": describe_machine(), "mean_f1": mean, "images": results}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
