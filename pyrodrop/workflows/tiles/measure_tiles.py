"""An image larger than memory: measured in tiles, as if it were one."""

import hashlib
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

import pyrodrop
from pyrodrop.images import CHANNELS, ImageError
from pyrodrop.images.reading.white_level import BRIGHTEST, positive_white
from pyrodrop.results.storage.run_files import begin_run, finish_run
from pyrodrop.results.storage.sealed_files import read_sealed, write_sealed
from pyrodrop.results.storage.summary import SummarisedImage, SummarisedRun, run_summary
from pyrodrop.workflows.output_folder import open_folder
from pyrodrop.workflows.settings import SettingError, positive, positive_whole, profiles_to_try, whole
from pyrodrop.workflows.tiles.grid import Tile, tiles_of
from pyrodrop.workflows.tiles.large_image import Plane, open_plane
from pyrodrop.workflows.tiles.plan import Plan, planned
from pyrodrop.workflows.tiles.single_tile import measure_tile, read_tile
from pyrodrop.workflows.tiles.survey import survey
from pyrodrop.workflows.tiles.whole_image import WHOLE_IMAGE_FILES, facts_of, joined, sizes_of, write_whole_image
from pyrodrop.workflows.tiles.workers import Workers

TILE_PX = 1_024
_LEAST_TILE = 64
_FOLDER, _PLAN = "tiles", "plan.json"


def measure_tiles(
    source: object,
    out: str | os.PathLike[str],
    *,
    tile_px: int = TILE_PX,
    halo_px: int | None = None,
    profile: str = "auto",
    channel: str | None = None,
    frame: int | None = None,
    white: float | str | None = None,
    pixel_size_um: float | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: bool = True,
) -> dict[str, Any]:
    """Measure an image that need not fit into memory, tile by tile, and write the results into the folder ``out``.

    The image is read once for its levels. A few tiles then choose the profile, the scales of the priors, what tells
    droplets from clutter, and the halo which every tile looks beyond its own pixels: as wide as the largest droplet,
    and twice as wide as nearly all. All tiles are measured with these (``models.recognise``), and what two tiles saw
    at a seam is told once (``tiles_seams``). Each tile is written when it is done, into ``out/tiles``; the same call
    again, after whatever interrupted it, does only those that are missing. For other pixels, other settings or
    another version the tiles are done anew.

    Args:
        source: the path of a TIFF or Zarr, or an array that gives parts of itself; see ``tiles_plane.open_plane``.
        out: the folder.
        tile_px: longest side of a tile in px, at least 64. Memory grows with its square, times ``workers``.
        halo_px: width of the halo in px; None for the width of the largest droplet that the sampled tiles show, twice
            that of all but a hundredth of them, and at least 64.
        profile: as for ``pyrodrop.measure``, chosen once for all tiles.
        channel: as for ``measure_image``, one of them; gray where not given.
        frame: which picture of several, from 0.
        white: the level that becomes 1, or "brightest", as where not given; only proportions matter.
        pixel_size_um: side of a pixel in micrometres; else what the file says.
        seed: of the posterior draws.
        workers: processes, each with one thread; 1 measures in this one. An array in memory allows only 1.
        progress: show it on standard error.

    Returns:
        The summary, as ``summary.json`` has it, and where the results are.

    Raises:
        ImageError: the image cannot be read in parts.
        SettingError: a setting out of its range, or a folder that cannot be written to.
    """
    started = time.perf_counter()
    profiles = profiles_to_try(profile)
    tile_px, seed, workers = positive_whole("tile_px", tile_px), whole("seed", seed), positive_whole("workers", workers)
    if tile_px < _LEAST_TILE:
        raise SettingError(f"tile_px is {tile_px}, expected at least {_LEAST_TILE}: a tile is to hold droplets")
    halo_px = None if halo_px is None else positive_whole("halo_px", halo_px)
    level = positive_white(white)
    given_white = None if level is None or level == BRIGHTEST else float(level)
    plane = open_plane(source, frame)
    if workers > 1 and plane.path is None:
        raise SettingError(f"workers is {workers}, but an array in memory is measured by 1; give the path of a file")
    if pixel_size_um is not None:
        plane = replace(plane, pixel_size_um=positive("pixel_size_um", pixel_size_um))
    channel = _channel(channel, plane)

    folder = open_folder(out)
    parts = open_folder(folder / _FOLDER)
    tiles = tiles_of(plane.size, tile_px)
    seen = survey(plane, tiles, given_white)
    known = (pyrodrop.__version__, seen.digest, plane.size, seen.white, tile_px, halo_px, profiles, channel, seed)
    key = hashlib.sha256(repr((*known, plane.pixel_size_um)).encode()).hexdigest()
    plan = _kept_plan(parts, key)
    with Workers(plane, frame, min(workers, len(tiles))) as side_by_side:
        if plan is None:
            for stale in parts.glob("*.npz"):
                stale.unlink()
            plan = planned(side_by_side, tiles, seen, channel, profiles, halo_px, progress)
            write_sealed({"key": key, **plan.as_dict()}, parts / _PLAN)
        missing = [tile for tile in tiles if not _is_done(_path(parts, tile))]
        asked = [(tile, plan, channel, seed, _path(parts, tile)) for tile in missing]
        with tqdm(total=len(tiles), initial=len(tiles) - len(missing), unit="tile", disable=not progress) as bar:
            for _ in side_by_side.each(measure_tile, asked):
                bar.update()

    made = joined(tiles, [_path(parts, tile) for tile in tiles])
    sizes = sizes_of(made, plane.pixel_size_um, seed)
    scratch = [f"{_FOLDER}/{name}" for name in (_PLAN, *(_path(parts, tile).name for tile in tiles))]
    begin_run(folder, (*WHOLE_IMAGE_FILES, *scratch), keep=scratch)
    write_whole_image(made, sizes, seen, plane, folder)
    results = {
        "count": sizes.count.as_dict(),
        "sizes": sizes.as_dict() | {"unit": sizes.unit},
        "profile": plan.profile,
        "log_evidence": plan.evidence,
        **facts_of(made.facts),
        "tiles": {
            "number": len(tiles),
            "tile_px": tile_px,
            "halo_px": plan.halo,
            "widest_halo_px": int(max(facts.halo for facts in made.facts)),
            "seen_twice": made.seams,
            "done_before": len(tiles) - len(missing),
            "seconds": round(sum(facts.seconds for facts in made.facts), 3),
        },
        "warnings": list(sizes.warnings),
    }
    summary = run_summary(
        SummarisedImage(plane.path or "array", plane.size, channel, plane.pixel_size_um),
        SummarisedRun(seed, "cpu", time.perf_counter() - started),
        int((made.table["presence"] >= 0.5).sum()),
        results,
    )
    finish_run(folder, summary)
    return summary | {"results": str(folder)}


def _channel(name: str | None, plane: Plane) -> str:
    known = CHANNELS if plane.samples == 3 else ("gray",)
    if name is not None and name not in known:
        raise ImageError(f"there is no channel {name!r} to measure in tiles: choose one of {', '.join(known)}.")
    return name or "gray"


def _path(parts: Path, tile: Tile) -> Path:
    return parts / f"{tile.name}.npz"


def _kept_plan(parts: Path, key: str) -> Plan | None:
    """The plan of an earlier call for the same, or None."""
    try:
        found = read_sealed(parts / _PLAN)
        return Plan.of_dict(found) if found.pop("key") == key else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_done(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        read_tile(path)
    except Exception:  # written by no one here, or damaged since; zipfile and numpy raise anything
        return False
    return True
