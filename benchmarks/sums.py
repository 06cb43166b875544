"""How much faster is the joint fit with compiled sums than with their twin in torch?

    python benchmarks/sums.py [--droplets 300] [--size 512]

Fits one image of discs from the truth moved by a third of a pixel: with the sums and derivatives that Numba compiles,
with those of torch (``joint.sums.by_torch``), and with torch's of one kind and others compiled.
On one thread, in processor seconds, each after a first fit that is not timed. Says whether all end at the same place.
Target: a compiled sum stays where it makes the whole at least twice as fast. Writes results/sums.json.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine, machine_lines

import pyrodrop
from pyrodrop.joint.joint_fit import JointFit, fit_jointly
from pyrodrop.joint.pixels import Pixels
from pyrodrop.joint.sums.by_torch import ByTorch
from pyrodrop.joint.sums.compiled import COMPILED
from pyrodrop.joint.sums.engine import Grid
from pyrodrop.rendering.kernels.columns import Columns, Room
from pyrodrop.rendering.kernels.columns_torch import TorchColumns

HERE = Path(__file__).resolve().parent
TARGET = 2.0


SUMS = (
    "paint",
    "painted_shared",
    "project",
    "gram",
    "on_splines",
    "lost_at",
    "change_in",
    "copy_boxes",
    "inflation",
    "correlation",
)
DERIVATIVES = "columns"
TORCH = ByTorch(torch.device("cpu"))


class Mixed:
    """The engine of the CPU with some sums by torch, on tensors that share memory with the arrays."""

    def __init__(self, names: Sequence[str], size: tuple[int, int]) -> None:
        self._names, self._size = names, size

    def __getattr__(self, name: str) -> Any:
        if name not in self._names:
            return getattr(COMPILED, name)
        twin, size = getattr(TORCH, name), self._size
        if name == DERIVATIVES:
            return lambda *arguments: _columns(twin(*arguments))

        def call(*arguments: Any) -> Any:
            made = twin(*(_tensors(each, size) for each in arguments))
            return made.numpy() if isinstance(made, torch.Tensor) else made

        return call


def _columns(made: TorchColumns) -> Columns:
    room = Room(0, 2 * len(made.kept))
    room.add(made.kept.numpy())
    return Columns(room, made.box, made.before, made.number)


def _tensors(of: Any, size: tuple[int, int]) -> Any:
    """What the engine of torch takes in the place of arrays: images and droplets' pictures."""
    if isinstance(of, Columns):
        return TorchColumns(torch.from_numpy(of.kept), of.box, of.before, of.number)
    if isinstance(of, Grid):
        fours = [four._replace(weights=torch.tensor(four.weights), first=torch.tensor(four.first)) for four in of[2:]]
        return Grid(torch.tensor(of.down), torch.tensor(of.along), *fours)
    is_image = isinstance(of, np.ndarray) and of.dtype == np.float64 and of.shape[-2:] == size
    return torch.from_numpy(of) if is_image else of


def timed(image: Any, places: Any, by_torch: Sequence[str]) -> tuple[float, JointFit]:
    """Processor seconds of a fit with these sums by torch, and what came out; the second of two."""
    pixels = Pixels(np.asarray(image)[None], Mixed(by_torch, image.shape) if by_torch else COMPILED)
    for _ in range(2):
        began = time.process_time()
        fit = fit_jointly(pixels, *places, profile="disc")
        seconds = time.process_time() - began
    return seconds, fit


def main() -> None:
    """Print and write what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--droplets", type=int, default=300)
    parser.add_argument("--size", type=int, default=512)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    size = (asked.size, asked.size)
    image, truth = pyrodrop.simulate(
        asked.droplets, size, seed=1, kind="gray", profile="disc", shape=[1.0], radius_px=(4.0, 12.0), noise=0.02
    )
    pixels = image.channel("gray").double().numpy()
    random = np.random.default_rng(0)
    x, y, r = (truth[name].to_numpy() for name in ("x_px", "y_px", "radius_px"))
    places = x + random.normal(0, 0.33, len(x)), y + random.normal(0, 0.33, len(x)), r * 1.03

    compiled, fit = timed(pixels, places, ())
    print(f"all compiled: {compiled:.2f} s, {fit.convergence.steps} steps", flush=True)
    slower, furthest = {}, 0.0
    for names in (*((name,) for name in (DERIVATIVES, *SUMS)), (DERIVATIVES, *SUMS)):
        seconds, twin = timed(pixels, places, names)
        name = names[0] if len(names) == 1 else "all"
        slower[name] = seconds / compiled
        furthest = max(furthest, *(float(np.abs(a - b).max()) for a, b in ((fit.x, twin.x), (fit.r, twin.r))))
        print(f"{name} by torch: {seconds:.2f} s, {slower[name]:.1f} times (target {TARGET:g})", flush=True)
    result = {
        "droplets": asked.droplets,
        "size": size,
        "compiled_seconds": compiled,
        "times_slower_by_torch": slower,
        "target": TARGET,
        "furthest_apart_px": furthest,
        "machine": describe_machine(),
    }
    (HERE / "results" / "sums.json").write_text(json.dumps(result, indent=2) + "\n")
    print(f"x and radii at most {furthest:.2g} px apart")
    print(machine_lines(result["machine"]))


if __name__ == "__main__":
    main()
