"""One tile measured: its droplets in the pixels of the whole image, ready for the disk."""

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from pyrodrop.recognition.recognise import recognise, recognised_again
from pyrodrop.results.checks.residuals import droplet_residuals
from pyrodrop.results.storage.atomic_write import atomic_write
from pyrodrop.results.tables.droplet_table import droplet_table
from pyrodrop.workflows.measuring.measure import measurement_of
from pyrodrop.workflows.measuring.measurement import Measurement
from pyrodrop.workflows.tiles.cut_droplets import cut_off, mended
from pyrodrop.workflows.tiles.grid import Box, Tile
from pyrodrop.workflows.tiles.large_image import Plane
from pyrodrop.workflows.tiles.plan import Plan

# Draws of the radii that a tile leaves behind, for the size statistics of all.
DRAWS = 200
# A tile is measured again with a wider halo so many times, where a droplet of its own is larger than the halo.
_WIDENINGS = 3
# And fitted so many times more, where its halo cuts droplets that the fit cannot explain.
_MENDINGS = 2


class Facts(NamedTuple):
    """What a tile says of itself.

    seconds: it took. halo: in px. background, noise, reduced_chi_square: as of a ``Measurement``. pixels: its own.
    """

    seconds: float
    halo: float
    background: float
    noise: float
    reduced_chi_square: float
    pixels: float


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


def measure_tile(plane: Plane, tile: Tile, plan: Plan, channel: str, seed: int, path: Path) -> None:
    """Measure a tile with its halo, and write what it saw, whole or not at all.

    Told are its own droplets and those that lie beyond by no more than half the halo, which its neighbours tell of,
    too. Where one of its own is larger than the halo is wide, the tile is measured again with a halo as wide as that.
    ``read_tile`` reads what was written.
    """
    started = time.perf_counter()
    halo = plan.halo
    for _ in range(_WIDENINGS):
        made, top, left = _measured(plane, tile, plan, channel, seed, halo, started)
        x, y, radius = (made.draws[name].double().mean(0).numpy() for name in ("x_px", "y_px", "radius_px"))
        x, y = x + left, y + top
        own = tile.owns(x, y)
        counted = own & (made.presence.numpy() >= 0.5)
        needed = int(np.ceil(2 * radius[counted].max())) if counted.any() else 0
        if needed <= halo or halo >= max(plane.size):
            break
        halo = needed
    depth = tile.depth(x, y)
    told = own | (depth > -halo / 2)
    table = _table(made, plane, top, left)[told]
    facts = Facts(
        time.perf_counter() - started,
        halo,
        float(made.background.double().mean()),
        float(made.noise.mean()),
        float(made.reduced_chi_square.mean()),
        tile.box.size[0] * tile.box.size[1],
    )
    arrays: dict[str, Any] = {
        name: table[name].to_numpy(np.dtype(str) if name == "flags" else np.float64)
        for name in table.columns
        if name != "id"
    }
    arrays["_diameters_px"] = 2 * made.draws["radius_px"][:DRAWS, told].numpy()
    arrays |= {"_depth": depth[told], "_own": own[told], "_facts": np.array(facts)}
    arrays["_digest"] = np.array(_digest(arrays))
    atomic_write(path, lambda temporary: np.savez_compressed(temporary, **arrays))


def read_tile(path: Path, draws: int = DRAWS) -> TileResult:
    """What ``measure_tile`` wrote, at most so many draws; raises OSError, KeyError or ValueError for any other file."""
    with np.load(path, allow_pickle=False) as stored:
        kept = dict(stored)
    if str(kept.pop("_digest")) != _digest(kept):
        raise ValueError(f"{path} is not as it was written")
    table = pd.DataFrame({name: values for name, values in kept.items() if not name.startswith("_")})
    facts = Facts(*(float(value) for value in kept["_facts"]))
    # Copied, or all draws would stay in memory as long as some of them.
    return TileResult(table, kept["_diameters_px"][:draws].copy(), kept["_depth"], kept["_own"], facts)


def number_told(path: Path) -> int:
    """How many droplets the file that ``measure_tile`` wrote tells of."""
    with np.load(path, allow_pickle=False) as stored:
        return len(stored["_own"])


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of names, types, shapes and numbers: no result of a tile is taken for another's."""
    told = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        told.update(f"{name} {array.dtype.str} {arrays[name].shape};".encode() + array.tobytes())
    return told.hexdigest()


def _measured(
    plane: Plane, tile: Tile, plan: Plan, channel: str, seed: int, halo: int, started: float
) -> tuple[Measurement, int, int]:
    """The measurement of a tile with its halo, and the row and column that it begins at."""
    # Seeded by its place, so that no two tiles have the same draws, whoever measures them and when.
    own_seed = int(np.random.SeedSequence([seed, tile.row, tile.column]).generate_state(1)[0])
    box = tile.box.widened(halo, plane.size)
    pixels = plane.channel(box, plan.white, channel)
    one = pixels.double().numpy()
    seen = recognise(one[None], one, (plan.profile,), plan.known)
    inner = tile.box.widened(halo // 2, plane.size)
    within = Box(inner.top - box.top, inner.bottom - box.top, inner.left - box.left, inner.right - box.left)
    for again in range(_MENDINGS):
        cut = cut_off(seen.fit, within)
        if not cut.any():
            break
        one = mended(one, cut, seen.fit, own_seed + again)
        pixels = torch.from_numpy(one.astype(np.float32))
        seen = recognised_again(one[None], seen)
    return measurement_of(pixels[None], (channel,), seen, None, own_seed, started), box.top, box.left


def _table(made: Measurement, plane: Plane, top: int, left: int) -> pd.DataFrame:
    """The table of a tile in px of the whole image; its flags, too, as the whole image has it."""
    draws = {name: values.double() for name, values in made.draws.items()}
    x, y, radius = (draws[name].mean(0).numpy() for name in ("x_px", "y_px", "radius_px"))
    misfit = droplet_residuals(made.residual_map, x, y, radius)
    draws |= {"x_px": draws["x_px"] + left, "y_px": draws["y_px"] + top, "amplitude": draws["amplitude"][:, 0]}
    noise = float(made.noise.square().mean().sqrt())
    return droplet_table(
        draws, plane.size, noise, made.presence, plane.pixel_size_um, residuals=misfit, at_bounds=made.at_bound.numpy()
    )
