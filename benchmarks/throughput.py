"""The post's five runs on this machine, beside the post's own numbers and, with --numpyro, beside NumPyro.

    python benchmarks/throughput.py --short
    python benchmarks/throughput.py --numpyro --out benchmarks/results/throughput.json

The rates hold compilation, as the post's do, but for two things: Numba compiles the kernel before the clock starts,
since it does so once in the life of an installation; and NumPyro's rate for the fit is taken after its compilation,
because as the post wrote it an iteration takes seconds and 12 GB, and only two are run.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from machine import describe_machine, machine_lines, peak_memory_mb, reset_peak_memory
from post import POST, POST_IMAGE

import pyrodrop
from pyrodrop.inference import svi
from pyrodrop.inference.density import flatten

EARLY_STEPS = 2000


def main() -> None:
    arguments = parse_arguments()
    runs = POST["runs"]
    if arguments.short:
        runs = {key: run | POST["short"][key] for key, run in runs.items()}
    image_name, channel = read_channel(arguments)
    machine = describe_machine()
    print(machine_lines(machine))
    print(f"{image_name}: {channel.shape[1]} x {channel.shape[0]} px, seed {arguments.seed}\n", flush=True)

    pyrodrop.fit(channel, n_droplets=2, steps=1, start="uniform", device=arguments.device, progress=False)
    reset_peak_memory()
    at_start = peak_memory_mb()  # with the package and the image in memory
    rows = run_pyrodrop(runs, channel, arguments)
    if arguments.numpyro:
        add_numpyro(rows, runs, channel, arguments)
    print(table(rows, arguments.numpyro))
    if at_start is not None:
        most = max(row["peak_memory_mb"] for row in rows.values())
        print(f"\nmemory: {at_start:.0f} MB with the package imported, at most {most - at_start:.0f} MB more")
    if arguments.out is not None:
        result = {"machine": machine, "image": image_name, "short": arguments.short, "rows": rows}
        result["memory_with_package_mb"] = at_start
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "image", nargs="?", type=Path, help="an image; else the post's if it is here; else a simulated one"
    )
    parser.add_argument("--short", action="store_true", help="fewer iterations: a minute instead of half an hour")
    parser.add_argument(
        "--only", nargs="+", choices=list(POST["runs"]), default=list(POST["runs"]), help="some of the runs"
    )
    parser.add_argument("--numpyro", action="store_true", help="the post's models in NumPyro too (extra: bench)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the numbers and the machine to this JSON file")
    return parser.parse_args()


def read_channel(arguments: argparse.Namespace) -> tuple[str, torch.Tensor]:
    """The name of the image and the post's channel of it, shape (H, W)."""
    path = arguments.image or (POST_IMAGE if POST_IMAGE.exists() else None)
    if path is not None:
        return path.name, pyrodrop.read_image(path).channel(POST["channel"])
    width, height = POST["size"]
    image, _ = pyrodrop.simulate(POST["runs"]["fit"]["n_droplets"], (height, width), seed=arguments.seed)
    return "simulated", image.channel(POST["channel"])


def run_pyrodrop(
    runs: dict[str, Any], channel: torch.Tensor, arguments: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """One row of numbers for each run, by the run's name."""
    height, width = channel.shape
    rows: dict[str, dict[str, Any]] = {}
    for key in [key for key in ("centres", "colours", "rendered") if key in arguments.only]:
        run = runs[key]
        iterations = run["num_warmup"] + run["num_samples"]

        def sample(key: str = key, run: dict[str, Any] = run) -> Any:
            return pyrodrop.sample_nuts(
                getattr(pyrodrop.models, key),
                *(width, height, run["n_droplets"]),
                num_warmup=run["num_warmup"],
                num_samples=run["num_samples"],
                seed=arguments.seed,
                progress=False,
            )

        rows[key], draws = timed(run, iterations, sample)
        rows[key] |= {
            "steps_per_iteration": float(draws.stats.leapfrog_steps[:, -run["num_samples"] :].double().mean()),
            "step_size": draws.stats.step_size,
            "acceptance": draws.stats.mean_acceptance,
        }
    if {"fit", "resumed"} & set(arguments.only):
        rows |= run_fit(runs, channel, arguments)
    return rows


def run_fit(runs: dict[str, Any], channel: torch.Tensor, arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The post's fit, its first iterations apart because droplets are small then, and the fit resumed."""
    run = runs["fit"]
    early = min(EARLY_STEPS, run["steps"])
    row, fit = timed(
        run | {"what": f"SVI, the first {early:,}"},
        early,
        lambda: pyrodrop.fit(
            channel,
            n_droplets=run["n_droplets"],
            error_scale=POST["error_scale"],
            learning_rate=POST["learning_rate"],
            steps=early,
            start="uniform",
            seed=arguments.seed,
            device=arguments.device,
            progress=False,
        ),
    )
    rows = {"early": row, "alone": steps_alone(run, early, channel, arguments)}
    if run["steps"] > early:
        late, fit = timed(run, run["steps"] - early, lambda: fit.resume(run["steps"] - early, progress=False))
        late["seconds"] += row["seconds"]
        late["iterations"] = run["steps"]
        late["per_second"] = run["steps"] / late["seconds"]
        rows["fit"] = late
    else:
        rows["fit"] = row | {"what": run["what"]}
    add_losses(rows["fit"], run, fit.losses, 0)
    if "resumed" in arguments.only:
        run = runs["resumed"]
        done = len(fit.losses)
        rows["resumed"], fit = timed(run, run["steps"], lambda: fit.resume(run["steps"], progress=False))
        add_losses(rows["resumed"], run, fit.losses, done)
    return rows


def steps_alone(
    run: dict[str, Any], steps: int, channel: torch.Tensor, arguments: argparse.Namespace
) -> dict[str, Any]:
    """The same first iterations, compiled from the first one on, with nothing in the clock but the steps.

    This is how NumPyro is timed here: after its compiler has run.
    """
    height, width = channel.shape
    given = (width, height, run["n_droplets"], channel, POST["error_scale"], False)
    density = flatten(pyrodrop.models.channel_fit, given)
    stepper = svi.MeanField(density, compiled=True)
    begun = svi.start(density, svi.uniform_start(density, arguments.seed), seed=arguments.seed)
    begun, _ = stepper.run(begun, 1)
    return timed(run | {"what": f"SVI, the first {steps:,}, steps alone"}, steps, lambda: stepper.run(begun, steps))[0]


def timed(run: dict[str, Any], iterations: int, work: Callable[[], Any]) -> tuple[dict[str, Any], Any]:
    """A row for some work, and what the work returned."""
    reset_peak_memory()
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    row = {
        "what": run["what"],
        "iterations": iterations,
        "seconds": seconds,
        "per_second": iterations / seconds,
        "post_per_second": run["iterations_per_second"],
        "peak_memory_mb": peak_memory_mb(),
    }
    print(f"{row['what']}: {iterations:,} iterations in {seconds:.1f} s", file=sys.stderr, flush=True)
    return row, result


def add_losses(row: dict[str, Any], run: dict[str, Any], losses: torch.Tensor, first: int) -> None:
    """The first loss of a stretch and the mean of its last part, the same share of it as the post's."""
    share = POST["runs"]["fit"]["mean_loss_of_last"] / POST["runs"]["fit"]["steps"]
    last = max(1, round(share * run["steps"]))
    row |= {
        "first_loss": float(losses[first]),
        "mean_loss": float(losses[-last:].double().mean()),
        "mean_loss_of_last": last,
        "post_first_loss": run["first_loss"],
        "post_mean_loss": run["mean_loss"],
    }


def add_numpyro(
    rows: dict[str, dict[str, Any]],
    runs: dict[str, Any],
    channel: torch.Tensor,
    arguments: argparse.Namespace,
) -> None:
    """NumPyro's rates in the same run: the models as the post wrote them, and with the separable product."""
    import jax.numpy as jnp
    import numpyro_models

    height, width = channel.shape
    ways = {"numpyro_separable": numpyro_models.SEPARABLE, "numpyro_as_the_post": numpyro_models.AS_THE_POST}
    for way, models in ways.items():
        for key in [key for key in ("centres", "colours", "rendered") if key in rows]:
            model = getattr(models, key)
            if way == "numpyro_as_the_post" and model is getattr(numpyro_models.SEPARABLE, key):
                rows[key][way] = rows[key]["numpyro_separable"]  # nothing is drawn: it is the same model
                continue
            rows[key][way] = numpyro_models.nuts_rate(model, (width, height), runs[key], arguments.seed)
        if "fit" in rows:
            rate, _ = numpyro_models.svi_rate(
                models.fit,
                jnp.asarray(channel.cpu().numpy()),
                n_droplets=runs["fit"]["n_droplets"],
                error_scale=POST["error_scale"],
                learning_rate=POST["learning_rate"],
                iterations=2 if way == "numpyro_as_the_post" else 200,
                seed=arguments.seed,
            )
            for fit in [fit for fit in ("early", "alone", "fit", "resumed") if fit in rows]:
                rows[fit][way] = rate
        print(f"{way}: done", file=sys.stderr, flush=True)


def table(rows: dict[str, dict[str, Any]], numpyro: bool) -> str:
    """The rows for a person: the rates, how they compare, and for the fits the losses."""
    lines = [f"{'it/s':34}{'the post':>10}{'here':>10}{'ratio':>8}"]
    if numpyro:
        lines[0] += f"{'NumPyro':>10}{'ratio':>9}{'separable':>11}{'ratio':>8}"
    for row in rows.values():
        rate = row["per_second"]
        line = f"{row['what']:34}{row['post_per_second']:10.2f}{rate:10.1f}{rate / row['post_per_second']:8.2f}"
        if numpyro:
            as_post, separable = row["numpyro_as_the_post"], row["numpyro_separable"]
            line += f"{as_post:10.3g}{rate / as_post:9.1f}{separable:11.1f}{rate / separable:8.2f}"
        lines.append(line)
    sampled = [(row, run) for key, run in POST["runs"].items() if "step_size" in (row := rows.get(key, {}))]
    if sampled:
        lines += ["", f"{'steps, their size, acceptance':34}{'the post':>22}{'here':>22}"]
    for row, run in sampled:
        post, here = (
            f"{each['steps_per_iteration']:.0f}, {each['step_size']:.2e}, {each['acceptance']:.2f}"
            for each in (run, row)
        )
        lines.append(f"{row['what']:34}{post:>22}{here:>22}")
    lines += ["", f"{'loss':34}{'the post':>14}{'here':>14}{'ratio':>8}"]
    for row in [row for row in rows.values() if "mean_loss" in row]:
        window = f"mean of the last {row['mean_loss_of_last']:,}"
        for what, name in (("first", "first_loss"), (window, "mean_loss")):
            ratio = row[name] / row[f"post_{name}"]
            lines.append(f"{row['what'] + ', ' + what:34}{row[f'post_{name}']:14,.0f}{row[name]:14,.0f}{ratio:8.3f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
