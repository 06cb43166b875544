"""Do droplets that are no discs get their circles on their rims, from circles that sit on a part of them?

One scene of each look of ``appearance_scenes``, painted by formulas that are not the package's model. Half of the
circles that are given lie on the upper part of their droplets, as ``measure`` puts them on half-moons: a quarter of the
radius too high, and 0.7 to 0.85 of it. With ``--image FILE --circles FILE`` (a droplets.csv) instead: what is explained
of an image.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from appearance_scenes import LOOKS, scene
from machine import describe_machine, machine_lines

import pyrodrop


def of_look(look: str, colours: int, seed: int, n_pictures: int) -> dict[str, Any]:
    """Errors of centres (px) and radii (of the radius): medians, and medians of their sizes."""
    rng = np.random.default_rng(seed)
    s = scene(rng, look, colours=colours)
    n = len(s.x)
    part = rng.random(n) < 0.5
    factor = np.where(part, rng.uniform(0.7, 0.85, n), rng.uniform(0.95, 1.05, n))
    circles = np.column_stack([s.x + 0.05 * s.r * rng.standard_normal(n), s.y - 0.25 * s.r * part, factor * s.r])
    started = time.process_time()
    fitted = pyrodrop.fit_appearance(s.image, circles, n_pictures=n_pictures)
    seconds = time.process_time() - started
    places, sd = fitted.places.numpy(), fitted.places_sd.numpy()
    errors = np.column_stack([places[:, 0] - s.x, places[:, 1] - s.y, places[:, 2] / s.r - 1])
    names = ("x_px", "y_px", "radius")
    return {
        "droplets": n,
        "pictures": len(fitted.pictures),
        "explained": round(fitted.explained, 4),
        "bias": {name: round(float(np.median(e)), 4) for name, e in zip(names, errors.T, strict=True)},
        "median size": {name: round(float(np.median(np.abs(e))), 4) for name, e in zip(names, errors.T, strict=True)},
        "within 90 %": {
            name: round(float((np.abs(e) < 1.645 * s_).mean()), 2)
            for name, e, s_ in zip(names, errors.T, sd.T, strict=True)
        },
        "process seconds": round(seconds, 1),
    }


def of_image(image: Path, circles: Path, n_pictures: int) -> dict[str, Any]:
    """What is explained of an image about its background, in all channels, with so many pictures at most."""
    table = pd.read_csv(circles)
    started = time.process_time()
    fitted = pyrodrop.fit_appearance(pyrodrop.read_image(str(image)), table, n_pictures=n_pictures)
    return {
        "droplets": len(table),
        "pictures": len(fitted.pictures),
        "explained": round(fitted.explained, 4),
        "process seconds": round(time.process_time() - started, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--looks", nargs="+", default=[*LOOKS], choices=[*LOOKS])
    parser.add_argument("--pictures", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--circles", type=Path)
    parser.add_argument("--save", type=Path, help="file for the results")
    arguments = parser.parse_args()
    machine = describe_machine()
    print(machine_lines(machine))
    results: dict[str, Any] = {"machine": machine}
    if arguments.image is not None:
        results["image"] = of_image(arguments.image, arguments.circles, arguments.pictures)
        print(results["image"])
    else:
        for look in arguments.looks:
            results[look] = of_look(look, 0, arguments.seed, arguments.pictures)
            print(look, json.dumps(results[look]), flush=True)
            if arguments.save:
                arguments.save.write_text(json.dumps(results, indent=2) + "\n")
    if arguments.save:
        arguments.save.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
