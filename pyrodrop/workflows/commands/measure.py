"""Images read, measured, and written as folders of results: ``pyrodrop measure``."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

from pyrodrop.images import ImageError, Micrograph
from pyrodrop.images.reading.white_level import BRIGHTEST
from pyrodrop.workflows.assumptions import assumed_in_measure, check_channels
from pyrodrop.workflows.commands.measured_folder import write_measurement
from pyrodrop.workflows.commands.subject import (
    FileSettings,
    check_file_settings,
    read_subject,
    split_settings,
)
from pyrodrop.workflows.commands.where_to_look import (
    RULES,
    LookSettings,
    check_look,
    mask_of,
    radius_in_px,
    split_look,
)
from pyrodrop.workflows.measuring.channels.other_channels import with_other_channels
from pyrodrop.workflows.measuring.looked_at import checked_mask
from pyrodrop.workflows.measuring.measure import channels_of, measure
from pyrodrop.workflows.measuring.rules import EVERYTHING, Rules, checked_rules
from pyrodrop.workflows.measuring.weights_file import weights_file, weights_in_summary
from pyrodrop.workflows.output_folder import open_folder
from pyrodrop.workflows.settings import SettingError, pick_device, positive_whole, profiles_to_try, whole
from pyrodrop.workflows.tiles.measure_tiles import LEAST_TILE, measure_tiles

# What a long measurement has worked out, until its results are written.
_UNDER_WAY = ".measuring"
_KEEP_ALL = {"polarity": EVERYTHING.polarity, "border": EVERYTHING.border}


def measure_images(paths: Sequence[str], out: str, *, progress: bool = True, **settings: Any) -> dict[str, Any]:
    """Measure images one after the other: one into the folder ``out``, several into a folder of it each.

    Args:
        paths: image files; none stands for the embedded micrograph.
        out: the folder.
        progress: say on standard error which image is being measured.
        settings: as for ``measure_image``.

    Returns:
        The summary of one image; of several, by name their counts, and under ``failed`` what went wrong with those
        that could not be measured.
    """
    if len(paths) <= 1:
        return measure_image(paths[0] if paths else None, out, progress=progress, **settings)
    look, _ = split_look(settings)
    check_look(look)
    folder = open_folder(out)
    taken: dict[str, int] = {}
    done: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for path in paths:
        stem = Path(path).stem
        taken[stem] = taken.get(stem, 0) + 1
        name = stem if taken[stem] == 1 else f"{stem}-{taken[stem]}"
        try:
            summary = measure_image(path, str(folder / name), progress=progress, **settings)
        except (ImageError, SettingError) as error:
            # A mask may be of the size of some images and not of others; all else is wrong for each of them.
            if isinstance(error, SettingError) and not look.keys() & set(error.settings):
                raise
            failed[path] = str(error)
        else:
            done[name] = {key: summary[key] for key in ("count", "profile", "seconds")}
    return {"images": done, "failed": failed, "results": str(folder)}


def measure_image(
    path: str | None,
    out: str,
    *,
    channel: str | None = None,
    profile: str = "auto",
    seed: int = 0,
    device: str = "auto",
    tiles: int | None = None,
    tile_workers: int | None = None,
    weights: str | None = None,
    keep: str | None = None,
    progress: bool = True,
    **further: Any,
) -> dict[str, Any]:
    """Read an image, measure its droplets, and write all results into the folder ``out``.

    Args:
        path: an image file, or None for the embedded micrograph.
        out: the folder.
        channel: name of the channel to measure, or "all" for all of the file's at once; gray where not given, the
            first in a file with channels of its own; saturation for the embedded micrograph.
        profile, seed, device: as for ``pyrodrop.measure``.
        tiles: longest side in px of the tiles that the image is measured in, where it does not fit into memory; see
            ``measure_tiles``.
        tile_workers: processes that measure the tiles; where not given one a core, and in a batch one an image.
        weights: as for ``pyrodrop.measure``.
        keep: as for ``pyrodrop.measure``; where not given, a hidden folder in ``out``, which goes when the results are
            there. Tiles keep each that is done in ``out``.
        progress: say on standard error what is being done.
        further: scale, frame, white and pixel_size_um, as for ``pyrodrop.read_image``; white is "brightest" where not
            given, since only proportions matter here. mask, region and exclude, as in ``LookSettings``: where to look.
            radius, two numbers of px or words as "2.5um", polarity and border: what counts, see ``pyrodrop.measure``.
            priors and noise, as there.

    Returns:
        The summary, and where the results are.
    """
    assumed, further = _assumed(further)
    read, look, rules = _further(further)
    where = str(pick_device(device))
    if tiles is not None:
        if path is None:
            raise SettingError("tiles are for an IMAGE; give one, or leave tiles out", "tiles")
        _check_tiles(tiles, read, {**look, **assumed}, rules)
        read.pop("scale", None)
        how: dict[str, Any] = {"profile": profile, "channel": channel, "seed": seed, "progress": progress, **read}
        how |= {"weights": weights, "device": device}
        workers = _cores() if tile_workers is None else positive_whole("tile_workers", tile_workers)
        return measure_tiles(path, out, tile_px=tiles, workers=workers, **how)
    if tile_workers is not None:
        raise SettingError("tile_workers measure the tiles of one image; give tiles, too", "tile_workers", "tiles")
    if path is not None:
        read["white"] = read.get("white") or BRIGHTEST
    subject = read_subject(path, channel, read, _usual_channel)
    subject_pixels = subject.image if subject.channel == "all" else subject.pixels
    seed, network = whole("seed", seed), weights_file(weights)
    family = assumed_in_measure(profiles_to_try(profile), **_both(assumed))[1]
    height_width, size_um = subject.image.size, subject.image.pixel_size_um
    # What cannot be measured is refused before anything is said or written.
    check_channels(family, len(channels_of(subject_pixels)[1]))
    mask = checked_mask(mask_of(look, height_width, read.get("scale", 1.0)), height_width, None)
    limits = _limits(rules, size_um)
    folder = open_folder(out)
    if progress:
        print(f"measuring {subject} (the very first run compiles first)", file=sys.stderr, flush=True)
    how = {"pixel_size_um": size_um, "seed": seed, "weights": weights, "device": device, **limits._asdict(), **assumed}
    under_way = folder / _UNDER_WAY
    measurement = measure(subject_pixels, mask, profile=profile, keep=keep or under_way, progress=progress, **how)
    if subject.channel != "all":
        measurement = with_other_channels(measurement, subject.image, subject.channel, network, pick_device(where))
    more = weights_in_summary(network)
    summary = write_measurement(measurement, subject, folder, more, look, where)
    shutil.rmtree(under_way, ignore_errors=True)
    return summary | {"results": str(folder)}


def check_measure_image(
    *,
    channel: str | None = None,
    profile: str = "auto",
    seed: int = 0,
    device: str = "auto",
    tiles: int | None = None,
    weights: str | None = None,
    **further: Any,
) -> None:
    """Raise ``SettingError`` or ``ImageError`` for settings that no image could be measured with, one of many."""
    assumed, further = _assumed(further)
    assumed_in_measure(profiles_to_try(profile), **_both(assumed))
    whole("seed", seed)
    if not device.startswith("cuda"):  # needed where the measuring will be done, which need not be here
        pick_device(device)
    weights_file(weights)
    read, look, rules = _further(further)
    check_file_settings(read)
    check_look(look)
    _limits(rules, read.get("pixel_size_um") or 1.0)  # a file may say its own
    if tiles is not None:
        _check_tiles(tiles, read, {**look, **assumed}, rules)


def _assumed(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The priors and the noise among the settings, if they are given, and all others."""
    assumed = {name: settings[name] for name in ("priors", "noise") if settings.get(name) is not None}
    return assumed, {name: value for name, value in settings.items() if name not in ("priors", "noise")}


def _both(assumed: Mapping[str, Any]) -> dict[str, Any]:
    return {"priors": None, "noise": "normal", **assumed}


def _further(settings: Mapping[str, Any]) -> tuple[FileSettings, LookSettings, dict[str, Any]]:
    """How the file is read, where is looked, and what counts; settings that are None are not given."""
    read, others = split_settings({name: value for name, value in settings.items() if value is not None})
    look, rules = split_look(others)
    if unknown := rules.keys() - set(RULES):
        raise TypeError(f"measure_image() got unexpected arguments: {', '.join(sorted(unknown))}")
    return read, look, rules


def _check_tiles(tiles: int, read: FileSettings, look: Mapping[str, Any], rules: Mapping[str, Any]) -> None:
    """Raise ``SettingError`` for tiles that no image can be measured in, and for what is not done in tiles."""
    if read.get("scale", 1.0) != 1.0:
        raise SettingError("tiles are without scale; leave one of them out", "tiles", "scale")
    if asked := [*look, *rules]:
        raise SettingError(f"{', '.join(asked)}: not in tiles yet; crop the image, or leave that out", *asked)
    if positive_whole("tiles", tiles) < LEAST_TILE:
        raise SettingError(f"tiles is {tiles}, expected at least {LEAST_TILE} px, to hold droplets", "tiles")


def _limits(rules: Mapping[str, Any], pixel_size_um: float | None) -> Rules:
    """What counts, in px of an image whose pixels have this size."""
    radius = radius_in_px(rules.get("radius"), pixel_size_um)
    words = {name: rules[name] for name in ("polarity", "border") if name in rules}
    try:
        return checked_rules((None, None) if radius is None else radius, **{**_KEEP_ALL, **words})
    except SettingError as error:
        if "radius_px" not in error.settings:
            raise
        given = " ".join(map(str, rules["radius"]))
        raise SettingError(
            f"radius is {given}, expected the least and the greatest radius that counts; 0 and inf for no limit",
            "radius",
        ) from None


def _usual_channel(image: Micrograph) -> str:
    return "gray" if "gray" in image.channels else image.channels[0]


def _cores() -> int:
    """Cores that this process may use: one, where it was started by another, as by a batch, and is one of several."""
    if parent_process() is not None:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
