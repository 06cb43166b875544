"""An image larger than memory measured in tiles, with the results of the image as a whole."""

import hashlib
import os
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from tqdm import tqdm

import pyrodrop
from pyrodrop.images import CHANNELS, ImageError
from pyrodrop.images.hot_pixels import warnings_of_hot_pixels
from pyrodrop.images.reading.white_level import BRIGHTEST, positive_white
from pyrodrop.recognition.learnt import shared_sd
from pyrodrop.results.checks.efficiency import efficiency_of
from pyrodrop.results.checks.trust import trust_of
from pyrodrop.results.storage.run_files import begin_run, finish_run
from pyrodrop.results.storage.sealed_files import read_sealed, write_sealed
from pyrodrop.results.storage.summary import SummarisedImage, SummarisedRun, run_summary
from pyrodrop.workflows.measuring.weights_file import weights_file, weights_in_summary
from pyrodrop.workflows.output_folder import open_folder
from pyrodrop.workflows.settings import (
    SettingError,
    device_name,
    pick_device,
    positive,
    positive_whole,
    profiles_to_try,
    whole,
)
from pyrodrop.workflows.tiles.grid import Box, Tile, tiles_of
from pyrodrop.workflows.tiles.large_image import LargeFileSettings, LargeImage, open_large_image
from pyrodrop.workflows.tiles.plan import Plan, plan_tiles
from pyrodrop.workflows.tiles.proposals_file import FILE as PROPOSALS
from pyrodrop.workflows.tiles.proposals_file import candidates_in, propose_whole, unfitted_in
from pyrodrop.workflows.tiles.survey import survey
from pyrodrop.workflows.tiles.tile_results import measure_tile, read_tile
from pyrodrop.workflows.tiles.whole_image import WHOLE_IMAGE_FILES, facts_of, join_tiles, sizes_of, write_whole_image
from pyrodrop.workflows.tiles.workers import Workers

TILE_PX = 1_024
LEAST_TILE = 64
_FOLDER, _PLAN = "tiles", "plan.json"


def measure_tiles(
    source: object,
    out: str | os.PathLike[str],
    *,
    tile_px: int = TILE_PX,
    halo_px: int | None = None,
    profile: str = "auto",
    channel: str | None = None,
    seed: int = 0,
    workers: int = 1,
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: bool = True,
    **file: Unpack[LargeFileSettings],
) -> dict[str, Any]:
    """Measure an image that need not fit into memory, tile by tile, and write the results into the folder ``out``.

    What is taken of the whole image is found first. The image is read for its levels; the network proposes circles in
    all of it, looked at as one image is (``proposals_file``); a few tiles then choose the profile, the scales of the
    priors, how far the network and the joint fit are to be believed, and the halo which every tile looks beyond its
    own pixels: as wide as the largest droplet, and twice as wide as nearly all (``plan``). All tiles are measured with
    these, and what two tiles saw at a seam is reported once (``seams``). Each tile is written when it is done, into
    ``out/tiles``; the same call again, after whatever interrupted it, does only those that are missing. For other
    pixels, other settings or another version the tiles are done anew.

    Args:
        source: the path of a TIFF or Zarr, or an array that gives parts of itself; see
            ``large_image.open_large_image``.
        out: the folder.
        tile_px: longest side of a tile in px, at least 64. Memory grows with its square, times ``workers``.
        halo_px: width of the halo in px; None for the width of the largest droplet that the sampled tiles show, twice
            that of all but a hundredth of them, and at least 64.
        profile: as for ``pyrodrop.measure``, chosen once for all tiles.
        channel: as for ``measure_image``, but a single one; gray where not given.
        seed: of the posterior draws.
        workers: processes, each with one thread; 1 measures in this one. An array in memory allows only 1.
        weights, device: as for ``pyrodrop.measure``.
        progress: show it on standard error.
        file: ``frame``, which picture of several, from 0; ``white``, the level that becomes 1, or "brightest", as
            where not given, since only proportions matter; ``pixel_size_um``, else what the file says.

    Returns:
        The summary, as ``summary.json`` has it, and where the results are.

    Raises:
        ImageError: the image cannot be read in parts.
        SettingError: a setting out of its range, or a folder that cannot be written to.
    """
    started = time.perf_counter()
    profiles = profiles_to_try(profile)
    tile_px, seed, workers = positive_whole("tile_px", tile_px), whole("seed", seed), positive_whole("workers", workers)
    if tile_px < LEAST_TILE:
        raise SettingError(
            f"tile_px is {tile_px}, expected at least {LEAST_TILE}: a tile is to hold droplets", "tile_px"
        )
    halo_px = None if halo_px is None else positive_whole("halo_px", halo_px)
    network, where = weights_file(weights), str(pick_device(device))
    image, white = _opened(source, file)
    if workers > 1 and image.path is None:
        raise SettingError(
            f"workers is {workers}, but an array in memory is measured by 1; give the path of a file", "workers"
        )
    channel = _channel(channel, image)

    folder = open_folder(out)
    parts = open_folder(folder / _FOLDER)
    tiles = tiles_of(image.size, tile_px)
    seen = survey(image, tiles, white)
    asked = (pyrodrop.__version__, seen.digest, image.size, *seen.levels, tile_px, halo_px, profiles, channel, seed)
    about_weights = weights_in_summary(network)
    digest = about_weights.get("weights", {}).get("sha256")
    key = hashlib.sha256(repr((*asked, image.pixel_size_um, digest)).encode()).hexdigest()
    plan = _earlier_plan(parts, key)
    with Workers(image, file.get("frame"), min(workers, len(tiles))) as side_by_side:
        if plan is None:
            for stale in parts.glob("*.npz"):
                stale.unlink()
            propose_whole(side_by_side, seen.levels, channel, tile_px, parts, network, where, progress)
            plan = plan_tiles(side_by_side, tiles, seen, channel, profiles, halo_px, parts, progress)
            write_sealed({"key": key, **plan.as_dict()}, parts / _PLAN)
        missing = [tile for tile in tiles if not _is_done(_path(parts, tile))]
        work = [(tile, plan, channel, seed, _path(parts, tile)) for tile in missing]
        with tqdm(total=len(tiles), initial=len(tiles) - len(missing), unit="tile", disable=not progress) as bar:
            for _ in side_by_side.each(measure_tile, work):
                bar.update()

    unfitted = unfitted_in(parts, image.size)
    whole_image = join_tiles(tiles, [_path(parts, tile) for tile in tiles], unfitted)
    sizes = sizes_of(whole_image, image.pixel_size_um, seed)
    scratch = [f"{_FOLDER}/{name}" for name in (_PLAN, PROPOSALS, *(_path(parts, tile).name for tile in tiles))]
    begin_run(folder, (*WHOLE_IMAGE_FILES, *scratch), keep=scratch)
    write_whole_image(whole_image, sizes, seen, image, folder)
    x, y, presence = (whole_image.table[name].to_numpy() for name in ("x_px", "y_px", "presence"))
    efficiency = efficiency_of(x, y, presence, image.size)
    hot = int(sum(facts.hot_pixels for facts in whole_image.facts))
    of_pixels = warnings_of_hot_pixels(hot)
    results = {
        "count": sizes.count.as_dict(),
        "shared_doubt": shared_sd(),
        "unfitted": unfitted.as_dict(),
        "sizes": sizes.as_dict() | {"unit": sizes.unit},
        "profile": plan.profile,
        "log_evidence": plan.evidence,
        **facts_of(whole_image.facts),
        "tiles": {
            "number": len(tiles),
            "tile_px": tile_px,
            "halo_px": plan.halo,
            "widest_halo_px": int(max(facts.halo for facts in whole_image.facts)),
            "seen_twice": whole_image.seams,
            "done_before": len(tiles) - len(missing),
            "seconds": round(sum(facts.seconds for facts in whole_image.facts), 3),
        },
        "hot_pixels": hot,
        "efficiency": efficiency.as_dict(),
        **about_weights,
        "warnings": [*of_pixels, *efficiency.warnings, *sizes.warnings],
    }
    summary = run_summary(
        SummarisedImage(image.path or "array", image.size, channel, image.pixel_size_um, seen.levels.black),
        SummarisedRun(seed, device_name(where), time.perf_counter() - started),
        whole_image.n_droplets,
        results,
    )
    # Without the predictive check, which asks for the residual of the whole image at once.
    trust = trust_of(whole_image.n_droplets, sizes.count.quantile(0.95), efficiency.warnings, of_pixels)
    summary = {"trust": trust.as_dict()} | summary
    finish_run(folder, summary)
    return summary | {"results": str(folder)}


def _opened(source: object, file: LargeFileSettings) -> tuple[LargeImage, float | None]:
    """The image, and the level that becomes 1, None where the image is to say it."""
    level = positive_white(file.get("white"))
    image = open_large_image(source, file.get("frame"))
    pixel_size_um = file.get("pixel_size_um")
    if pixel_size_um is not None:
        image = replace(image, pixel_size_um=positive("pixel_size_um", pixel_size_um))
    return image, None if level is None or level == BRIGHTEST else float(level)


def _channel(name: str | None, image: LargeImage) -> str:
    known = CHANNELS if image.samples == 3 else ("gray",)
    if name is not None and name not in known:
        raise ImageError(f"there is no channel {name!r} to measure in tiles: choose one of {', '.join(known)}.")
    return name or "gray"


def _path(parts: Path, tile: Tile) -> Path:
    return parts / f"{tile.name}.npz"


def _earlier_plan(parts: Path, key: str) -> Plan | None:
    """The plan of an earlier call for the same, or None; nor is there one without the candidates it was made of."""
    try:
        candidates_in(parts, Box(0, 1, 0, 1))
        stored = read_sealed(parts / _PLAN)
        return Plan.of_dict(stored) if stored.pop("key") == key else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, EOFError):
        return None


def _is_done(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        read_tile(path)
    except Exception:  # written by no one here, or damaged since; zipfile and numpy raise anything
        return False
    return True
