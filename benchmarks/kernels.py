"""How the kernels' time grows with radius, droplets and pixels, and how far it is from what the machine can do.

    python benchmarks/kernels.py [--kernel bands] [--seconds 0.5] [--largest 16]

Every time is the shortest of many calls of the fused loss and gradient, and every ratio is between numbers of one
run. The limit is the time to stream the image once and to do four multiply-adds
for each pixel that a droplet touches, at the rates that this machine reaches on the same threads.
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

from pyrodrop.render import log_likelihood

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


def rates(seconds: float) -> tuple[float, float]:
    """Bytes read a second from an image-sized array, and float32 multiply-adds a second."""
    image, threads = torch.rand(POST), torch.get_num_threads()
    stream = image.numel() * 4 / shortest(lambda: image.sum(), seconds)
    out = np.zeros(threads, np.float32)
    run = multiply_adds if threads > 1 else alone
    fma = threads * 128 * 20_000 / shortest(lambda: run(threads, 20_000, out), seconds)
    return stream, fma


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
    parser.add_argument("--kernel", default="bands")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each number")
    parser.add_argument("--largest", type=float, default=16, help="largest image in megapixels")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="1 is timed by processor time")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(machine(), f"kernel {chosen.kernel}", sep="\n")

    stream, fma = rates(chosen.seconds)
    print(f"\nstream {stream / 1e9:.1f} GB/s, {fma / 1e9:.1f} G multiply-adds/s")
    print("\n500 droplets, 760 x 1014: time against radius\nradius_px  ms  limit_ms  ratio")
    for radius in (0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 11.9, 12.0, 16.0, 23.9, 24.0, 50.0, 100.0, 300.0):
        took = shortest(step(scene(500, POST, radius), chosen.kernel), chosen.seconds)
        limit = POST[0] * POST[1] * 4 / stream + 4 * touched(500, radius, POST) / fma
        print(f"{radius:9.1f}  {took * 1e3:.3f}  {limit * 1e3:.3f}  {took / limit:.2f}", flush=True)

    print("\none run, 500 droplets of 3 px: ms by kernel")
    for kernel in ("separable", "bands"):
        print(kernel, f"{shortest(step(scene(500, POST, 3.0), kernel), chosen.seconds) * 1e3:.2f}")
    tiny = shortest(step(scene(500, (8, 8), 1.0), chosen.kernel), chosen.seconds)
    print(f"500 droplets on 8 x 8 pixels, overhead of a call with autograd: {tiny * 1e3:.3f} ms")

    print("\ngrowth with droplets of 5 px on 4 megapixels\ndroplets  ms  MB_more")
    counts, times = [100, 300, 1000, 3000, 10_000, 20_000], []
    for count in counts:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        times.append(shortest(step(scene(count, (2000, 2000), 5.0), chosen.kernel), chosen.seconds))
        more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"{count:8d}  {times[-1] * 1e3:.3f}  {more:.1f}", flush=True)
    work = [4e6 * 4 / stream + 4 * touched(n, 5.0, (2000, 2000)) / fma for n in counts]
    print(f"slope of time on the limit: {slope(work, times):.2f}")

    print("\ngrowth with the image, 650 droplets of 5 px a megapixel\nmegapixels  ms  MB_more")
    areas, times = [a for a in (0.2, 0.8, 3.0, 8.0, 16.0) if a <= chosen.largest], []
    for area in areas:
        side = round(math.sqrt(area * 1e6))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        times.append(shortest(step(scene(round(650 * area), (side, side), 5.0), chosen.kernel), chosen.seconds))
        more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"{area:10.1f}  {times[-1] * 1e3:.3f}  {more:.1f}", flush=True)
    print(f"slope of time on pixels: {slope(areas, times):.2f}")


if __name__ == "__main__":
    main()
