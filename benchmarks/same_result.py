"""Does the post's fit end where the post's did? 20,000 iterations and 50,000 more, on the post's own image.

    python benchmarks/same_result.py

Writes the loss curve (the mean of each hundred iterations), a picture of it, and the machine.
Exits with 1 if a window's mean loss is not where it should be.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import matplotlib
import torch
from machine import describe_machine, machine_lines
from post import POST, parse_with_image

import pyrodrop

THINNED = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shorten", type=int, default=1, help="a divisor of all iterations, to try the script")
    arguments = parse_with_image(parser)

    machine = describe_machine()
    print(machine_lines(machine), flush=True)
    channel = pyrodrop.read_image(arguments.image).channel(POST["channel"])
    losses, stretches = run_post(channel, arguments)
    windows = [judge(window, losses) for window in POST["same_result"]]
    print(report(windows))

    arguments.out.mkdir(parents=True, exist_ok=True)
    result = {"machine": machine, "seed": arguments.seed, "stretches": stretches, "windows": windows}
    (arguments.out / "same_result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    write_curve(losses, arguments.out / "same_result_losses.csv")
    draw_curve(losses, windows, arguments.out / "same_result_losses.png")
    print(f"written to {arguments.out}")
    return 0 if all(window["reached"] for window in windows if window["mean"] is not None) else 1


def run_post(channel: torch.Tensor, arguments: argparse.Namespace) -> tuple[torch.Tensor, list[dict[str, Any]]]:
    """All losses, and how long each of the post's two stretches took."""
    run = POST["runs"]["fit"]
    steps = run["steps"] // arguments.shorten
    more = POST["runs"]["resumed"]["steps"] // arguments.shorten
    start = time.perf_counter()
    fit = pyrodrop.fit(
        channel,
        n_droplets=run["n_droplets"],
        error_scale=POST["error_scale"],
        learning_rate=POST["learning_rate"],
        steps=steps,
        start="uniform",
        seed=arguments.seed,
        device=arguments.device,
    )
    middle = time.perf_counter()
    fit = fit.resume(more)
    end = time.perf_counter()
    stretches = [
        {"steps": count, "seconds": seconds, "per_second": count / seconds}
        for count, seconds in ((steps, middle - start), (more, end - middle))
    ]
    return fit.losses.detach().cpu().double(), stretches


def judge(window: dict[str, Any], losses: torch.Tensor) -> dict[str, Any]:
    """A window of the loss curve with its mean, and whether that is where it should be."""
    stretch = losses[window["first"] - 1 : window["last"]]
    if len(stretch) <= window["last"] - window["first"]:
        return window | {"mean": None, "ratio": None, "reached": False}
    mean = float(stretch.mean())
    ratio = mean / window["expected"]
    reached = abs(ratio - 1) <= window["within"] or (window["lower_is_fine"] and ratio < 1)
    return window | {"mean": mean, "ratio": ratio, "reached": reached}


def report(windows: list[dict[str, Any]]) -> str:
    """The windows for a person."""
    lines = [f"{'mean loss of':32}{'expected':>12}{'here':>12}{'ratio':>8}"]
    for window in windows:
        line = f"{window['what']:32}{window['expected']:12,.0f}"
        if window["mean"] is None:
            lines.append(f"{line}{'not run':>12}")
            continue
        bound = f"within {window['within']:.0%}{' or lower' if window['lower_is_fine'] else ''}"
        verdict = "reached" if window["reached"] else "MISSED"
        lines.append(f"{line}{window['mean']:12,.0f}{window['ratio']:8.3f}  {verdict} ({bound})")
    return "\n".join(lines)


def write_curve(losses: torch.Tensor, path: Path) -> None:
    """The mean loss of each hundred iterations, with the last of the hundred."""
    whole = losses[: len(losses) // THINNED * THINNED].reshape(-1, THINNED).mean(1)
    rows = [f"{(index + 1) * THINNED},{mean:.1f}" for index, mean in enumerate(whole.tolist())]
    path.write_text("\n".join(["iteration,mean_loss", *rows]) + "\n", encoding="utf-8")


def draw_curve(losses: torch.Tensor, windows: list[dict[str, Any]], path: Path) -> None:
    """The loss curve with the windows' expected means."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    axes.plot(range(1, len(losses) + 1), losses, color="0.8", linewidth=0.5, label="each iteration")
    whole = losses[: len(losses) // THINNED * THINNED].reshape(-1, THINNED).mean(1)
    middles = [(index + 0.5) * THINNED for index in range(len(whole))]
    axes.plot(middles, whole, color="tab:blue", linewidth=1, label=f"mean of {THINNED}")
    for index, window in enumerate(windows):
        label = "expected, with its bounds" if index == 0 else None
        spread = [window["expected"] * (1 + sign * window["within"]) for sign in (-1, 1)]
        axes.fill_between([window["first"], window["last"]], *spread, color="tab:red", alpha=0.6, label=label)
    axes.set(xlabel="iteration", ylabel="loss", ylim=(4.5e6, 9e6), title="The post's fit on the post's image")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value / 1e6:.1f} million")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    sys.exit(main())
