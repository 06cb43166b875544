"""The tiles put together again: the table, the count and the sizes of the whole image, and a small picture of it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float32
from numpy import ndarray

from pyrodrop.recognition.learnt import shared_sd
from pyrodrop.results.figures import fit_figures as plots
from pyrodrop.results.figures import size_figures as size_plots
from pyrodrop.results.statistics.counts import Count, count_distribution, counted
from pyrodrop.results.statistics.sizes import Sizes, size_statistics
from pyrodrop.results.statistics.unfitted import Unfitted
from pyrodrop.results.storage.file_writers import write_figure, write_table
from pyrodrop.workflows.tiles.grid import Tile
from pyrodrop.workflows.tiles.large_image import LargeImage
from pyrodrop.workflows.tiles.seams import Estimates, reconciled
from pyrodrop.workflows.tiles.survey import Survey
from pyrodrop.workflows.tiles.tile_results import DRAWS, Facts, number_reported, read_tile

# So many draws of diameters are held at once, and so many replicates times droplets are drawn: 100,000 droplets have
# 50 draws each and 400 replicates, which leaves the ends of their intervals steady to a twentieth of their width.
_DRAWS_HELD, _REPLICATES = 5_000_000, 40_000_000
_LEAST_DRAWS, _LEAST_REPLICATES, _MOST_REPLICATES = 20, 400, 4_000

WHOLE_IMAGE_FILES = ("droplets.csv", "candidates.csv", "overlay.png", "count.png")


class WholeImage(NamedTuple):
    """The candidates of all tiles, N of them, each once: those that are counted, then the others, from top to bottom.

    table: as ``candidates.csv``. n_droplets: how many of them are counted. number: of the droplets, those too that are
    too improbable to be candidates. diameters_px: draws. facts: of each tile. seams: how many estimates near seams were
    another tile's, too, and were left out.
    """

    table: pd.DataFrame
    n_droplets: int
    number: Count
    diameters_px: Float32[ndarray, "draws n"]
    facts: list[Facts]
    seams: int

    @property
    def counted(self) -> pd.DataFrame:
        """The rows of ``droplets.csv``."""
        return self.table.head(self.n_droplets)


def join_tiles(tiles: Sequence[Tile], paths: Sequence[Path], unfitted: Unfitted) -> WholeImage:
    """Put the tiles together; a droplet that two of them saw is reported once (``seams``).

    unfitted: what in the whole image is too improbable to be a candidate.

    Memory is that of the droplets, about a kilobyte each at most, whatever the size of the image.
    """
    reported = sum(number_reported(path) for path in paths)
    draws = max(_LEAST_DRAWS, min(DRAWS, _DRAWS_HELD // max(reported, 1)))
    results = [read_tile(path, draws) for path in paths]
    table = pd.concat([result.table for result in results], ignore_index=True)
    diameters = np.concatenate([result.diameters_px for result in results], 1)
    depth, own = (np.concatenate([getattr(result, name) for result in results]) for name in ("depth", "own"))
    numbers = [len(result.depth) for result in results]
    tile = np.repeat(np.arange(len(results)), numbers)
    halo = np.repeat([result.facts.halo for result in results], numbers)
    x, y, radius, presence = (table[name].to_numpy() for name in ("x_px", "y_px", "radius_px", "presence"))
    spread = np.sqrt((table["x_px_sd"].to_numpy() ** 2 + table["y_px_sd"].to_numpy() ** 2) / 2)
    near = np.flatnonzero(depth < halo)
    keep = own.copy()
    columns = (x, y, radius, spread, tile, depth, own, presence)
    keep[near] = reconciled(Estimates(*(column[near] for column in columns)))
    order = np.flatnonzero(keep)
    number = count_distribution(presence[order], shared_sd(), unfitted)
    droplets = counted(presence[order], shared_sd(), unfitted)
    order = order[np.lexsort((x[order], y[order], ~droplets))]
    table = table.iloc[order].reset_index(drop=True)
    table.insert(0, "id", np.arange(len(table)))
    facts = [result.facts for result in results]
    return WholeImage(table, int(droplets.sum()), number, diameters[:, order], facts, int(reported - len(order)))


def sizes_of(whole: WholeImage, pixel_size_um: float | None, seed: int) -> Sizes:
    """Count and size distribution of all droplets."""
    n = len(whole.table)
    replicates = max(_LEAST_REPLICATES, min(_MOST_REPLICATES, _REPLICATES // max(n, 1)))
    sizes = size_statistics(
        whole.diameters_px,
        whole.table["presence"].to_numpy(),
        pixel_size_um=pixel_size_um,
        counted=np.arange(n) < whole.n_droplets,
        shared_sd=shared_sd(),
        replicates=replicates,
        seed=seed,
    )
    return replace(sizes, count=whole.number)


def write_whole_image(whole: WholeImage, sizes: Sizes, seen: Survey, image: LargeImage, folder: Path) -> None:
    """Write ``droplets.csv``, ``candidates.csv``, and the figures overlay, on the image in means over squares of
    pixels, and count.
    """
    table = whole.counted
    write_table(table, folder / "droplets.csv", digits=9)
    write_table(whole.table, folder / "candidates.csv", digits=9)
    height, width = image.size
    figure, axes = plots.figure(panel=(8.0, min(max(8.0 * height / width, 0.5), 40.0) + 0.3))
    # Pixel (j, i) of the small picture is centred on (step j + (step - 1) / 2, ...) of the image.
    shrunk = pd.DataFrame(
        {
            "x_px": (table["x_px"] - (seen.step - 1) / 2) / seen.step,
            "y_px": (table["y_px"] - (seen.step - 1) / 2) / seen.step,
            "radius_px": table["radius_px"] / seen.step,
        }
    )
    plots.overlay(axes[0], torch.from_numpy(seen.small), shrunk)
    write_figure(figure, folder / "overlay.png")
    figure, axes = plots.figure()
    size_plots.count(axes[0], sizes.count)
    write_figure(figure, folder / "count.png")


def facts_of(facts: Sequence[Facts]) -> dict[str, Any]:
    """Background, noise and misfit of the image: means over the tiles, weighted by their pixels."""
    weights = np.array([tile.pixels for tile in facts])
    return {
        name: float(np.average([getattr(tile, name) for tile in facts], weights=weights))
        for name in ("background", "noise", "reduced_chi_square")
    }
