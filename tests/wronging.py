"""A program of its own, so that a hang or a full memory stays in it: gives the command line what nobody should.

``python wronging.py FOLDER COUNT SEED [COMMAND...]`` prints one JSON object: how the commands ended, and what went
wrong. Each is named in FOLDER/now before it is run.
"""

import contextlib
import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pyrodrop import cli

sys.path.insert(0, str(Path(__file__).parent / "images"))
from damaging import damaged

MEMORY = 2**30
HANGS_AFTER = 300


def words_of(text: str) -> list[str]:
    """Its words."""
    return text.split()


NUMBERS = (
    *words_of(
        """
        0 1 2 3 -0 -1 +1 0.5 1.5 -0.5 1e3 1e-3 1e-30 1e-45 5e-324 1e30 1e38 1e308 1e400 -1e400 nan -nan inf
        -inf infinity 0x10 0b1 1_0 ٣ ½ ∞ 999999999 999999999999 9223372036854775807 9223372036854775808
        18446744073709551616 1,5 1e 1.2.3 1+1 1j True None auto AUTO
        """
    ),
    *["9" * 5_000, " 1", "1 ", "1\n", "--1"],
)
WORDS = (
    *words_of(
        """
        cpu cuda cuda:0 cuda:99 cpu:7 cpu:-1 meta mps xla gaussian disc radial peaks uniform hue saturation
        gray L all value red centres colours rendered fit measure - -- -x --json --quiet --help= @file ~
        ~root . .. * ? [ ** *.png tcp:// tcp://127.0.0.1:1 tls://127.0.0.1:1 tcp://é:1 inproc://x
        http://127.0.0.1:1 127.0.0.1:99999 ucx://a:1 %s {} $HOME é 液滴
        """
    ),
    *["", " ", "\n", "a\nb", "a\0b", "\x1b[31mred", "\u202e", "\udcff", "a" * 300, "b" * 5_000, "c/" * 3_000],
)

# Of each command: what is given at first, which makes it quick, and the options that are spoiled.
BASES: dict[str, tuple[list[str], dict[str, list[str]]]] = {
    "fit": (
        ["IMAGE"],
        {
            "--channel": ["saturation"],
            "--droplets": ["2"],
            "--steps": ["2"],
            "--start": ["uniform"],
            "--scale": [],
            "--frame": [],
            "--white-level": [],
            "--pixel-size": [],
            "--error-scale": [],
            "--learning-rate": [],
            "--restarts": [],
            "--resume": [],
            "--seed": [],
            "--device": ["cpu"],
        },
    ),
    "measure": (
        ["IMAGE"],
        {
            "--channel": [],
            "--profile": ["gaussian"],
            "--scale": [],
            "--frame": [],
            "--white-level": [],
            "--pixel-size": [],
            "--tiles": [],
            "--seed": [],
            "--device": [],
        },
    ),
    "prior": (
        ["centres"],
        {
            "--size": ["20", "16"],
            "--droplets": ["2"],
            "--warmup": ["2"],
            "--samples": ["2"],
            "--seed": [],
            "--device": ["cpu"],
        },
    ),
    "channels": (["IMAGE"], {"--scale": []}),
    "simulate": ([], {"--droplets": ["2"], "--size": ["24", "20"], "--seed": []}),
    "report": (["RESULTS"], {}),
    "batch": (
        ["IMAGE"],
        {
            "--job": ["fit"],
            "--scheduler": ["SCHEDULER"],
            "--workers": [],
            "--workers-per-gpu": [],
            "--channel": ["saturation"],
            "--droplets": ["2"],
            "--steps": ["2"],
            "--start": ["uniform"],
            "--scale": [],
            "--white-level": [],
            "--pixel-size": [],
            "--error-scale": [],
            "--learning-rate": [],
            "--restarts": [],
            "--profile": [],
            "--seed": [],
            "--device": ["cpu"],
        },
    ),
}


def things(folder: Path) -> dict[str, str]:
    """Paths of every kind, by what they are."""
    from pyrodrop.images import write_png
    from pyrodrop.images.simulate import simulate

    folder.mkdir()
    image = folder / "drops.png"
    write_png(simulate(2, (20, 24), seed=1)[0], image)
    found = {"IMAGE": str(image), "FOLDER": str(folder / "folder"), "MISSING": str(folder / "missing.png")}
    (folder / "folder").mkdir()
    for name in ("a\nb.png", "-dash.png", "é 液滴.png", os.fsdecode(b"\xff.png"), "a" * 240 + ".png", "*[a].png"):
        shutil.copy(image, folder / name)
        found[f"named {ascii(name)[:12]}"] = str(folder / name)
    for name, target in {"loop": folder / "loop", "loop/x": folder / "loop", "dangling": folder / "nowhere"}.items():
        with contextlib.suppress(FileExistsError, OSError):
            (folder / name).symlink_to(target)
        found[name] = str(folder / name)
    for name, content in {"text": b"x_px,y_px\n1,2\n", "empty": b"", "cut": image.read_bytes()[:200]}.items():
        (folder / name).write_bytes(content)
        found[name] = str(folder / name)
    os.mkfifo(folder / "pipe")
    found |= {"pipe": str(folder / "pipe"), "within a file": str(image / "deeper")}
    found |= {name: name for name in ("/dev/null", "/dev/zero", "/dev/full", "/proc/self/mem")}
    for name, argv in {
        "RESULTS": ["measure", str(image), "--profile", "gaussian"],
        "FITTED": ["fit", str(image), "--droplets", "2", "--steps", "3", "--channel", "saturation", "--device", "cpu"],
        "SIMULATED": ["simulate", "--droplets", "2", "--size", "24", "20"],
        "PRIOR": ["prior", "centres", "--size", "20", "16", "--droplets", "2", "--warmup", "2", "--samples", "2"],
    }.items():
        found[name] = str(folder / name)
        assert ran([*argv, "--out", found[name], "--quiet", "--json"]).status == 0
        found |= {f"{name} {one.name}": str(one) for one in Path(found[name]).iterdir() if one.suffix != ".png"}
    return found


class Ran:
    """How a command ended: its status or the error that it raised, and what it wrote."""

    def __init__(self, status: int | None, error: str, told: bytes, said: str) -> None:
        self.status, self.error, self.told, self.said = status, error, told, said


class HangError(BaseException):
    """It takes too long."""


def ran(argv: list[str]) -> Ran:
    """Run the command line in this process."""
    told, said = io.BytesIO(), io.StringIO()
    status: int | None = None
    error = ""

    def hangs(*_: Any) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(HANGS_AFTER)
    # As a terminal of UTF-8 is: what it cannot show is an error.
    out = io.TextIOWrapper(told, encoding="utf-8", write_through=True)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
            try:
                status = cli.main(argv)
            except SystemExit as left:
                status = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
    except HangError:
        error = "hangs"
    except BaseException as raised:
        last = traceback.extract_tb(raised.__traceback__)[-1]
        own = [one for one in traceback.extract_tb(raised.__traceback__) if "pyrodrop" in one.filename]
        where = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
        error = f"{type(raised).__name__} at {where}, {last.name}: {str(raised)[:200]!r}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return Ran(status, error, told.getvalue(), said.getvalue())


def strict(text: bytes | str) -> Any:
    """JSON as others read it, in which no number is NaN or infinite."""

    def refuse(name: str) -> Any:
        raise ValueError(f"{name} in JSON")

    return json.loads(text, parse_constant=refuse)


def wrong(command: str, run: Ran) -> str:
    """What is wrong with how a command ended, or ""."""
    if run.error:
        return run.error
    if run.status == 0:
        if run.said:
            return f"done, and said {run.said[:300]!r}"
        try:
            strict(run.told)
        except ValueError as error:
            return "" if run.told.startswith(b"usage:") else f"done, and told {str(error)[:80]}"
        return ""
    line = run.said.removesuffix("\n")
    if command == "measure" and run.status == 1 and b'"failed"' in run.told:
        return ""
    if command in ("batch", "report") and run.status == 1 and b'"failed"' in run.told:
        return "" if line.isprintable() else f"said {run.said[:300]!r}"
    if run.status not in (1, 2):
        return f"ended with {run.status}"
    if run.status == 1 and "what was finished before is kept whole" not in line and "memory" not in line:
        return f"status 1, said {run.said[:300]!r}"
    if run.told:
        return f"refused, and told {run.told[:80]!r}"
    if not run.said.endswith("\n") or not line.isprintable() or len(line) > 2_000:
        return f"said {run.said[:300]!r} ({len(line)} characters)"
    starts = (f"pyrodrop {command}: ", "pyrodrop: ")
    return "" if line.startswith(starts) else f"said {line[:300]!r}"


def content_of(folder: Path) -> dict[str, bytes]:
    """All files of a folder but those that a batch remembers hashes in."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name != ".hashes.json"
    }


def spoiled(command: str, chance: random.Random, paths: dict[str, str], out: str) -> list[str]:
    """A command line of which some is not what it should be."""
    positional, options = BASES[command]
    given = {flag: list(values) for flag, values in options.items() if values}
    words = [paths.get(word, word) for word in positional]
    where = [out]

    def anything() -> str:
        pool: list[Any] = chance.choice([NUMBERS, NUMBERS, WORDS, list(paths.values())])
        return str(chance.choice(pool))

    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        what = chance.random()
        if what < 0.12 or not options:
            if words and chance.random() < 0.8:
                words[chance.randrange(len(words))] = chance.choice([*paths.values(), *WORDS])
            else:
                words.append(anything())
        elif what < 0.2:
            where = [chance.choice([*paths.values(), *WORDS])]
        else:
            flag = chance.choice(sorted(options))
            # Numbers where numbers belong: most is to get past the parser.
            number = flag not in ("--channel", "--profile", "--start", "--resume", "--device", "--scheduler", "--job")
            pool = NUMBERS if number and chance.random() < 0.8 else [*WORDS, *paths.values()]
            given[flag] = [str(chance.choice(pool)) for _ in given.get(flag, [""])]
    if given.get("--steps") == ["auto"]:  # right, and slow
        given["--steps"] = ["3"]
    argv = [command]
    for flag, values in given.items():
        argv += [f"{flag}={values[0]}"] if len(values) == 1 and chance.random() < 0.7 else [flag, *values]
    argv += [f"--out={one}" for one in where if command != "report"]
    argv += [paths.get(word, word) for word in words]
    return [paths.get(word, word) for word in [*argv, "--quiet", "--json"]]


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
        np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    elif path.suffix == ".json" and how < 0.6:
        plan = json.loads(path.read_text())
        part = plan if chance.random() < 0.5 else plan[chance.choice(["scales", "population", "evidence"])]
        part[chance.choice(sorted(name for name in part if name != "key"))] = anything_in_json(chance)
        path.write_text(json.dumps(plan))
    else:
        path.write_bytes(damaged(path.read_bytes(), chance))
    return f"tiles with damaged {path.name}"


def main(folder: Path, count: int, number: int, wanted: list[str]) -> None:
    """Run so many wrong command lines of every command."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # so that tiles are measured in this process
    paths = things(folder / "things")
    home = folder / "home"
    home.mkdir()
    os.chdir(home)
    faults: dict[str, str] = {}
    met = Counter[str]()

    def look(kind: str, argv: list[str], kept: Path | None, again: Callable[[Ran], str] = lambda _: "") -> None:
        (folder / "now").write_text(ascii(argv)[:3_000])
        before = {} if kept is None else content_of(kept)
        run = ran(argv)
        met[f"{kind}: {run.status}"] += 1
        found = wrong(argv[0], run) or again(run)
        if not found and kept is not None and run.status == 2 and content_of(kept) != before:
            found = "refused, and changed what was there"
        if not found and any(part.startswith(".pyrodrop") for part in os.listdir(home)):
            found = "left a part of a file"
        short = found.split(":")[0] + found[-60:]
        if found and short not in faults:
            faults[short] = f"{ascii(argv)[:600]} -> {found}"

    def limited() -> None:
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))

    tiled = folder / "tiled"
    import tifffile

    from pyrodrop.images.simulate import simulate

    large = folder / "large.tif"
    channel = simulate(6, (70, 70), seed=2, kind="gray")[0].pixels[..., 0]
    tifffile.imwrite(large, (channel.clamp(0, 1) * 60_000).numpy().astype(np.uint16))
    tile = [
        "measure",
        str(large),
        "--tiles",
        "64",
        "--profile",
        "gaussian",
        "--white-level",
        "60000",
        "--quiet",
        "--json",
    ]
    if not wanted or "tiles" in wanted:
        first = ran([*tile, "--out", str(tiled)])
        assert first.status == 0, (first.error, first.said)
    cluster: Any = None
    if not wanted or "batch" in wanted:
        from distributed import LocalCluster

        cluster = LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=None
        )
        paths["SCHEDULER"] = cluster.scheduler_address
        import dask

        dask.config.set({"distributed.comm.timeouts.connect": "1s"})
    limited()
    for command in BASES:
        if wanted and command not in wanted:
            continue
        chance = random.Random(f"{number} {command}")
        for _ in range(count // 5 if command == "batch" else count):
            out = folder / "out"
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(paths["FITTED"], out)
            look(command, spoiled(command, chance, paths, str(out)), out)
            for one in home.iterdir():
                shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()
    if not wanted or "results" in wanted:
        chance = random.Random(f"{number} results")
        for _ in range(count):
            kind = damaged_results(paths, chance, folder / "damaged")
            look(kind, ["report", str(folder / "damaged"), "--quiet", "--json"], None)
    if not wanted or "tiles" in wanted:
        chance = random.Random(f"{number} tiles")
        table = (tiled / "droplets.csv").read_bytes()

        def same(run: Ran) -> str:
            if run.status == 0 and (folder / "damaged" / "droplets.csv").read_bytes() != table:
                return "another table"
            return ""

        for _ in range(max(count // 5, 5)):
            kind = damaged_tiles(tiled, chance, folder / "damaged")
            look(kind, [*tile, "--out", str(folder / "damaged")], None, same)
    print(json.dumps({"met": met, "faults": list(faults.values())}))
    sys.stdout.flush()
    os._exit(0)  # threads of a scheduler and pipes are not waited for


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
