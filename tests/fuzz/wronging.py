"""A program of its own, so that a hang or a full memory stays in it: gives the command line what nobody should.

``PYTHONPATH=tests python tests/fuzz/wronging.py FOLDER COUNT SEED [COMMAND...]`` prints one JSON object: how the
commands ended, and what went wrong. Each is named in FOLDER/now before it is run.
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

from fuzz.wrong_folders import batch_argv, damaged_batch, damaged_results, damaged_tiles, tiles_argv
from fuzz.wrong_words import BASES, spoiled

from pyrodrop import cli
from pyrodrop.workflows.batch.result_folders import RECORD, read_record

MEMORY = 2**30
HANGS_AFTER = 300


def things(folder: Path) -> dict[str, str]:
    """Paths of every kind, by what they are."""
    from pyrodrop.images import write_png
    from pyrodrop.images.simulation.simulate import simulate

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


class Looks:
    """What was seen so far: how commands ended, and each fault once.

    Args:
        folder: where FOLDER/now says what is being run; commands run in FOLDER/home.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.met = Counter[str]()
        self.faults: dict[str, str] = {}
        self.home.mkdir()
        os.chdir(self.home)

    def at(
        self, kind: str, argv: list[str], kept: Path | None = None, again: Callable[[Ran], str] = lambda _: ""
    ) -> None:
        """Run a command line, which may not change the folder ``kept`` where it is refused."""
        (self.folder / "now").write_text(ascii(argv)[:3_000])
        before = {} if kept is None else content_of(kept)
        run = ran(argv)
        self.met[f"{kind}: {run.status}"] += 1
        found = wrong(argv[0], run) or again(run)
        if not found and kept is not None and run.status == 2 and content_of(kept) != before:
            found = "refused, and changed what was there"
        if not found and any(part.startswith(".pyrodrop") for part in os.listdir(self.home)):
            found = "left a part of a file"
        short = found.split(":")[0] + found[-60:]
        if found and short not in self.faults:
            self.faults[short] = f"{kind}: {ascii(argv)[:600]} -> {found}"


def limit_memory() -> None:
    """From here on this process may take so much more."""
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))


def scheduler() -> Any:
    """A scheduler with one worker, within this process."""
    import dask
    from distributed import LocalCluster

    dask.config.set({"distributed.comm.timeouts.connect": "1s"})
    return LocalCluster(n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=None)


def look_at_damaged(
    looks: Looks, argv: list[str], count: int, chance: random.Random, damage: Callable[..., str], tables: list[str]
) -> None:
    """Run a command to its end, and again on what it left, of which something is damaged: the same tables come out."""
    whole, damaged = looks.folder / f"whole {argv[0]}", looks.folder / "damaged"
    first = ran([*argv, "--out", str(whole)])
    assert first.status == 0, (first.error, first.said)

    def content(folder: Path) -> dict[str, bytes]:
        # A batch's folders of results are named after what they are of.
        found = [path for table in tables for path in folder.glob(table)]
        return {str(path.relative_to(folder)): path.read_bytes() for path in found}

    def counts(run: Ran) -> list[Any]:
        return [strict(run.told).get(name) for name in ("images", "done", "failed", "droplets")]

    right = content(whole)
    records = [path.parent.name for path in whole.glob(f"*/{RECORD}")]

    def same(run: Ran) -> str:
        if run.status != 0:
            return ""
        if content(damaged) != right:
            return "another table"
        if counts(run) != counts(first):
            return "other counts"
        return "" if all(read_record(damaged / one) is not None for one in records) else "a damaged record was left"

    for _ in range(count):
        kind = damage(whole, chance, damaged)
        looks.at(kind, [*argv, "--out", str(damaged)], None, same)


def main(folder: Path, count: int, number: int, wanted: list[str]) -> None:
    """Run so many wrong command lines of every command."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # so that tiles are measured in this process
    paths = things(folder / "things")
    looks = Looks(folder)
    asked = wanted or [*BASES, "results", "tiles", "batches"]
    if {"batch", "batches"} & set(asked):
        cluster = scheduler()
        paths["SCHEDULER"] = cluster.scheduler_address
    limit_memory()
    for command in [command for command in BASES if command in asked]:
        chance = random.Random(f"{number} {command}")
        for _ in range(count // 5 if command == "batch" else count):
            out = folder / "out"
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(paths["FITTED"], out)
            looks.at(command, spoiled(command, chance, paths, str(out)), out)
            for one in looks.home.iterdir():
                shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()
    if "results" in asked:
        chance = random.Random(f"{number} results")
        for _ in range(count):
            kind = damaged_results(paths, chance, folder / "damaged")
            looks.at(kind, ["report", str(folder / "damaged"), "--quiet", "--json"])
    if "tiles" in asked:
        chance, argv = random.Random(f"{number} tiles"), tiles_argv(folder)
        look_at_damaged(looks, argv, max(count // 5, 5), chance, damaged_tiles, ["droplets.csv"])
    if "batches" in asked:
        chance, argv = random.Random(f"{number} batches"), batch_argv(folder, paths["SCHEDULER"])
        tables = ["droplets.csv", "*-*/droplets.csv"]
        look_at_damaged(looks, argv, count, chance, damaged_batch, tables)
        for _ in range(count):
            kind = damaged_batch(folder / "whole batch", chance, folder / "damaged")
            looks.at(f"report of {kind}", ["report", str(folder / "damaged"), "--quiet", "--json"])
    print(json.dumps({"met": looks.met, "faults": list(looks.faults.values())}))
    sys.stdout.flush()
    os._exit(0)  # threads of a scheduler and pipes are not waited for


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
