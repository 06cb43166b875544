"""How much longer does work take beside other busy processes than its fair share of the processors says?

    python benchmarks/busy.py

Makes its own load, processes that do nothing but count, prints quiet and busy seconds, the fair share and how many
times that it took, for fit and for measurement, and writes all of it to benchmarks/results/busy.json. Beside N of them,
a program that keeps all c cores busy has its fair share of the machine when it takes 1 + N / c times as long as alone.
Quiet and busy are timed in one run, quiet before and after, and the shorter of the two is what the others are compared
with. Fit: steps at the post's size from the post's start. Measurement: one image of 60 droplets, from pixels to
intervals. Needs a machine that is otherwise idle; its load average when it began is in the result.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from machine import describe_machine, machine_lines
from post import POST

import pyrodrop
from pyrodrop.workflows.fit_settings import fit_settings
from pyrodrop.workflows.fitting.fit import begin

(WIDTH, HEIGHT), DROPLETS = POST["size"], POST["runs"]["fit"]["n_droplets"]
RESULT = Path(__file__).resolve().parent / "results" / "busy.json"
# Beyond this many times the fair share, work on a shared machine waits for itself.
WORTH_TELLING = 1.5


def main() -> None:
    arguments = parse_arguments()
    machine = describe_machine()
    load = os.getloadavg() if hasattr(os, "getloadavg") else None
    print(machine_lines(machine))
    print(f"load average at the start: {load}\n", flush=True)
    works = {"fit": fit_steps(arguments.steps, arguments.seconds), "measure": measurement()}
    result: dict[str, Any] = {"machine": machine, "load_at_start": load, "busy_processes": arguments.busy, "works": {}}
    for name, work in works.items():
        work()  # what is compiled, captured and allocated at the first time
        seconds = {0: timed(work)}
        for number in arguments.busy:
            with busy_processes(number):
                seconds[number] = timed(work)
        seconds[0] = min(seconds[0], timed(work))
        rows = {number: compared(taken, seconds[0], number, machine["cores"]) for number, taken in seconds.items()}
        result["works"][name] = {str(number): row for number, row in rows.items()}
        for number, row in rows.items():
            late = "  waits for itself" if row["over_fair_share"] > WORTH_TELLING else ""
            print(
                f"{name:8} beside {number:>2} busy processes: {row['seconds']:7.2f} s, quiet {seconds[0]:7.2f} s, "
                f"{row['times_quiet']:5.2f} times for a fair share of {row['fair_share']:5.2f}: "
                f"{row['over_fair_share']:5.2f} times the fair share{late}",
                flush=True,
            )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {arguments.out}")


def compared(busy: float, quiet: float, number: int, cores: int) -> dict[str, float]:
    """Seconds beside so many busy processes against those alone, and against the fair share of so many cores."""
    times, fair = busy / quiet, 1 + number / cores
    return {"seconds": busy, "times_quiet": times, "fair_share": fair, "over_fair_share": times / fair}


def fit_steps(steps: int | None, seconds: float) -> Callable[[], object]:
    """Steps of a fit at the post's size, from the post's start; as many as take so long alone, if not told."""
    image, _ = pyrodrop.simulate(DROPLETS, (HEIGHT, WIDTH), seed=0, kind="gray", radius_px=(3.0, 9.0))
    settings = fit_settings(DROPLETS, start="uniform", device="cpu", compiled=False)
    fit = begin(image.channel("gray"), settings).resume(20, progress=False)
    if steps is None:
        began = time.perf_counter()
        fit.resume(50, progress=False)
        steps = max(round(50 * seconds / (time.perf_counter() - began)), 20)
    print(f"fit: {steps} steps of {DROPLETS} droplets, {WIDTH} x {HEIGHT} px", flush=True)
    return lambda: fit.resume(steps, progress=False)


def measurement() -> Callable[[], object]:
    """A measurement of the micrograph that pyrodrop makes."""
    image, _ = pyrodrop.simulate(60, (300, 400), seed=0, kind="gray", radius_px=(4.0, 12.0))
    channel = image.channel("gray")
    return lambda: pyrodrop.measure(channel, profile="gaussian", seed=0)


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """So many processes that keep a core busy each."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        time.sleep(1.0)  # until all of them are at it
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, nargs="*", default=[4, 8], help="numbers of busy processes (default 4 8)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of the steps of the fit alone (default 6)")
    parser.add_argument("--steps", type=int, help="of the fit, in place of --seconds")
    parser.add_argument("--threads", type=int, help="of torch (default: torch's own)")
    parser.add_argument("--out", type=Path, default=RESULT, help=f"JSON of the result (default {RESULT.name})")
    arguments = parser.parse_args()
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)  # this process is the benchmark's own
    return arguments


if __name__ == "__main__":
    main()
