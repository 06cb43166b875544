"""Images of a laboratory that is simulated here, with droplets of a look that the broad simulations do not have."""

from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from pyrodrop.detection.learning.laboratory import MarkedImage, marked_image


def beaded(seed: int, side: int = 256, number: int = 14, noise: float = 0.15) -> MarkedImage:
    """Droplets of which only beads around the rim are seen: circles to a person, and to the network eight spots."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    pixels, places = noise * rng.normal(size=(side, side)), np.zeros((0, 3))
    for _ in range(30 * number):
        x, y, r, turn = (*rng.uniform(0, side - 1, 2), rng.uniform(7, 12), rng.uniform(0, 2 * np.pi))
        apart = np.hypot(places[:, 0] - x, places[:, 1] - y) > 1.15 * (places[:, 2] + r)
        if len(places) < number and apart.all():
            places = np.vstack([places, [x, y, r]])
            distance, angle = np.hypot(columns - x, rows - y), np.arctan2(rows - y, columns - x)
            pixels += np.exp(-(((distance - 0.9 * r) / 1.2) ** 2) / 2) * (np.cos(8 * angle + turn) > 0.2)
    return marked_image("beaded", pixels.astype(np.float32), places)


def write_laboratory(folder: Path, images: list[MarkedImage]) -> None:
    """Each as a TIFF with its table beside it."""
    folder.mkdir(exist_ok=True)
    for k, image in enumerate(images):
        low, high = image.pixels.min(), image.pixels.max()
        tifffile.imwrite(folder / f"{k}.tif", ((image.pixels - low) / (high - low) * 65535).astype(np.uint16))
        table = pd.DataFrame(image.circles[:, :3], columns=["x_px", "y_px", "radius_px"])
        table.to_csv(folder / f"{k}.csv", index=False)
