"""Can the posterior of an image be sampled, which the post did not try? NUTS from a fit, on the post's image.

    python benchmarks/posterior.py

Prints effective samples a second of centres and radii, whether the chains have converged, and how much wider the
posterior is than the mean-field guide that the chains started from.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from machine import describe_machine, machine_lines

import pyrodrop

HERE = Path(__file__).resolve().parent
POST = json.loads((HERE / "post.json").read_text(encoding="utf-8"))
POST_IMAGE = HERE.parent.parent / "shared" / "data" / "post" / "micrograph_half.png"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("image", nargs="?", type=Path, default=POST_IMAGE, help="the post's image")
    parser.add_argument("--droplets", type=int, nargs="+", default=[100, 500])
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--chains", type=int, default=2)
    parser.add_argument("--max-tree-depth", type=int, default=6)
    parser.add_argument("--out", type=Path, default=HERE / "results", help="the folder to write to")
    arguments = parser.parse_args()
    if not arguments.image.exists():
        parser.error(f"{arguments.image} is not here: give an image")
    machine = describe_machine()
    print(machine_lines(machine), flush=True)
    channel = pyrodrop.read_image(arguments.image).channel(POST["channel"])
    rows = [sample(channel, n, arguments) for n in arguments.droplets]
    arguments.out.mkdir(parents=True, exist_ok=True)
    result = {"machine": machine, "rows": rows}
    (arguments.out / "posterior.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def sample(channel: torch.Tensor, n_droplets: int, arguments: argparse.Namespace) -> dict[str, Any]:
    fit = pyrodrop.fit(channel, n_droplets, progress=False)
    begun = time.perf_counter()
    draws = fit.nuts(
        arguments.warmup,
        arguments.samples,
        arguments.chains,
        max_tree_depth=arguments.max_tree_depth,
        progress=False,
    )
    seconds = time.perf_counter() - begun
    guide = fit.latent(1_000)
    ratio = {name: float((draws[name].flatten(0, 1).std(0) / guide[name].std(0)).median()) for name in ("x", "y", "r")}
    worst = {name: float(draws.stats.effective[name].min()) for name in ("x", "y", "r")}
    middle = {name: float(draws.stats.effective[name].median()) for name in ("x", "y", "r")}
    row = {
        "droplets": n_droplets,
        "seconds": seconds,
        "leapfrog_steps_per_draw": float(draws.stats.leapfrog_steps.double().mean()),
        "median_effective_samples_per_second": {name: value / seconds for name, value in middle.items()},
        "least_effective_samples": worst,
        "posterior_sd_over_guide_sd": ratio,
        "converged": draws.converged,
        "verdict": draws.verdict(),
    }
    print(json.dumps(row, indent=1), flush=True)
    return row


if __name__ == "__main__":
    main()
