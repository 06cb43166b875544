"""How long does it take to start: to import, and to answer --help? python benchmarks/starting.py

Each is a process of its own. The rounds take turns, so that a machine that is slower for a while is so for all; told
are medians, and their ratios.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import describe_machine, machine_lines

# A name is imported when it is first asked for: the last two are what importing everything up front would cost.
ASKED = {
    "nothing": "pass",
    "torch and pyro": "import torch, pyro",
    "pyrodrop": "import pyrodrop",
    "pyrodrop, torch and pyro": "import pyrodrop, torch, pyro",
    "pyrodrop.fit": "import pyrodrop; pyrodrop.fit",
    "pyrodrop.measure": "import pyrodrop; pyrodrop.measure",
    "--help": "import sys; from pyrodrop.cli import main; sys.argv[1:] = ['--help']; main()",
}


def main() -> None:
    """Measure, print, and keep the numbers if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11, metavar="N", help="of all (default 11)")
    parser.add_argument("--save", metavar="FILE", help="write the numbers as JSON")
    given = parser.parse_args()
    machine = describe_machine()
    print(machine_lines(machine))
    taken: dict[str, list[float]] = {name: [] for name in ASKED}
    for code in ASKED.values():  # files come from the disk the first time
        seconds(code)
    for _ in range(given.rounds):
        for name, code in ASKED.items():
            taken[name].append(seconds(code))
    medians = {name: statistics.median(each) for name, each in taken.items()}
    base = medians["torch and pyro"]
    for name, median in medians.items():
        print(f"{name:26} {median:.3f} s   {median / base:.2f} x torch and pyro")
    if given.save:
        kept = {"machine": machine, "rounds": given.rounds, "median_seconds": medians}
        Path(given.save).write_text(json.dumps(kept, indent=2) + "\n")


def seconds(code: str) -> float:
    """Of a Python that does this and ends."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
