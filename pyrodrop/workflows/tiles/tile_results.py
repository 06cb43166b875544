"""One tile measured and written to a file: its droplets, in pixels of the whole image; and such a file read."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyrodrop.results.checks.residuals import droplet_residuals
from pyrodrop.results.tables.droplet_table import droplet_table
from pyrodrop.workflows.measuring.measurement import Measurement
from pyrodrop.workflows.measuring.parts import OfWhole, measure_part
from pyrodrop.workflows.tiles.array_file import read_arrays, write_arrays
from pyrodrop.workflows.tiles.grid import Tile
from pyrodrop.workflows.tiles.large_image import LargeImage
from pyrodrop.workflows.tiles.plan import Plan
from pyrodrop.workflows.tiles.proposals_file import candidates_in

# Draws of the radii that a tile leaves behind, for the size statistics of all.
DRAWS = 200
# A tile is measured again with a wider halo so many times, where a droplet of its own is larger than the halo.
_WIDENINGS = 3


class Facts(NamedTuple):
    """What a tile says of itself.

    seconds: it took. halo: in px. background, noise, reduced_chi_square: as of a ``Measurement``. pixels: its own.
    hot_pixels: how many of them were filled.
    """

    seconds: float
    halo: float
    background: float
    noise: float
    reduced_chi_square: float
    pixels: float
    hot_pixels: float


class TileResult(NamedTuple):
    """What a tile saw, n droplets.

    table: of the droplets, in px of the whole image. diameters_px: draws, (DRAWS, n). depth: how far within the tile
    each centre lies in px, (n,). own: whether the tile owns it, (n,). facts: of the tile.
    """

    table: pd.DataFrame
    diameters_px: NDArray[np.float32]
    depth: NDArray[np.float64]
    own: NDArray[np.bool_]
    facts: Facts


def measure_tile(image: LargeImage, tile: Tile, plan: Plan, channel: str, seed: int, path: Path) -> None:
    """Measure a tile with its halo, and write what it saw, whole or not at all.

    Reported are its own droplets and those that lie beyond by no more than half the halo, which the neighbouring tiles
    report, too. Where one of its own is larger than the halo is wide, the tile is measured again with a halo of that
    width. Of the network's candidates those in its pixels are read from the file beside ``path``
    (``proposals_file``). ``read_tile`` reads what was written.
    """
    started = time.perf_counter()
    halo = plan.halo
    for _ in range(_WIDENINGS):
        measurement, top, left = _measured(image, tile, plan, channel, seed, halo, path.parent)
        x, y, radius = (measurement.draws[name].double().mean(0).numpy() for name in ("x_px", "y_px", "radius_px"))
        x, y = x + left, y + top
        own = tile.owns(x, y)
        counted = own & (np.arange(len(own)) < measurement.n_droplets)
        needed = int(np.ceil(2 * radius[counted].max())) if counted.any() else 0
        if needed <= halo or halo >= max(image.size):
            break
        halo = needed
    depth = tile.depth(x, y)
    reported = own | (depth > -halo / 2)
    table = _table(measurement, image, top, left)[reported]
    hot = measurement.hot_pixels.numpy()
    facts = Facts(
        time.perf_counter() - started,
        halo,
        float(measurement.background.double().mean()),
        float(measurement.noise.mean()),
        float(measurement.reduced_chi_square.mean()),
        tile.box.size[0] * tile.box.size[1],
        int(tile.owns(left + hot[:, 2], top + hot[:, 1]).sum()),
    )
    arrays: dict[str, Any] = {
        name: table[name].to_numpy(np.dtype(str) if name == "flags" else np.float64)
        for name in table.columns
        if name != "id"
    }
    arrays["_diameters_px"] = 2 * measurement.draws["radius_px"][:DRAWS, reported].numpy()
    arrays |= {"_depth": depth[reported], "_own": own[reported], "_facts": np.array(facts)}
    write_arrays(arrays, path)


def read_tile(path: Path, draws: int = DRAWS) -> TileResult:
    """What ``measure_tile`` wrote, at most so many draws; raises OSError, KeyError or ValueError for any other file."""
    arrays = read_arrays(path)
    table = pd.DataFrame({name: values for name, values in arrays.items() if not name.startswith("_")})
    facts = Facts(*(float(value) for value in arrays["_facts"]))
    # Copied, or all draws would stay in memory as long as some of them.
    return TileResult(table, arrays["_diameters_px"][:draws].copy(), arrays["_depth"], arrays["_own"], facts)


def number_reported(path: Path) -> int:
    """How many droplets are in the file that ``measure_tile`` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return len(stored["_own"])


def _measured(
    image: LargeImage, tile: Tile, plan: Plan, channel: str, seed: int, halo: int, folder: Path
) -> tuple[Measurement, int, int]:
    """The measurement of a tile with its halo, and the row and column that it begins at."""
    # Seeded by its place, so that no two tiles have the same draws, whoever measures them and when.
    own_seed = int(np.random.SeedSequence([seed, tile.row, tile.column]).generate_state(1)[0])
    box = tile.box.widened(halo, image.size)
    pixels = image.channel(box, plan.levels, channel)
    inner = tile.box.widened(halo // 2, image.size)
    rows, columns = (inner.top - box.top, inner.bottom - box.top), (inner.left - box.left, inner.right - box.left)
    within = slice(*rows), slice(*columns)
    whole = OfWhole(candidates_in(folder, box), plan.scales)
    return measure_part(pixels, channel, plan.profile, whole, within, own_seed), box.top, box.left


def _table(measurement: Measurement, image: LargeImage, top: int, left: int) -> pd.DataFrame:
    """The table of a tile in px of the whole image; its flags, too, as the whole image has it."""
    draws = {name: values.double() for name, values in measurement.draws.items()}
    x, y, radius = (draws[name].mean(0).numpy() for name in ("x_px", "y_px", "radius_px"))
    misfit = droplet_residuals(measurement.residual_map, x, y, radius)
    draws |= {"x_px": draws["x_px"] + left, "y_px": draws["y_px"] + top, "amplitude": draws["amplitude"][:, 0]}
    noise = float(measurement.noise.square().mean().sqrt())
    return droplet_table(
        draws,
        image.size,
        noise,
        measurement.presence,
        image.pixel_size_um,
        residuals=misfit,
        at_bounds=measurement.droplets.at_bounds.numpy(),
    )
