"""How much faster are many images fitted side by side than one, at the post's settings, on a CPU or a GPU?

    python benchmarks/many.py --device cuda
    python benchmarks/many.py --images 50 --steps 200 --width 253 --height 190 --droplets 100

What is timed is the steps alone, as they are in a long fit: compiled, after a first stretch of them, from a start at
random as in the post. One image and all are timed in turn, several times, and the best of each is taken.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from machine import describe_machine, machine_lines, peak_memory_mb
from post import POST

import pyrodrop
from pyrodrop.inference import svi
from pyrodrop.inference.density import flatten, side_by_side
from pyrodrop.workflows.settings import pick_device

# Steps that are not timed: what is compiled, captured and allocated at the first is there after them.
WARM_UP = 20


def main() -> None:
    arguments = parse_arguments()
    machine = describe_machine()
    device = pick_device(arguments.device)
    print(machine_lines(machine))
    print(
        f"{arguments.images} images of {arguments.width} x {arguments.height} px, {arguments.droplets} droplets each, "
        f"on {device}, {'not ' if arguments.plain else ''}compiled\n",
        flush=True,
    )
    one = ready(arguments, device, 1)
    many = ready(arguments, device, arguments.images)
    rates: dict[str, list[float]] = {"one": [], "many": []}
    for _ in range(arguments.rounds):
        rates["one"].append(per_second(*one, arguments.steps, device))
        rates["many"].append(per_second(*many, arguments.steps, device))
    best = {name: max(found) for name, found in rates.items()}
    together = best["many"] * arguments.images
    result = {
        "machine": machine,
        "device": str(device),
        "compiled": not arguments.plain,
        "images": arguments.images,
        "size": [arguments.width, arguments.height],
        "n_droplets": arguments.droplets,
        "steps": arguments.steps,
        "one_iterations_per_second": best["one"],
        "steps_of_all_per_second": best["many"],
        "image_iterations_per_second": together,
        "ratio": together / best["one"],
        "rounds": rates,
        "device_memory_mb": torch.cuda.max_memory_allocated() / 1e6 if device.type == "cuda" else None,
        "peak_memory_mb": peak_memory_mb(),
    }
    print(f"one image: {best['one']:,.1f} it/s")
    print(f"{arguments.images} at once: {best['many']:,.1f} steps of all a second, {together:,.1f} it/s of images")
    print(f"ratio: {result['ratio']:.2f}")
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    width, height = POST["size"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=50, help="how many at once")
    parser.add_argument("--width", type=int, default=width, help="of an image in px; the post's where not given")
    parser.add_argument("--height", type=int, default=height)
    parser.add_argument("--droplets", type=int, default=POST["runs"]["fit"]["n_droplets"])
    parser.add_argument("--steps", type=int, default=1000, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plain", action="store_true", help="the captured step as it is, not compiled or replayed")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--out", type=Path, help="write the numbers and the machine to this JSON file")
    return parser.parse_args()


def ready(arguments: argparse.Namespace, device: torch.device, images: int) -> tuple[svi.MeanField, svi.State]:
    """A stepper of so many images, and their state after the steps that are not timed."""
    size = (arguments.height, arguments.width)
    densities = []
    for seed in range(images):
        channel = pyrodrop.simulate(arguments.droplets, size, seed=seed, kind="gray")[0].channel("gray").to(device)
        given: tuple[Any, ...] = (size[1], size[0], arguments.droplets, channel, POST["error_scale"], False)
        densities.append(flatten(pyrodrop.models.channel_fit, given, device=device))
    begun = [svi.start(one, svi.uniform_start(one)) for one in densities]
    density = densities[0] if images == 1 else side_by_side(densities)
    stepper = svi.MeanField(density, compiled=not arguments.plain, repeats=images)
    clock = time.perf_counter()
    state, _ = stepper.run(svi.join(begun), WARM_UP)
    seconds = time.perf_counter() - clock
    print(f"{images} ready: {seconds:.1f} s for the first {WARM_UP} steps", file=sys.stderr, flush=True)
    return stepper, state


def per_second(stepper: svi.MeanField, state: svi.State, steps: int, device: torch.device) -> float:
    """Steps of the whole batch a second."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    clock = time.perf_counter()
    stepper.run(state, steps)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return steps / (time.perf_counter() - clock)


if __name__ == "__main__":
    main()
