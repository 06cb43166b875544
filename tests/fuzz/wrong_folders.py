"""Folders of results, what makes them, and a file in them damaged: of one image, of one in tiles, of a batch."""

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fuzz.damaging import damaged
from fuzz.wrong_words import NUMBERS


def tiles_argv(folder: Path) -> list[str]:
    """The command that measures a small image, which is made here, in four tiles."""
    import tifffile

    from pyrodrop.images.simulation.simulate import simulate

    channel = simulate(6, (70, 70), seed=2, kind="gray")[0].pixels[..., 0]
    tifffile.imwrite(folder / "large.tif", (channel.clamp(0, 1) * 60_000).numpy().astype(np.uint16))
    options = ["--tiles", "64", "--profile", "gaussian", "--white-level", "60000", "--quiet", "--json"]
    return ["measure", str(folder / "large.tif"), *options]


def batch_argv(folder: Path, address: str) -> list[str]:
    """The command that fits three small images, which are made here."""
    from pyrodrop.images import write_png
    from pyrodrop.images.simulation.simulate import simulate

    (folder / "images").mkdir()
    for number in range(3):
        path = folder / "images" / f"{number}.png"
        write_png(simulate(2, (20, 24), seed=number)[0], path)
        os.utime(path, (1_700_000_000, 1_700_000_000))  # long ago, so that their hashes are remembered
    job = ["--job", "fit", "--channel", "saturation", "--droplets", "2", "--steps", "2", "--device", "cpu"]
    return ["batch", str(folder / "images"), *job, "--scheduler", address, "--quiet", "--json"]


def damaged_results(paths: dict[str, str], chance: random.Random, folder: Path) -> str:
    """A folder of results of which a file is damaged; what was done to it."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(paths[chance.choice(["RESULTS", "FITTED"])], folder)
    for late in ("report.html", "rois.zip", "labels.tif"):
        (folder / late).unlink(missing_ok=True)
    names = sorted(one.name for one in folder.iterdir())
    name = chance.choice(["summary.json", "summary.json", "droplets.csv", "droplets.csv", *names])
    path = folder / name
    how = chance.random()
    if how < 0.1:
        path.unlink()
        if chance.random() < 0.5:
            path.mkdir()
    elif name == "summary.json" and how < 0.8:
        summary = json.loads(path.read_text())
        part = summary
        key = chance.choice(sorted(part))
        while isinstance(part[key], dict) and part[key] and chance.random() < 0.7:
            part = part[key]
            key = chance.choice(sorted(part))
        part[key] = anything_in_json(chance)
        path.write_text(json.dumps(summary))
    elif name == "droplets.csv" and how < 0.8:
        table = pd.read_csv(path).astype(object)
        column = chance.choice(list(table))
        kind = chance.random()
        if kind < 0.2:
            table = table.drop(columns=column)
        elif kind < 0.3:
            table = table[:0]
        elif kind < 0.4:
            table = pd.concat([table, table[[column]]], axis=1)
        elif len(table):
            table.loc[chance.choice([0, len(table) - 1]), column] = chance.choice([*NUMBERS, "", "<b>", "a\nb"])
        table.to_csv(path, index=False)
    else:
        path.write_bytes(damaged(path.read_bytes(), chance))
    return f"report of damaged {name}"


def anything_in_json(chance: random.Random) -> Any:
    simple = [
        None,
        True,
        0,
        -1,
        10**400,
        2**63,
        1e308,
        -1e308,
        float("nan"),
        float("inf"),
        0.5,
        "",
        "<b>",
        "a\nb",
        "x" * 5_000,
    ]
    simple += ["\udcff", "\0", [], {}, [[]], [None], ["a"], {"mean": None}, {"mean": 1, "q05": 10**400, "q95": -1}]
    simple += [
        {"mean": 10**400, "q05": 1e308, "q95": -1e308},
        {"mean": "1"},
        {"mean": 5, "q05": 9, "q95": 1},
        [1e400, 1],
    ]
    return chance.choice(simple)


def damaged_tiles(whole: Path, chance: random.Random, folder: Path) -> str:
    """A folder of tiles, of which one file is damaged."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    path = chance.choice(sorted((folder / "tiles").iterdir()))
    how = chance.random()
    if path.suffix == ".npz" and how < 0.6:
        with np.load(path) as kept:
            arrays = dict(kept)
        name = chance.choice(sorted(arrays))
        array = arrays[name]
        kind = chance.choice(["drop", "shorter", "axis", "text", "object", "nan", "more", "bool"])
        if kind == "drop":
            del arrays[name]
        elif kind == "shorter":
            arrays[name] = array[:-1]
        elif kind == "axis":
            arrays[name] = array[None]
        elif kind == "text":
            arrays[name] = array.astype(str)
        elif kind == "object":
            arrays[name] = np.array([{}] * max(len(array), 1), dtype=object)
        elif kind == "nan" and array.dtype.kind == "f":
            arrays[name] = np.full_like(array, np.nan)
        elif kind == "more":
            arrays["x"] = array
        else:
            arrays[name] = array.astype(bool)
        np.savez_compressed(path, **arrays)
    elif path.suffix == ".json" and how < 0.6:
        plan = json.loads(path.read_text())
        part = plan if chance.random() < 0.5 else plan[chance.choice(["scales", "evidence"])]
        part[chance.choice(sorted(name for name in part if name != "key"))] = anything_in_json(chance)
        path.write_text(json.dumps(plan))
    else:
        path.write_bytes(damaged(path.read_bytes(), chance))
    return f"tiles with damaged {path.name}"


def no_file(path: Path, chance: random.Random) -> None:
    """Put something else in the place of a file or a folder, or nothing."""
    what = chance.choice(["nothing", "an empty file", "a folder", "a pipe", "a loop", "to nowhere", "endless", "deep"])
    if what == "an empty file":
        path.touch()
    elif what == "a folder":
        path.mkdir()
    elif what == "a pipe":
        os.mkfifo(path)
    elif what in ("a loop", "to nowhere", "endless"):
        path.symlink_to({"a loop": path, "to nowhere": path.with_name("nowhere"), "endless": "/dev/zero"}[what])
    elif what == "deep":
        path.write_text('{"a": ' + "[" * 100_000)


def damaged_batch(whole: Path, chance: random.Random, folder: Path) -> str:
    """A folder that a batch has written, of which one file is damaged."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    inner = [
        one
        for one in sorted(folder.rglob("*"))
        if one.is_file() and one.suffix in (".json", ".csv", ".parquet", ".png")
    ]
    own = [one for one in inner if one.name in (".hashes.json", "batch.json") or one.parent == folder]
    path = chance.choice([*own, *own, *own, *inner])
    name = path.name if path.parent == folder else f"NAME-KEY/{path.name}"
    how = chance.random()
    if how < 0.1:  # an image's whole folder, or that of what is under way
        images = sorted(one for one in folder.iterdir() if one.is_dir())
        path = chance.choice([*images, folder / ".under-way"])
        name = "NAME-KEY" if path in images else path.name
        shutil.rmtree(path, ignore_errors=True)
        no_file(path, chance)
    elif how < 0.25:
        path.unlink()
        no_file(path, chance)
    elif path.suffix == ".json" and how < 0.7:
        content = json.loads(path.read_text())
        part = content
        while part:
            key = chance.choice(sorted(part) if isinstance(part, dict) else range(len(part)))
            if not isinstance(part[key], dict | list) or not part[key] or chance.random() < 0.3:
                part[key] = anything_in_json(chance)
                break
            part = part[key]
        path.write_text(json.dumps(content if chance.random() < 0.9 else anything_in_json(chance)))
    else:
        path.write_bytes(damaged(path.read_bytes(), chance))
    return f"batch with damaged {name}"
