"""What does batch cost over the single runs, how long does a finished one take, and --help? python benchmarks/batch.py

Simulated images of 512 x 512 px. The single runs are calls of the job's workflow one after the other in one process,
with one thread, so that start-up counts for the batch and not for them. They run twice: alone on the machine, and
side by side in as many processes as the batch has workers, as a loop in the shell would run them: cores that are busy
together are slower than one that is busy alone, whoever keeps them so.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import describe_machine, machine_lines

import pyrodrop
from pyrodrop.images import write_png

SIDE = 512
DROPLETS = 60
JOB = ("--job", "fit", "--channel", "saturation", "--droplets", str(DROPLETS), "--device", "cpu")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
SINGLE = """
import json, sys, time
from pyrodrop.workflows.commands.fit import fit_image
*paths, out, droplets = sys.argv[1:]
seconds = []
for number, path in enumerate(paths[:1] + paths):  # the first one warms up, and is not counted
    begun = time.perf_counter()
    fit_image(path, f"{out}/{number}", channel="saturation", n_droplets=int(droplets), device="cpu", progress=False)
    seconds.append((time.perf_counter() - begun, time.process_time()))
print(json.dumps([sum(each for each, _ in seconds[1:]), seconds[-1][1] - seconds[0][1]]))
"""


def main() -> None:
    """Measure, print, and keep the numbers if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200, metavar="N", help="how many (default 200)")
    parser.add_argument("--singles", type=int, metavar="N", help="single runs of so many only (default all)")
    parser.add_argument("--finished", type=int, default=1000, metavar="N", help="images of a finished run")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    parser.add_argument("--save", metavar="FILE", help="write the numbers as JSON")
    given = parser.parse_args()
    machine = describe_machine()
    print(machine_lines(machine))
    with tempfile.TemporaryDirectory() as folder:
        numbers = measure(given, Path(folder))
    for name, value in numbers.items():
        print(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}")
    if given.save:
        Path(given.save).write_text(json.dumps({"machine": machine, **numbers}, indent=2) + "\n")


def measure(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All numbers, in seconds."""
    images = folder / "images"
    images.mkdir()
    paths = [str(make(images, number)) for number in range(given.images)]
    singles = paths[: given.singles or len(paths)]
    scale = len(paths) / len(singles)
    single, single_cpu = (value * scale for value in single_runs([singles], folder / "alone"))
    parts = [part for part in (singles[number :: given.workers] for number in range(given.workers)) if part]
    beside, beside_cpu = (value * scale for value in single_runs(parts, folder / "beside"))
    cpu = children_cpu()
    batch = timed("batch", str(images), *JOB, "--workers", str(given.workers), "--out", str(folder / "out"))
    cpu = children_cpu() - cpu
    ideal = single / given.workers
    records = [json.loads(path.read_text()) for path in (folder / "out").glob("*/batch.json")]
    within = sum(record["seconds"] for record in records) / given.workers
    return {
        "images": len(paths),
        "workers": given.workers,
        "single runs, of which in all": len(singles),
        "sum of the single runs": single,
        "that over the workers": ideal,
        "batch": batch,
        "overhead": batch / ideal - 1,
        "single runs side by side, over the workers": beside / given.workers,
        "overhead over those": batch * given.workers / beside - 1,
        # On a machine that others use too, these tell more: single runs have more of it to themselves.
        "overhead in processor time": cpu / single_cpu - 1,
        "overhead in processor time over those side by side": cpu / beside_cpu - 1,
        "batch, seconds not within the jobs": batch - within,
        **finished(given.finished, paths, folder),
        "--help": min(timed("--help") for _ in range(5)),
    }


def single_runs(parts: list[list[str]], folder: Path) -> tuple[float, float]:
    """Wall seconds and processor seconds of single runs, summed over the images, one process for each part at once."""
    processes = []
    for number, paths in enumerate(parts):
        argv = [sys.executable, "-c", SINGLE, *paths, str(folder / str(number)), str(DROPLETS)]
        processes.append(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env={**os.environ, **ONE_THREAD}))
    told = []
    for process in processes:
        output, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"a single run ended with {process.returncode}")
        told.append(json.loads(output.splitlines()[-1]))
    return sum(wall for wall, _ in told), sum(used for _, used in told)


def finished(count: int, paths: list[str], folder: Path) -> dict[str, float]:
    """A run of which all is done: many images whose results are put there as a batch would have put them."""
    from pyrodrop.workflows.batch.result_folders import folder_name, read_record, write_record
    from pyrodrop.workflows.batch.result_keys import Contents, key_of

    many, out = folder / "many", folder / "out-many"
    many.mkdir()
    out.mkdir()
    done = [path for path in (folder / "out").iterdir() if path.is_dir()]
    settings = {"channel": "saturation", "n_droplets": DROPLETS}
    contents = Contents(folder / "hashes", lambda _: 1)
    for number in range(count):
        # A byte behind the end of a PNG is no part of the picture, and makes another content of it.
        path = many / f"{number:05}.png"
        path.write_bytes(Path(paths[number % len(paths)]).read_bytes() + str(number).encode())
        os.utime(path, (1_700_000_000, 1_700_000_000))
        key = key_of(contents.of(str(path)).hash, None, "fit", settings, pyrodrop.__version__)
        there = out / folder_name(str(path), None, key)
        shutil.copytree(done[number % len(done)], there, copy_function=os.link)
        record = read_record(there)
        assert record is not None
        (there / "batch.json").unlink()
        about = {name: value for name, value in record.items() if name not in ("key", "files", "hashes")}
        write_record(there, key, about)
    argv = ("batch", str(many), *JOB, "--out", str(out))
    first, second = timed(*argv), timed(*argv)
    told = json.loads((out / "summary.json").read_text())
    assert (told["done"], told["failed"]) == (count, 0)
    empty = timed("--version")
    return {
        f"a run of {count} images whose results are there, tables written": first,
        f"the same once more, of {count} images": second,
        "that less start-up, per thousand images": (second - empty) * 1000 / count,
    }


def make(folder: Path, seed: int) -> Path:
    """One image on disk."""
    path = folder / f"{seed:05}.png"
    write_png(pyrodrop.simulate(DROPLETS, (SIDE, SIDE), seed)[0], path)
    return path


def children_cpu() -> float:
    """Processor seconds of all processes started from here that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(*argv: str) -> float:
    """Seconds of one command, from nothing to its end."""
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "pyrodrop.cli", *argv, *(["--quiet"] if argv[0] == "batch" else [])],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **ONE_THREAD},
    )
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
