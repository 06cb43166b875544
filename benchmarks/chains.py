"""What do more chains cost? NUTS on the post's first prior with 1 to 64 chains in one batch.

    python benchmarks/chains.py

Tracing and compiling are left out of the clock by taking the difference of a long and a short run.
"""

import argparse
import json
import time
from pathlib import Path

from machine import describe_machine, machine_lines

import pyrodrop

HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--chains", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--iterations", type=int, default=400, help="kept draws in the clock, after warm-up")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="the folder to write to")
    arguments = parser.parse_args()
    machine = describe_machine()
    print(machine_lines(machine), flush=True)
    rows: list[dict[str, float]] = []
    for chains in arguments.chains:
        seconds = run(chains, 100 + arguments.iterations) - run(chains, 100)
        rows.append({"chains": chains, "iterations_per_second": arguments.iterations / seconds})
        rows[-1]["over_one_chain"] = rows[0]["iterations_per_second"] / rows[-1]["iterations_per_second"]
        print(f"{chains:4d} chains {rows[-1]['iterations_per_second']:8.1f} it/s, ", end="")
        print(f"{rows[-1]['over_one_chain']:.2f} times the time of {arguments.chains[0]}", flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    result = {"machine": machine, "rows": rows}
    (arguments.out / "chains.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def run(chains: int, samples: int) -> float:
    begun = time.perf_counter()
    pyrodrop.sample_nuts(
        pyrodrop.models.centres,
        *(1014, 760, 100),
        num_warmup=300,
        num_samples=samples,
        num_chains=chains,
        compiled=True,
        progress=False,
    )
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
