"""Whether an image and its quarters say the same: the count of the whole beside that of four quarters together.

    python benchmarks/quarters.py [IMAGE ...] [--simulations 50] [--out results/quarters.json]

Asked are images, as files, and crowded simulations: broad patches with 30 droplets and more that can be seen. A droplet
belongs to the quarter that its centre lies in. The candidates of four quarters together have a count as those of the
whole have. Printed is how often the two 90 % intervals overlap, and how often each holds the truth where that is
known.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine, machine_lines

import pyrodrop
from pyrodrop.detection.learning.targets import COLUMN, detectability_weight
from pyrodrop.detection.simulation import simulate_patches
from pyrodrop.recognition.learnt import shared_sd
from pyrodrop.results.statistics.counts import Count, count_distribution

SIDE, SEED, CROWD = 256, (2026, 30), 30


def crowded(n: int) -> Iterator[tuple[str, Any, int]]:
    """Name, pixels and number of droplets of n crowded simulations."""
    block = found = 0
    while found < n:
        patches = simulate_patches(20, SIDE, np.random.SeedSequence((*SEED, block)))
        block += 1
        for image, circles, kind in zip(patches.images, patches.circles, patches.kinds, strict=True):
            asked = detectability_weight(torch.from_numpy(circles[:, COLUMN.detectability])).numpy() >= 0.5
            if found < n and asked.sum() >= CROWD:
                found += 1
                low, high = np.quantile(image, [0.001, 0.999])
                yield f"{kind} {found}", ((image - low) / max(high - low, 1e-12)).astype(np.float64), int(asked.sum())


def compared(name: str, pixels: Any, truth: int | None) -> dict[str, Any]:
    """Print and return the counts of an image and of its quarters."""
    height, width = (side // 2 for side in pixels.shape)
    quarters = [pixels[a, b] for a in np.s_[:height, height:] for b in np.s_[:width, width:]]
    whole = pyrodrop.measure(pixels).count
    together = torch.cat([pyrodrop.measure(np.ascontiguousarray(quarter)).presence for quarter in quarters])
    parts = count_distribution(together.double().numpy(), shared_sd())
    one, other = _ends(whole), _ends(parts)
    made = {
        "image": name,
        "truth": truth,
        "whole": [whole.mean, *one],
        "quarters": [parts.mean, *other],
        "overlap": bool(one[0] <= other[1] and other[0] <= one[1]),
    }
    print(f"{name:30s} truth {truth}  whole {whole.mean:.1f} {one}  quarters {parts.mean:.1f} {other}", flush=True)
    return made


def _ends(count: Count) -> tuple[int, int]:
    return count.quantile(0.05), count.quantile(0.95)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("images", nargs="*", type=Path)
    parser.add_argument("--simulations", type=int, default=50, help="crowded simulations (default 50)")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    machine = describe_machine()
    print(machine_lines(machine), flush=True)
    rows = []
    for path in arguments.images:
        gray = pyrodrop.read_image(path, white="brightest").channel("gray").double().numpy()
        rows.append(compared(path.name, gray, None))
    rows += [compared(*asked) for asked in crowded(arguments.simulations)]
    known = [row for row in rows if row["truth"] is not None]
    share = {
        "overlap": float(np.mean([row["overlap"] for row in rows])),
        "whole holds": float(np.mean([row["whole"][1] <= row["truth"] <= row["whole"][2] for row in known])),
        "quarters hold": float(np.mean([row["quarters"][1] <= row["truth"] <= row["quarters"][2] for row in known])),
    }
    print(", ".join(f"{name} {value:.2f}" for name, value in share.items()))
    if arguments.out:
        arguments.out.write_text(json.dumps({"machine": machine, **share, "rows": rows}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
