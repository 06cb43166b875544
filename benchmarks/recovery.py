"""Are the droplets that a fit finds the true ones? On simulated images, beside scikit-image's blob_log.

    python benchmarks/recovery.py

Droplets with radii from 2 to 7 px and amplitudes from 0.4 to 0.6, from sparse to heavily overlapping, at a peak signal
to noise of 3 to 50. Prints recall, precision, centre and radius errors of a fit with the true number of droplets, the
number that ``n_droplets="auto"`` finds and what those droplets are worth, and the same of blob_log, whose threshold is
chosen with the truth in hand. Of isolated droplets, the errors are held against the Cramer-Rao bound.

Seconds are those of whatever else the machine was doing. Rows are kept as soon as they are there.
"""

import argparse
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from machine import describe_machine, machine_lines
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from skimage.feature import blob_log

import pyrodrop
from pyrodrop.pursuit.count import counted_peaks
from pyrodrop.results.tables.truth_comparison import compare_with_truth

HERE = Path(__file__).resolve().parent
# Least distance of two centres in sums of their radii, and pixels of image per droplet.
CROWDS = {"none": (4.0, 3000), "moderate": (1.5, 700), "heavy": (0.7, 350)}
AMPLITUDE, RADII = (0.4, 0.6), (2.0, 7.0)
THRESHOLDS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--droplets", type=int, nargs="+", default=[50, 500, 5000])
    parser.add_argument("--signal-to-noise", type=float, nargs="+", default=[3.0, 5.0, 10.0, 50.0])
    parser.add_argument("--overlap", choices=CROWDS, nargs="+", default=list(CROWDS))
    parser.add_argument("--out", type=Path, default=HERE / "results", help="the folder to write to")
    arguments = parser.parse_args()
    machine = describe_machine()
    print(machine_lines(machine), flush=True)
    print(
        " droplets  overlap   S/N |  fit: recall precision centre/px radius  CRB centre radius "
        "| auto recall precision |  blob_log: ..."
    )
    rows = []
    for n in arguments.droplets:
        for overlap in arguments.overlap:
            for ratio in arguments.signal_to_noise:
                if n > 500 and ratio != 10.0:
                    continue  # the largest images at one signal to noise only: blob_log takes minutes over them
                rows.append(recover(n, overlap, ratio))
                print(line(rows[-1]), flush=True)
                write({"machine": machine, "rows": rows}, arguments.out)


def recover(n: int, overlap: str, ratio: float) -> dict[str, Any]:
    separation, room = CROWDS[overlap]
    side = round(math.sqrt(n * room))
    noise = 0.5 / ratio
    image, truth = pyrodrop.simulate(
        n,
        (side, side),
        7,
        kind="gray",
        noise=noise,
        separation=separation,
        amplitude=AMPLITUDE,
        radius_px=RADII,
        margin=1.0,
    )
    channel = image.channel("gray")
    begun = time.perf_counter()
    fit = pyrodrop.fit(channel, n, noise, progress=False)
    seconds = time.perf_counter() - begun
    table = fit.table()
    row: dict[str, Any] = {"droplets": n, "overlap": overlap, "signal_to_noise": ratio, "seconds": seconds}
    row["fit"] = compare_with_truth(table, truth)
    begun = time.perf_counter()
    counted = counted_peaks(channel, noise)
    row["auto_seconds"] = time.perf_counter() - begun
    row["auto"] = len(counted.x)
    columns = {"x_px": counted.x, "y_px": counted.y, "radius_px": counted.r, "amplitude": counted.amplitude}
    found = pd.DataFrame({name: column.double().numpy() for name, column in columns.items()})
    row["auto_found"] = compare_with_truth(found.assign(presence=1.0), truth)
    # Over the largest images blob_log takes minutes and gigabytes: there only the thresholds that did best on smaller.
    row["blob_log"] = best_blobs(channel, truth, THRESHOLDS if n <= 500 else THRESHOLDS[2:5])
    if overlap == "none":
        row["over_bound"] = over_bound(table, truth, noise)
    return row


def best_blobs(channel: torch.Tensor, truth: pd.DataFrame, thresholds: Sequence[float]) -> dict[str, Any]:
    """blob_log at the threshold of the highest F1."""
    found = []
    for threshold in thresholds:
        blobs = blob_log(channel.numpy(), min_sigma=1.5, max_sigma=8, num_sigma=14, threshold=threshold)
        table = pd.DataFrame({"x_px": blobs[:, 1], "y_px": blobs[:, 0], "radius_px": blobs[:, 2], "presence": 1.0})
        found.append(compare_with_truth(table, truth) | {"threshold": threshold})
    return max(found, key=lambda figures: figures["f1"])


def over_bound(table: pd.DataFrame, truth: pd.DataFrame, noise: float) -> dict[str, float]:
    """Root mean square of error over Cramer-Rao bound, of the matched droplets: 1 is as good as can be.

    With amplitude a, radius r and noise s, the bounds are s sqrt(2 / pi) / a for x and y; for r, whose error is
    correlated with that of the amplitude, sqrt(2) times s / (a sqrt(2 pi)).
    """
    distance = cdist(truth[["x_px", "y_px"]], table[["x_px", "y_px"]])
    i, j = linear_sum_assignment(distance)
    close = distance[i, j] < 2.0
    i, j = i[close], j[close]
    a = truth["amplitude"].to_numpy()[i]
    bounds = {"x_px": noise * math.sqrt(2 / math.pi) / a, "radius_px": noise / (a * math.sqrt(math.pi))}
    bounds["y_px"] = bounds["x_px"]
    errors = {name: table[name].to_numpy()[j] - truth[name].to_numpy()[i] for name in bounds}
    return {name: float(np.sqrt(np.mean((errors[name] / bound) ** 2))) for name, bound in bounds.items()}


def line(row: dict[str, Any]) -> str:
    def figures(f: dict[str, Any]) -> str:
        centre, radius = (
            math.nan if f[name] is None else f[name] for name in ("centre_rmse_px", "radius_median_abs_rel")
        )
        return f"{f['recall']:.3f} {f['precision']:.3f} {centre:.3f} {radius:.3f}"

    bound = row.get("over_bound")
    over = "     -     -" if bound is None else f"{(bound['x_px'] + bound['y_px']) / 2:.2f} {bound['radius_px']:.2f}"
    return (
        f"{row['droplets']:9d} {row['overlap']:>9s} {row['signal_to_noise']:5.0f} | {figures(row['fit'])}  {over} "
        f"| {row['auto']} {row['auto_found']['recall']:.3f} {row['auto_found']['precision']:.3f} "
        f"| {figures(row['blob_log'])}  ({row['seconds']:.1f} s)"
    )


def write(result: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recovery.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
