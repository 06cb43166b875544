"""Can the posterior of an image be sampled, which the post did not try? ``Fit.posterior`` on the post's image.

    python benchmarks/posterior.py

Prints R-hat and effective sample sizes, whether every number is known (R-hat under 1.01, effective size of 400), and
how much wider the posterior is than the mean-field guide of the fit. Seconds are those of all: climbing to a mode, its
Hessian, the search for higher modes, warm-up and draws. With ``--nuts``, NUTS for so many iterations, to compare with.
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
from pyrodrop.results.figures.fit_figures import figure
from pyrodrop.results.figures.posterior_figures import posterior_and_guide

SITES = ("x", "y", "r", "amplitude")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--droplets", type=int, nargs="+", default=[100, 500])
    parser.add_argument("--warmup", type=int, default=400)
    parser.add_argument(
        "--samples", type=int, default=4_000, help="the most draws of each chain; with --nuts, their number"
    )
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5, help="of the search for higher modes")
    parser.add_argument("--nuts", action="store_true", help="by NUTS with a dense mass matrix, as a comparison")
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
    begun, processor = time.perf_counter(), time.process_time()
    asked = {"num_warmup": arguments.warmup, "rounds": arguments.rounds, "progress": False}
    if arguments.nuts:
        draws = fit.nuts(num_samples=arguments.samples, num_chains=arguments.chains, max_tree_depth=6, **asked)
    else:
        draws = fit.posterior(arguments.chains, most_samples=arguments.samples, **asked)
    seconds, processor = time.perf_counter() - begun, time.process_time() - processor
    row = {
        "sampler": "nuts" if arguments.nuts else "posterior",
        "droplets": n_droplets,
        "seconds": seconds,
        "processor_seconds": processor,
        "load_at_the_end": os.getloadavg()[1] if hasattr(os, "getloadavg") else None,
        **account(draws, fit.latent(1_000), processor),
    }
    print(json.dumps(row, indent=1), flush=True)
    drawn, axes = figure(1, 2)
    posterior_and_guide(axes, {name: values.flatten(0, 1) for name, values in draws.items()}, fit.latent(1_000))
    drawn.savefig(arguments.out / f"posterior-{n_droplets}.png")
    return row


def account(draws: Any, guide: dict[str, torch.Tensor], processor: float) -> dict[str, Any]:
    """What the draws are worth, and how they differ from the guide's."""
    stats = draws.stats
    numbers = torch.cat([r_hat.reshape(-1) for r_hat in stats.r_hat.values()])
    return {
        "chains": stats.num_chains,
        "warmup": stats.num_warmup,
        "samples": stats.num_samples,
        "leapfrog_steps_per_draw": float(stats.leapfrog_steps[:, stats.num_warmup :].double().mean()),
        "mean_acceptance": stats.mean_acceptance,
        "divergences": stats.divergences,
        "largest_r_hat": {name: float(stats.r_hat[name].max()) for name in ("bg", *SITES)},
        "share_of_numbers_with_r_hat_under_1.01": float((numbers < CONVERGED_R_HAT).double().mean()),
        "least_effective_samples": {name: float(stats.effective[name].min()) for name in ("bg", *SITES)},
        "median_effective_samples": {name: float(stats.effective[name].median()) for name in SITES},
        "least_effective_samples_per_processor_second": stats.min_effective / processor,
        "posterior_sd_over_guide_sd": {
            name: float((draws[name].flatten(0, 1).std(0) / guide[name].std(0)).median()) for name in SITES
        },
        "posterior_sd_over_guide_sd_at_most": {
            name: float((draws[name].flatten(0, 1).std(0) / guide[name].std(0)).max()) for name in SITES
        },
        "converged": draws.converged,
        "verdict": draws.verdict(),
    }


if __name__ == "__main__":
    main()
