"""How low does the loss get, and how soon: from the post's start, from the peaks, and with births and deaths?

    python benchmarks/quality.py

Fits the post's image with 500 and with 2,000 droplets, prints loss against seconds and each target beside what was
reached, and draws the curves. Losses are negative ELBOs of the post's model from sampled latents, as in the post.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from machine import describe_machine, machine_lines
from matplotlib.figure import Figure
from post import POST, parse_with_image

import pyrodrop

# Iterations between two points of a curve.
STRETCH = 50

Curve = list[tuple[float, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds the spread is taken over")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long the post's start is followed")
    arguments = parse_with_image(parser)

    machine = describe_machine()
    print(machine_lines(machine), flush=True)
    channel = pyrodrop.read_image(arguments.image).channel(POST["channel"])
    pyrodrop.fit(channel[:64, :64], 5, steps=10, progress=False)  # compiles what is compiled once and kept on disk

    curves = {
        "uniform start": follow(channel, 500, arguments.seconds, start="uniform"),
        "peaks": follow(channel, 500, 60.0, births=False),
        "peaks, births and deaths": follow(channel, 500, 60.0),
    }
    for name, curve in curves.items():
        print(f"\n500 droplets, {name}")
        for seconds, loss in thinned(curve):
            print(f"  {seconds:7.2f} s  {loss:14,.0f}")

    ends, below = [], 0.0
    for seed in range(arguments.seeds):
        fit = pyrodrop.fit(channel, 500, seed=seed, progress=False)
        ends.append(float(fit.losses[-100:].double().mean()))
        below = max(below, float((fit.table()["amplitude"] < 0.05).mean()) if seed == 0 else below)
        print(f"seed {seed}: {ends[-1]:,.0f} after {len(fit.losses)} iterations, {fit.seconds:.1f} s", flush=True)
    many = follow(channel, 2000, 60.0)
    best = curves["peaks, births and deaths"]
    rows = [
        target("the post's final loss, 500 droplets, seconds", 1.0, when(best, POST_FINAL)),
        target("loss 4,700,000, 500 droplets, seconds", 5.0, when(best, 4.7e6)),
        target("loss at convergence, 500 droplets", 4.6e6, best[-1][1]),
        target("seconds to convergence, 500 droplets", 60.0, best[-1][0]),
        target("spread over the seeds, %", 0.5, 100 * (max(ends) - min(ends)) / min(ends)),
        target("loss of 2,000 droplets within 60 s", 2.0e6, min(loss for seconds, loss in many if seconds <= 60)),
        target("amplitudes below 0.05, %", 1.0, 100 * below),
    ]
    print(
        "\n" + "\n".join(f"{r['what']:50s} at most {r['target']:14,.2f}  reached {r['reached']:14,.2f}" for r in rows)
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    result = {"machine": machine, "targets": rows, "seeds": ends, "curves": curves | {"2,000 droplets": many}}
    (arguments.out / "quality.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    draw(curves | {"2,000 droplets": many}, arguments.out / "quality.png")


POST_FINAL = 5_046_932.5


def follow(
    channel: torch.Tensor, n_droplets: int, seconds: float, *, start: str = "peaks", births: bool = True
) -> Curve:
    """Seconds since the image was read, and mean loss of each stretch, until the fit has settled or time is up."""
    # Each time a fit is resumed its model is traced anew, which would weigh on a start that needs many iterations.
    stretch, points = (2_000, 20) if start == "uniform" else (STRETCH, 1)
    begun = time.perf_counter()
    first = stretch if start == "uniform" else 10
    fit = pyrodrop.fit(channel, n_droplets, steps=first, start=start, births=births, progress=False)
    curve = stretched(fit.losses, 0.0, time.perf_counter() - begun, points)
    while curve[-1][0] < seconds:
        fit = fit.resume(stretch, progress=False)
        curve += stretched(fit.losses[-stretch:], curve[-1][0], time.perf_counter() - begun, points)
        if start == "peaks" and len(curve) > 16 and curve[-5][1] - curve[-1][1] < 1e-4 * curve[-1][1]:
            break
    return curve


def stretched(losses: torch.Tensor, since: float, until: float, points: int) -> Curve:
    """The mean losses of so many equal parts of a stretch, taken to have passed at an even rate."""
    means = losses.double().reshape(points, -1).mean(1).tolist()
    return [(since + (until - since) * (i + 1) / points, mean) for i, mean in enumerate(means)]


def when(curve: Curve, loss: float) -> float:
    """Seconds until the loss was that low."""
    return next((seconds for seconds, reached in curve if reached <= loss), float("inf"))


def target(what: str, bound: float, reached: float) -> dict[str, Any]:
    return {"what": what, "target": bound, "reached": reached, "met": reached <= bound}


def thinned(curve: Curve, points: int = 12) -> Curve:
    return curve[:: max(1, len(curve) // points)] + curve[-1:]


def draw(curves: dict[str, Curve], path: Path) -> None:
    figure = Figure(figsize=(7, 4.5), layout="constrained", dpi=150)
    ax = figure.subplots()
    for name, curve in curves.items():
        ax.plot(*zip(*curve, strict=True), marker=".", markersize=3, label=name)
    ax.axhline(POST_FINAL, color="black", linewidth=0.8, linestyle=":", label="the post's final loss")
    ax.set(xscale="log", xlabel="seconds since the image was read", ylabel="loss", ylim=(1.5e6, 8e6))
    ax.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
