"""What share of its time a measurement spends in each stage, which is what its progress says the time left by.

    python benchmarks/stages.py [--out results/stages.json]

Simulated images of Gaussian spots and of discs, each of some sizes; printed are the processor seconds of each and the
shares of its stages, and the medians of these.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from machine import describe_machine, machine_lines

import pyrodrop
from pyrodrop.recognition.recognise import STAGES, recognise
from pyrodrop.rendering.profiles import automatic_profiles
from pyrodrop.workflows.measuring.assembly import measurement_of
from pyrodrop.workflows.measuring.measure import measured_image

SIZES = {(90, 120): 9, (300, 400): 60, (500, 500): 150}
SEEDS = (1, 2)


def stages_of(pixels: torch.Tensor) -> tuple[float, list[float]]:
    """Seconds of a measurement, and the share of each stage; what comes after the last is left to one."""
    begun: dict[str, float] = {}
    image = measured_image(pixels[None], ("gray",), None)
    values = image.channels.double().numpy()
    start = time.process_time()
    seen = recognise(
        values, values[0], automatic_profiles(), watch=lambda stage: begun.setdefault(stage, time.process_time())
    )
    last = time.process_time()
    assert len(measurement_of(image, seen, 0, time.perf_counter()).table)
    seconds = time.process_time() - start
    spent = dict(zip(begun, np.diff([*begun.values(), last]), strict=True))
    return seconds, [float(spent.get(stage, 0.0)) / seconds for stage in STAGES]


def main() -> None:
    """Measure and print; with --out also write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    words = parser.parse_args()
    torch.set_num_threads(1)
    machine = describe_machine()
    print(machine_lines(machine))
    stages_of(pyrodrop.simulate(5, (70, 90), seed=0, kind="gray")[0].channel("gray"))  # compiles
    rows = []
    for profile in ("gaussian", "disc"):
        for size, number in SIZES.items():
            for seed in SEEDS:
                image, _ = pyrodrop.simulate(number, size, seed=seed, kind="gray", profile=profile)
                seconds, shares = stages_of(image.channel("gray"))
                rows.append({"profile": profile, "size": size, "seconds": round(seconds, 2), "shares": shares})
                print(profile, size, f"{seconds:.2f} s", *(f"{share:.3f}" for share in shares), flush=True)
    medians = dict(zip(STAGES, np.median([row["shares"] for row in rows], 0).round(3).tolist(), strict=True))
    print(medians)
    if words.out:
        words.out.write_text(json.dumps({"machine": machine, "images": rows, "medians": medians}, indent=1))


if __name__ == "__main__":
    main()
