"""How much faster is the joint fit with compiled sums than with their twin in torch?

    python benchmarks/sums.py [--droplets 300] [--size 512]

Fits one image of discs from the truth moved by a third of a pixel: with the sums and derivatives that Numba compiles,
with those of torch (``joint.sums.entries``, ``columns_by_torch``), and with torch's of one kind and others compiled.
On one thread, in processor seconds, each after a first fit that is not timed. Says whether all end at the same place.
Target: a compiled sum stays where it makes the whole at least twice as fast. Writes results/sums.json.
"""

import argparse
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from machine import describe_machine, machine_lines

import pyrodrop
from pyrodrop.joint import factor, local_descent, normal_equations, posterior
from pyrodrop.joint.joint_fit import JointFit, fit_jointly
from pyrodrop.joint.sums import entries, windows
from pyrodrop.rendering.kernels.columns import Columns
from pyrodrop.rendering.kernels.columns_torch import TorchColumns
from pyrodrop.rendering.profiles import profile_named

HERE = Path(__file__).resolve().parent
TARGET = 2.0


SUMS = (
    "paint",
    "paint_shared",
    "project",
    "meetings",
    "gram",
    "with_background",
    "lost_at",
    "change_in",
    "copy_boxes",
    "inflation",
)
DERIVATIVES = "derivatives"


class ByTorch:
    """The door of the sums, with the twins of some of the compiled ones: tensors that share memory with the arrays."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def __getattr__(self, name: str) -> Any:
        if name not in self._names:
            return getattr(windows, name)
        twin = getattr(entries, name)

        def call(*arguments: Any) -> Any:
            made = twin(*map(_tensors, arguments))
            return made.numpy() if isinstance(made, torch.Tensor) else made

        return call


def _tensors(of: Any) -> Any:
    if isinstance(of, np.ndarray):
        return torch.from_numpy(of)
    if isinstance(of, Columns):
        return TorchColumns(*map(_tensors, of))
    return entries.Splines(*map(_tensors, of)) if isinstance(of, tuple) else of


def timed(image: Any, places: Any, by_torch: Sequence[str]) -> tuple[float, JointFit]:
    """Processor seconds of a fit with these sums by torch, and what came out; the second of two."""
    disc = profile_named("disc")
    drawn = replace(disc, compiled=None) if DERIVATIVES in by_torch else disc
    with ExitStack() as stack:
        for module in (factor, local_descent, normal_equations, posterior):
            stack.enter_context(mock.patch.object(module, "compiled", return_value=ByTorch(by_torch)))
        stack.enter_context(mock.patch.object(normal_equations.Problem, "drawn", property(lambda _: drawn)))
        for _ in range(2):
            began = time.process_time()
            fit = fit_jointly(image, *places, profile="disc")
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
