"""How the kernels' time grows with radius, droplets and pixels, and how far it is from what the machine can do.

    python benchmarks/kernels.py [--seconds 0.5] [--largest 16]

Every time is the shortest of many calls of the fused loss and gradient, and every ratio is between numbers of one
run. ``kernel`` is the compiled kernel by itself, ``call`` the same through torch's operator and its autograd, as an
uncompiled fit calls it. The limit of the kernel is the time to stream the image once, at the rate at which this machine
streams an array of that very size (a small image stays in cache, a large one does not), and to do four multiply-adds
for each pixel that a droplet touches, at the rate that this machine reaches on the same threads.
"""

import argparse
import math
import os
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import torch
from torch import Tensor

from pyrodrop.rendering import log_likelihood
from pyrodrop.rendering.kernels.bands import operators

POST = (760, 1014)


def machine() -> str:
    """What the numbers were measured on."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    name = names[0] if names else platform.processor()
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{name}, {torch.get_num_threads()} threads, {platform.system()} {platform.machine()}, load {load}; "
        f"Python {platform.python_version()}, torch {torch.__version__}, numba {numba.__version__}"
    )


def shortest(call: Callable[[], object], seconds: float) -> float:
    """Shortest time of a call in seconds."""
    call()
    # One thread's processor time leaves out what other processes take; for several threads there is only the wall.
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    best, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = clock()
        call()
        best = min(best, clock() - start)
    return best


def scene(droplets: int, size: tuple[int, int], radius: float, seed: int = 0) -> tuple[Tensor, ...]:
    """Droplets of one radius anywhere in an image, and a channel."""
    g = torch.Generator().manual_seed(seed)
    x, y, amplitude = torch.rand(3, droplets, generator=g)
    leaves = (x * size[1], y * size[0], torch.full((droplets,), radius), amplitude - 0.5, torch.tensor(0.1))
    return (*(t.requires_grad_() for t in leaves), torch.rand(*size, generator=g))


def step(arguments: tuple[Tensor, ...], kernel: str) -> Callable[[], object]:
    """Loss and gradient."""
    *leaves, channel = arguments
    return lambda: torch.autograd.grad(log_likelihood(*leaves, channel, 0.05, kernel=kernel), leaves)


def kernel(arguments: tuple[Tensor, ...]) -> Callable[[], object]:
    """Loss and gradient by the compiled kernel, without torch's operator around it."""
    *leaves, channel = (t.detach() for t in arguments)
    return lambda: operators._sweep("BOTH", *leaves, channel[None])


@numba.njit(fastmath=True, nogil=True, parallel=True)
def multiply_adds(threads: int, repeats: int, out: np.ndarray) -> None:
    """128 independent float32 chains a thread: 128 * repeats multiply-adds each."""
    for t in numba.prange(threads):
        sums = np.full(128, np.float32(t))
        for _ in range(repeats):
            for i in range(128):
                sums[i] = sums[i] * np.float32(0.999) + np.float32(0.5)
        out[t] = sums.sum()


alone = numba.njit(fastmath=True, nogil=True)(multiply_adds.py_func)


def multiply_add_rate(seconds: float) -> float:
    """Float32 multiply-adds a second."""
    threads = torch.get_num_threads()
    out = np.zeros(threads, np.float32)
    run = multiply_adds if threads > 1 else alone
    return threads * 128 * 20_000 / shortest(lambda: run(threads, 20_000, out), seconds)


def stream_time(size: tuple[int, int], seconds: float) -> float:
    """Seconds to read an image of that size once."""
    image = torch.rand(size)
    return shortest(image.sum, seconds)


def touched(droplets: int, radius: float, size: tuple[int, int], cut: float = 5.4) -> float:
    """Pixels within reach on the grid that the droplet is drawn on, edges left aside."""
    while radius >= 12:
        radius, size = radius / 2, (size[0] // 2 + 8, size[1] // 2 + 8)
    return droplets * min(math.pi * (cut * radius) ** 2, size[0] * size[1])


def slope(sizes: list[float], times: list[float]) -> float:
    """Of log time on log size."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def main() -> None:
    """Prints all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each number")
    parser.add_argument("--largest", type=float, default=16, help="largest image in megapixels")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="1 is timed by processor time")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(machine(), "kernel bands", sep="\n")

    fma = multiply_add_rate(chosen.seconds)
    stream = stream_time(POST, chosen.seconds)
    print(f"\nstream of 760 x 1014: {stream * 1e3:.3f} ms; {fma / 1e9:.1f} G multiply-adds/s")
    print("\n500 droplets, 760 x 1014: time against radius\nradius_px  call_ms  kernel_ms  limit_ms  kernel/limit")
    for radius in (0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 11.9, 12.0, 16.0, 23.9, 24.0, 50.0, 100.0, 300.0):
        drawn = scene(500, POST, radius)
        call, took = shortest(step(drawn, "bands"), chosen.seconds), shortest(kernel(drawn), chosen.seconds)
        limit = stream + 4 * touched(500, radius, POST) / fma
        print(f"{radius:9.1f}  {call * 1e3:.3f}  {took * 1e3:.3f}  {limit * 1e3:.3f}  {took / limit:.2f}", flush=True)

    print("\none run, 500 droplets of 3 px: ms by kernel")
    for name in ("separable", "bands"):
        print(name, f"{shortest(step(scene(500, POST, 3.0), name), chosen.seconds) * 1e3:.2f}")
    tiny = shortest(step(scene(500, (8, 8), 1.0), "bands"), chosen.seconds)
    print(f"500 droplets on 8 x 8 pixels, overhead of a call with autograd: {tiny * 1e3:.3f} ms")

    for title, scenes in (
        ("droplets of 5 px on 4 megapixels", [(n, 2000) for n in (100, 300, 1000, 3000, 10_000, 20_000)]),
        (
            "the image, 650 droplets of 5 px a megapixel",
            [(round(650 * a), round(math.sqrt(a * 1e6))) for a in (0.2, 0.8, 3.0, 8.0, 16.0) if a <= chosen.largest],
        ),
    ):
        print(f"\ngrowth with {title}\ndroplets  megapixels  call_ms  kernel_ms  limit_ms  MB_more")
        limits, times = [], []
        for count, side in scenes:
            drawn = scene(count, (side, side), 5.0)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            call = shortest(step(drawn, "bands"), chosen.seconds)
            more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            times.append(shortest(kernel(drawn), chosen.seconds))
            limits.append(stream_time((side, side), chosen.seconds) + 4 * touched(count, 5.0, (side, side)) / fma)
            print(
                f"{count:8d}  {side**2 / 1e6:9.1f}  {call * 1e3:.3f}  {times[-1] * 1e3:.3f}  {limits[-1] * 1e3:.3f}  "
                f"{more:.1f}",
                flush=True,
            )
        print(f"slope of log kernel time on log limit: {slope(limits, times):.2f}")


if __name__ == "__main__":
    main()
