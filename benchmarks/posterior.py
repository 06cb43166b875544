"""Can the posterior of an image be sampled, which the post did not try? NUTS from a fit, on the post's image.

    python benchmarks/posterior.py

Prints R-hat, effective samples a second of centres, radii and amplitudes, whether the chains have converged, and how
much wider the posterior is than the mean-field guide of the fit. Seconds are those of all: climbing to a mode, its
Hessian, the search for higher modes, warm-up and draws.
"""

import argparse
import json
import os
import time
from typing import Any

import torch
from machine import describe_machine, machine_lines
from post import POST, parse_with_image

import pyrodrop
from pyrodrop.inference.draws import CONVERGED_R_HAT

SITES = ("x", "y", "r", "amplitude")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--droplets", type=int, nargs="+", default=[100, 500])
    parser.add_argument("--warmup", type=int, default=200)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5, help="of the search for higher modes")
    parser.add_argument("--diagonal", action="store_true", help="the guide's widths for a mass matrix, as a comparison")
    parser.add_argument("--max-tree-depth", type=int, default=6)
    arguments = parse_with_image(parser)
    machine = describe_machine()
    print(machine_lines(machine), flush=True)
    channel = pyrodrop.read_image(arguments.image).channel(POST["channel"])
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for n in arguments.droplets:  # what is measured is kept, should the next take too long
        rows.append(sample(channel, n, arguments))
        result = {"machine": machine, "rows": rows}
        (arguments.out / "posterior.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def sample(channel: torch.Tensor, n_droplets: int, arguments: argparse.Namespace) -> dict[str, Any]:
    fit = pyrodrop.fit(channel, n_droplets, progress=False)
    begun = time.perf_counter()
    draws = fit.nuts(
        arguments.warmup,
        arguments.samples,
        arguments.chains,
        dense=not arguments.diagonal,
        rounds=arguments.rounds,
        max_tree_depth=arguments.max_tree_depth,
        progress=False,
    )
    seconds = time.perf_counter() - begun
    stats = draws.stats
    guide = fit.latent(1_000)
    numbers = torch.cat([r_hat.reshape(-1) for r_hat in stats.r_hat.values()])
    row = {
        "droplets": n_droplets,
        "mass_matrix": "diagonal" if arguments.diagonal else "dense",
        "rounds": arguments.rounds,
        "chains": arguments.chains,
        "warmup": arguments.warmup,
        "samples": arguments.samples,
        "seconds": seconds,
        "load_at_the_end": os.getloadavg()[1] if hasattr(os, "getloadavg") else None,
        "seconds_of_warmup_and_draws": (arguments.warmup + arguments.samples) / stats.iterations_per_second,
        "leapfrog_steps_per_draw": float(stats.leapfrog_steps[:, arguments.warmup :].double().mean()),
        "divergences": stats.divergences,
        "largest_r_hat": {name: float(stats.r_hat[name].max()) for name in ("bg", *SITES)},
        "median_r_hat": {name: float(stats.r_hat[name].median()) for name in SITES},
        "share_of_numbers_with_r_hat_under_1.01": float((numbers < CONVERGED_R_HAT).double().mean()),
        "median_effective_samples_per_second": {
            name: float(stats.effective[name].median()) / seconds for name in SITES
        },
        "median_effective_samples": {name: float(stats.effective[name].median()) for name in SITES},
        "least_effective_samples": {name: float(stats.effective[name].min()) for name in SITES},
        "posterior_sd_over_guide_sd": {
            name: float((draws[name].flatten(0, 1).std(0) / guide[name].std(0)).median()) for name in SITES
        },
        "converged": draws.converged,
        "verdict": draws.verdict(),
    }
    print(json.dumps(row, indent=1), flush=True)
    return row


if __name__ == "__main__":
    main()
