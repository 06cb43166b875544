"""Folders such as ``measure`` writes, of images with known droplets."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def write_results(folder: Path, diameters_px: np.ndarray, presence: float = 1.0, **summary: Any) -> Path:
    """Results of an image of 200 x 100 px with droplets of these diameters, known to a tenth of a pixel."""
    folder.mkdir(parents=True)
    n = len(diameters_px)
    generator = np.random.default_rng(n)
    table = pd.DataFrame({"id": np.arange(1, n + 1), "x_px": generator.uniform(0, 199, n)})
    table = table.assign(y_px=generator.uniform(0, 99, n), radius_px=diameters_px / 2, radius_px_sd=0.05)
    table = table.assign(amplitude=0.5, presence=presence, flags="")
    table.to_csv(folder / "droplets.csv", index=False)
    said = {"version": "0.1.0", "image": f"{folder.name}.tif", "width": 200, "height": 100, "channel": "gray"}
    said |= {"pixel_size_um": 0.5, "profile": "disc", "warnings": [], "n_droplets": n}
    said |= {"count": {"mean": n * presence, "q05": n, "q95": n}, "sizes": {}}
    (folder / "summary.json").write_text(json.dumps(said | summary), encoding="utf-8")
    return folder


def write_sample(folder: Path, mean_px: float, images: int, seed: int, **summary: Any) -> Path:
    """A folder of some images of one sample, with about 40 droplets each."""
    generator = np.random.default_rng(seed)
    for number in range(images):
        diameters = mean_px * np.exp(0.15 * generator.standard_normal(generator.poisson(40)))
        write_results(folder / f"image{number}", diameters, **summary)
    return folder
