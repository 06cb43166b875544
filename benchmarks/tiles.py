"""How do time and memory of measuring in tiles grow with the image? python benchmarks/tiles.py --droplets 1000 10000

Simulated images with one droplet in 2,560 px, so that 100,000 droplets have 16,000 x 16,000 px. An image is drawn band
by band onto the disk and never held whole. ``pyrodrop measure --tiles`` runs on it in a process of its own, of which,
and of whose workers, the system tells the memory: all that is resident, libraries and other files in part, and what is
the process's own. With --folder an interrupted benchmark goes on where it was: what is done is kept, and the seconds
and peaks of all attempts count.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import tifffile
import torch
from machine import describe_machine, machine_lines
from numpy.typing import NDArray
from scipy.spatial import cKDTree

import pyrodrop

Array = NDArray[np.float64]

PX_A_DROPLET = 2_560
BAND = 500  # rows that are drawn at once
RADIUS_PX, AMPLITUDE, SEPARATION = (3.0, 10.0), (0.2, 0.5), 1.5
BACKGROUND, NOISE, REACH = 0.14, 0.01, 5.0  # a Gaussian is 1e-11 of its height at 5 r
WHITE = 65_535
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
IMPORTED = """
from pathlib import Path
import pyrodrop.workflows.commands.measure, pyrodrop.recognition.recognise, scipy.stats
kept = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(*(kept[name].split()[0] for name in ("VmHWM", "RssAnon")))
"""
NO_PEAKS = {"parent": 0.0, "worker": 0.0, "together": 0.0, "parent_own": 0.0, "worker_own": 0.0}
GROWING = ("seconds", "seconds_besides_tiles", "parent_own_above_import_mb", "worker_own_above_import_mb")
INTERVAL_SAVED = 2.0  # seconds between what is written of a run that may be interrupted


def main() -> None:
    """Measure, print, and keep the numbers if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--droplets", type=int, nargs="+", default=[1_000, 10_000], metavar="N")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes that measure tiles (default 2)")
    parser.add_argument("--tiles", type=int, default=1024, metavar="PX", help="longest side of a tile (default 1024)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the images")
    parser.add_argument("--folder", metavar="DIR", help="keep images and results here, and go on with what is there")
    parser.add_argument("--plain", action="store_true", help="measure the smallest image without tiles, too")
    parser.add_argument("--save", metavar="FILE", help="write the numbers as JSON")
    given = parser.parse_args()
    machine = describe_machine()
    print(machine_lines(machine), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(given.folder or temporary)
        runs = []
        for number in sorted(given.droplets):
            runs.append(measured(number, given, folder))
            print(told(runs[-1]), flush=True)
            keep(given.save, machine, runs, growth(runs))
        for name, power in growth(runs).items():
            print(f"grows with the power {power:.2f} of the number of droplets: {name}")


def measured(number: int, given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The numbers of one image: of this run, or of an earlier one in the same folder with the same settings."""
    home = folder / f"{number}-seed{given.seed}"
    home.mkdir(parents=True, exist_ok=True)
    out = home / f"tiles{given.tiles}-workers{given.workers}"
    kept = home / f"{out.name}.json"
    settings = {"version": pyrodrop.__version__, "workers": given.workers, "tile_px": given.tiles}
    image, truth = made_image(number, given.seed, home)
    record: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    if record.get("settings") != settings:
        record = {"settings": settings, "seconds": 0.0, "peaks_mb": NO_PEAKS, "attempts": 0, "done": False}
    if not record["done"]:
        record["attempts"] += 1
        options = ["--tiles", str(given.tiles), "--workers", str(given.workers)]
        watched([*command(image, out), *options], record, kept)
    summary = json.loads((out / "summary.json").read_text())
    side = summary["width"]
    # Where a run was interrupted, the seconds of a tile that was lost count in the wall time and not in the tiles'.
    tiles = summary["tiles"]
    peaks = record["peaks_mb"]
    base, own = imported_mb()
    run = {
        "droplets": number,
        "side_px": side,
        "image_mb": image.stat().st_size / 2**20,
        "tiles": tiles["number"],
        "halo_px": tiles["halo_px"],
        "seconds": record["seconds"],
        "attempts": record["attempts"],
        "seconds_a_tile": tiles["seconds"] / tiles["number"],
        "seconds_besides_tiles": record["seconds"] - tiles["seconds"] / min(given.workers, tiles["number"]),
        "imported_mb": base,
        "imported_own_mb": own,
        "parent_above_import_mb": peaks["parent"] - base,
        "worker_above_import_mb": peaks["worker"] - base,
        "parent_own_above_import_mb": peaks["parent_own"] - own,
        "worker_own_above_import_mb": peaks["worker_own"] - own,
        "together_mb": peaks["together"],
        **found(pd.read_csv(out / "droplets.csv"), truth),
        "count": summary["count"],
        "profile": summary["profile"],
        "reduced_chi_square": summary["reduced_chi_square"],
    }
    if given.plain and number == min(given.droplets):
        run["plain"] = plain(image, home / "plain", truth)
    return run


def command(image: Path, out: Path) -> list[str]:
    """``pyrodrop measure``, without its options."""
    return [sys.executable, "-m", "pyrodrop.cli", "measure", str(image), "--out", str(out)]


def plain(image: Path, out: Path, truth: pd.DataFrame) -> dict[str, Any]:
    """The same image measured whole, with one thread."""
    begun = time.perf_counter()
    argv, environment = [*command(image, out), "--quiet"], {**os.environ, **ONE_THREAD}
    ran = subprocess.run(argv, env=environment, stdout=subprocess.DEVNULL, check=False)
    if ran.returncode:  # it has said why on standard error; the tiles' numbers stand without it
        return {"failed": ran.returncode}
    seconds = time.perf_counter() - begun
    summary = json.loads((out / "summary.json").read_text())
    inner = {"seconds": seconds, "seconds_measuring": summary["seconds"], "count": summary["count"]}
    return inner | found(pd.read_csv(out / "droplets.csv"), truth)


def watched(argv: list[str], record: dict[str, Any], kept: Path) -> None:
    """Run a command; add its seconds to the record, and keep the peaks of memory, written down as it goes on.

    Peaks are those that the system keeps of each process (VmHWM), so that none is missed between two looks. What is a
    process's own (RssAnon), without pages of files that the system may drop at any time, is the most that a look saw,
    and so is the sum of the resident memory of all processes.
    """
    before, begun, saved = record["seconds"], time.perf_counter(), 0.0
    process = psutil.Popen(argv, env={**os.environ, **ONE_THREAD}, stdout=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            parent = memory_mb(process.pid)
            each = [memory_mb(worker.pid) for worker in process.children(recursive=True)]
            seen = {
                "parent": parent["VmHWM"],
                "worker": max((one["VmHWM"] for one in each), default=0.0),
                "together": sum(one["VmRSS"] for one in (parent, *each)),
                "parent_own": parent["RssAnon"],
                "worker_own": max((one["RssAnon"] for one in each), default=0.0),
            }
            record["peaks_mb"] = {name: max(mb, seen[name]) for name, mb in record["peaks_mb"].items()}
            record["seconds"] = before + time.perf_counter() - begun
            if record["seconds"] - saved > INTERVAL_SAVED:
                saved = record["seconds"]
                write(record, kept)
            time.sleep(0.05)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    record["seconds"] = before + time.perf_counter() - begun
    record["done"] = process.returncode == 0
    write(record, kept)
    if not record["done"]:
        raise SystemExit(f"{' '.join(argv)} ended with {process.returncode}; the same command goes on where it was")


def write(record: dict[str, Any], path: Path) -> None:
    """A record, whole or not at all."""
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(record, indent=2) + "\n")
    temporary.replace(path)


def memory_mb(pid: int) -> dict[str, float]:
    """VmHWM, VmRSS and RssAnon of a process, in MB; 0 where it has ended."""
    found = dict.fromkeys(("VmHWM", "VmRSS", "RssAnon"), 0.0)
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in found:
                found[name] = int(value.split()[0]) / 1024
    return found


def imported_mb() -> tuple[float, float]:
    """What a process holds that has only imported what measuring needs, and what of it is its own, in MB."""
    asked = [sys.executable, "-c", IMPORTED]
    ran = subprocess.run(asked, check=True, capture_output=True, text=True, env={**os.environ, **ONE_THREAD})
    whole, own = (int(kilobytes) / 1024 for kilobytes in ran.stdout.split())
    return whole, own


def made_image(number: int, seed: int, home: Path) -> tuple[Path, pd.DataFrame]:
    """An image on the disk, 16 bits, and its truth; one that is there is kept."""
    path, table = home / "image.tif", home / "truth.csv"
    if not (path.exists() and table.exists()):
        side = round(math.sqrt(PX_A_DROPLET * number))
        begun = time.perf_counter()
        truth = placed(number, side, np.random.default_rng([seed, number]))
        truth.to_csv(table, index=False, float_format="%.9g")
        draw(truth, side, seed, path.with_suffix(".part.tif"))
        path.with_suffix(".part.tif").replace(path)
        print(f"{number} droplets drawn in {time.perf_counter() - begun:.0f} s, {side} x {side} px", flush=True)
    return path, pd.read_csv(table)


def placed(number: int, side: int, generator: np.random.Generator) -> pd.DataFrame:
    """Droplets one after the other where there is room: centres uniform in the image, log radii uniform."""
    cell = 2 * SEPARATION * RADIUS_PX[1]
    taken: dict[tuple[int, int], list[tuple[float, float, float]]] = {}
    kept: list[tuple[float, float, float]] = []
    while len(kept) < number:
        x, y = (float(value) for value in generator.uniform(-0.5, side - 0.5, 2))
        r = float(np.exp(generator.uniform(*np.log(RADIUS_PX))))
        i, j = int(x // cell), int(y // cell)
        around = (one for a in (-1, 0, 1) for b in (-1, 0, 1) for one in taken.get((i + a, j + b), ()))
        if all(math.hypot(x - u, y - v) >= SEPARATION * (r + s) for u, v, s in around):
            kept.append((x, y, r))
            taken.setdefault((i, j), []).append((x, y, r))
    truth = pd.DataFrame(kept, columns=["x_px", "y_px", "radius_px"])
    return truth.assign(amplitude=generator.uniform(*AMPLITUDE, number))


def draw(truth: pd.DataFrame, side: int, seed: int, path: Path) -> None:
    """Draw droplets, ground and noise into a plain TIFF that is mapped into memory, a band of rows at a time."""
    path.unlink(missing_ok=True)
    columns = {name: truth[name].to_numpy() for name in ("x_px", "y_px", "radius_px", "amplitude")}
    ground = torch.tensor(BACKGROUND)
    for top in range(0, side, BAND):
        rows = min(BAND, side - top)
        reach = REACH * columns["radius_px"]
        met = (columns["y_px"] + reach > top) & (columns["y_px"] - reach < top + rows)
        x, y, r, a = (torch.tensor(values[met], dtype=torch.float32) for values in columns.values())
        band = pyrodrop.render(x, y - top, r, a, ground, (rows, side)).numpy()
        band = band + np.random.default_rng([seed, top]).normal(0, NOISE, band.shape)
        made = tifffile.memmap(path, shape=(side, side), dtype="uint16") if top == 0 else tifffile.memmap(path)
        made[top : top + rows] = np.round(np.clip(band, 0, 1) * WHITE)
        made.flush()
        del made


def found(table: pd.DataFrame, truth: pd.DataFrame) -> dict[str, Any]:
    """How many of the true droplets were found, how many of those found are true, and what the intervals hold.

    The rows of the table and the true ones are matched where each is the other's nearest, no further away than the
    true radius.
    """
    likely = table.reset_index(drop=True)
    ours, true = (one[["x_px", "y_px"]].to_numpy() for one in (likely, truth))
    if not len(ours):
        return {"true": len(true), "found": 0, "recall": 0.0, "precision": None}
    away, nearest = cKDTree(ours).query(true)
    back = cKDTree(true).query(ours)[1]
    matched = (back[nearest] == np.arange(len(true))) & (away <= truth["radius_px"].to_numpy())
    pairs = likely.iloc[nearest[matched]].reset_index(drop=True)
    real = truth[matched].reset_index(drop=True)
    coverage = {
        f"coverage_90_{name}": float(real[name].between(pairs[f"{name}_q05"], pairs[f"{name}_q95"]).mean())
        for name in ("x_px", "y_px", "radius_px")
    }
    return {
        "true": len(true),
        "found": len(ours),
        "recall": float(matched.mean()),
        "precision": float(matched.sum() / len(ours)),
        **coverage,
    }


def growth(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Powers of the number of droplets that seconds and memory grow with, from each image to the next."""
    powers = {}
    for small, large in pairwise(runs):
        ratio = math.log(large["droplets"] / small["droplets"])
        for name in GROWING:
            power = math.log(large[name] / small[name]) / ratio if min(large[name], small[name]) > 0 else math.nan
            powers[f"{name}, {small['droplets']} to {large['droplets']}"] = power
    return powers


def told(run: dict[str, Any]) -> str:
    """One image in a few lines."""
    return "\n".join(
        f"  {name}: {value:.4g}" if isinstance(value, float) else f"  {name}: {value}" for name, value in run.items()
    )


def keep(path: str | None, machine: dict[str, Any], runs: list[dict[str, Any]], growths: dict[str, float]) -> None:
    """Write what is known so far."""
    if path:
        Path(path).write_text(json.dumps({"machine": machine, "runs": runs, "growth": growths}, indent=2) + "\n")


if __name__ == "__main__":
    main()
