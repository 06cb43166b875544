"""What does the post's model make of each channel of an image: hue, saturation, value, L, a and b?

    python benchmarks/channels.py IMAGE --out FOLDER

Fits 500 droplets to each channel from the default start, prints what came of it, and draws the channel, the fit and
their difference to FOLDER. Hue, saturation and value are taken as they are, with the post's error scale of 0.05. The
model's background and amplitudes lie between 0 and 1, and L, a and b have other units: each is mapped from the range it
spans in the image to 0 to 1, so that 0.05 is a twentieth of that range.

A channel is also turned upside down, 1 less the channel, if --turned is given: amplitudes are only positive, so a
droplet darker than its ground can be drawn there alone.

What --numbers names gets the numbers and none of the image.
"""

import argparse
import json
import multiprocessing
import time
from pathlib import Path
from typing import Any

import torch
from machine import describe_machine, machine_lines
from torch import Tensor

import pyrodrop
from pyrodrop.images.channels.colours import HSV, LAB
from pyrodrop.pursuit.count import counted_peaks
from pyrodrop.results.figures import fit_figures as plots

FITTED = (*HSV, *LAB)
ERROR_SCALE = 0.05
FAINT = 0.05  # amplitudes below this are counted
WINDOW = 100  # iterations over which the last loss is averaged
DRAWS = 10  # whose mean image is held against the channel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("image", type=Path)
    parser.add_argument("--droplets", type=int, default=500)
    parser.add_argument("--channels", choices=FITTED, nargs="+", default=list(FITTED))
    parser.add_argument("--turned", action="store_true", help="fit each channel upside down, too")
    parser.add_argument("--auto-seconds", type=float, default=60.0, help="the longest a count may take; 0: none")
    parser.add_argument("--out", type=Path, help="the folder to draw to")
    parser.add_argument("--numbers", type=Path, help="the JSON file to write to")
    arguments = parser.parse_args()
    machine = describe_machine()
    print(machine_lines(machine), flush=True)
    image = pyrodrop.read_image(arguments.image)
    rows: list[dict[str, Any]] = []
    for name in arguments.channels:
        channel, low, high = in_unit(image, name)
        row: dict[str, Any] = {"channel": name, "low": low, "high": high, "upright": None, "turned": None}
        for way in ("upright", "turned") if arguments.turned else ("upright",):
            pixels = channel if way == "upright" else 1 - channel
            row[way], val = fitted(pixels, arguments.droplets)
            print(line(name, way, row[way]), flush=True)
            if arguments.out:
                draw(pixels, val, f"{name}, {way}", arguments.out / f"{name}-{way}.png")
        row["auto"] = counted_within(channel, arguments.auto_seconds) if arguments.auto_seconds else None
        print(f"{name:10s} as many as earn their keep: {row['auto']}", flush=True)
        rows.append(row)
        if arguments.numbers:
            result = {
                "machine": machine,
                "size": list(image.size),
                "n_droplets": arguments.droplets,
                "error_scale": ERROR_SCALE,
                "auto_seconds": arguments.auto_seconds,
                "channels": rows,
            }
            arguments.numbers.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def in_unit(image: pyrodrop.Micrograph, name: str) -> tuple[Tensor, float, float]:
    """A channel (H, W) between 0 and 1, and the values that 0 and 1 stand for."""
    channel = image.channel(name)
    if name in HSV:
        return channel, 0.0, 1.0
    low, high = float(channel.min()), float(channel.max())
    return (channel - low) / max(high - low, 1e-6), low, high


def fitted(channel: Tensor, n_droplets: int) -> tuple[dict[str, Any], Tensor]:
    """What came of fitting a channel (H, W), and the mean image of the draws from its posterior."""
    begun = time.perf_counter()
    fit = pyrodrop.fit(channel, n_droplets, ERROR_SCALE, progress=False)
    seconds = time.perf_counter() - begun
    draws = fit.sample(DRAWS)
    val = draws["val"].mean(0)
    table = fit.table()
    left = val - channel
    numbers = {
        "first_loss": float(fit.losses[0]),
        "last_loss": float(fit.losses[-WINDOW:].double().mean()),
        "iterations": len(fit.losses),
        "seconds": seconds,
        "faint": int((table["amplitude"] < FAINT).sum()),
        "variance_left": float(left.double().var() / channel.double().var()),
        "residual_over_error_scale": float(left.double().square().mean().sqrt()) / ERROR_SCALE,
        "background": float(draws["bg"].mean()),
        "median_radius_px": float(table["radius_px"].median()),
        "broad": int((table["radius_px"] > 50.0).sum()),
    }
    return numbers, val


def counted_within(channel: Tensor, seconds: float) -> dict[str, float] | None:
    """The number of droplets that earn their keep, and the seconds it took; None if it took longer than it may."""
    context = multiprocessing.get_context("spawn")
    answers: Any = context.Queue()
    worker = context.Process(target=_count, args=(channel.numpy(), answers), daemon=True)
    worker.start()
    worker.join(seconds)
    if worker.is_alive():
        worker.terminate()
        worker.join()
        return None
    counted: dict[str, float] = answers.get()
    return counted


def _count(pixels: Any, answers: Any) -> None:
    begun = time.perf_counter()
    found = counted_peaks(torch.from_numpy(pixels), ERROR_SCALE)
    answers.put({"droplets": len(found.x), "seconds": time.perf_counter() - begun})


def line(name: str, way: str, numbers: dict[str, Any]) -> str:
    return (
        f"{name:10s} {way:7s} loss {numbers['first_loss']:14,.0f} first {numbers['last_loss']:14,.0f} end, "
        f"{numbers['seconds']:.1f} s, {numbers['iterations']} iterations; {numbers['faint']} below {FAINT}; "
        f"{100 * numbers['variance_left']:.1f} % of variance left, {numbers['residual_over_error_scale']:.2f} error "
        f"scales; background {numbers['background']:.2f}, median r {numbers['median_radius_px']:.1f} px, "
        f"{numbers['broad']} broader than 50 px"
    )


def draw(channel: Tensor, val: Tensor, title: str, path: Path) -> None:
    """Channel, fit and difference, each (H, W), side by side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = plots.figure(1, 3, panel=(6.0, 4.8))
    # The same gray for the same number, so that what looks alike is alike.
    shown = {"vmin": float(channel.min()), "vmax": float(channel.max())}
    plots.image_panel(axes[0], channel, title, **shown)
    plots.image_panel(axes[1], val, "fit", **shown)
    plots.image_panel(axes[2], val - channel, "fit less channel", cmap="RdBu", vmin=-0.5, vmax=0.5)
    for panel in axes:
        panel.set_axis_off()
    figure.savefig(path)


if __name__ == "__main__":
    main()
