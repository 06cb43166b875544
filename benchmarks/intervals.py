"""Do the intervals of the joint fit hold what they promise, and is it as sure as the pixels allow?

    python benchmarks/intervals.py

Simulated discs and Gaussians on an uneven background, isolated and overlapping apart, at a peak signal to noise of 7
to 17, started with errors of a finder: 1 px in the centres and 15 % in the radii. Prints how many of the 90 %
intervals of x, y, radius and amplitude hold the truth, and the reported standard deviations of isolated droplets over
the Cramer-Rao bound; then how long the fit takes, and its memory, for 300 droplets in 512 x 512 px and 2,000 in
1500 x 2000 px.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine, machine_lines, peak_memory_mb, reset_peak_memory
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import binom, norm

from pyrodrop.images.simulation.simulate import simulate
from pyrodrop.joint.joint_fit import JointFit, fit_jointly
from pyrodrop.rendering import PROFILES, render

HERE = Path(__file__).resolve().parent
EDGE, NOISE, RADII = 1.2, 0.03, (3.0, 9.0)
NAMES = ("x", "y", "log radius", "amplitude")
# Least distance of two centres in sums of their radii r; and droplets in an image of 512 x 512 px.
CROWDS = {
    "isolated": {"disc": (2.5, 90), "gaussian": (4.0, 60)},
    "overlapping": {"disc": (0.6, 280), "gaussian": (0.9, 220)},
}
Numbers = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--droplets", type=int, default=2000, help="at least so many of each kind")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="the folder to write to")
    arguments = parser.parse_args()
    machine = describe_machine()
    print(machine_lines(machine), flush=True)
    warm_up()
    rows, costs = [], []
    # First, while the process holds no memory that was let go.
    for profile in ("disc", "gaussian"):
        for size, n in (((512, 512), 300), ((1500, 2000), 2000)):
            costs.append(cost(profile, size, n))
            print(json.dumps(costs[-1]), flush=True)
    for profile in ("disc", "gaussian"):
        for crowd in CROWDS:
            rows.append(cover(profile, crowd, arguments.droplets))
            print(json.dumps(rows[-1]), flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": machine, "coverage": rows, "cost": costs}, indent=1) + "\n"
    (arguments.out / "intervals.json").write_text(text, encoding="utf-8")


def scene(profile: str, size: tuple[int, int], n: int, separation: float, seed: int) -> tuple[Numbers, Numbers]:
    """An image with its background uneven, and its droplets as columns x, y, r, amplitude."""
    micrograph, truth = simulate(
        n,
        size,
        seed,
        kind="gray",
        profile=profile,
        shape=(EDGE,) if profile == "disc" else None,
        radius_px=RADII,
        separation=separation,
        margin=1.0,
        noise=NOISE,
    )
    row, column = np.mgrid[: size[0], : size[1]]
    uneven = 0.05 * np.sin(column / 160 + seed) + 0.04 * row / size[0]
    return micrograph.pixels[..., 0].double().numpy() + uneven, truth[
        ["x_px", "y_px", "radius_px", "amplitude"]
    ].to_numpy()


def refitted(image: Numbers, truth: Numbers, profile: str, seed: int) -> JointFit:
    g = np.random.default_rng(seed)
    x, y, r, _ = truth.T
    n = len(x)
    # Centres off by 1 px in all.
    away = g.normal(0, np.sqrt(0.5), (2, n))
    return fit_jointly(image, x + away[0], y + away[1], r * np.exp(g.normal(0, 0.15, n)), profile=profile)


def cover(profile: str, crowd: str, wanted: int) -> dict[str, Any]:
    separation, n = CROWDS[crowd][profile]
    z, over, bounds, seed, presence = [], [], [], 0, []
    while sum(map(len, z)) < wanted:
        seed += 1
        image, truth = scene(profile, (512, 512), n, separation, seed)
        fit = refitted(image, truth, profile, seed)
        touching = touches(truth, profile)
        chosen = touching if crowd == "overlapping" else ~touching
        sd = np.sqrt(np.einsum("nii->ni", fit.posterior.covariance))
        found = np.stack([fit.x, fit.y, np.log(fit.r), fit.amplitude[0]], 1)
        aim = np.stack([truth[:, 0], truth[:, 1], np.log(truth[:, 2]), truth[:, 3]], 1)
        z.append(((found - aim) / sd)[chosen])
        bounds.append(fit.convergence.at_bounds[chosen])
        presence.append(fit.presence()[chosen])
        if crowd == "isolated":
            over.append(sd / np.stack([cramer_rao(profile, *droplet) for droplet in truth]))
    errors = np.concatenate(z)
    inside = np.abs(errors) < norm.ppf(0.95)
    row: dict[str, Any] = {
        "profile": profile,
        "crowd": crowd,
        "droplets": len(errors),
        "cover_90": dict(zip(NAMES, inside.mean(0).round(4).tolist(), strict=True)),
        "sampling_error": round(float(binom(len(errors), 0.9).std() / len(errors)), 4),
        "rms_error_over_sd": dict(zip(NAMES, np.sqrt(np.square(errors).mean(0)).round(3).tolist(), strict=True)),
        "median_error_over_sd": dict(zip(NAMES, np.median(errors, 0).round(3).tolist(), strict=True)),
        "at_bound": int(np.concatenate(bounds).sum()),
        "presence_below_half": int((np.concatenate(presence) < 0.5).sum()),
    }
    if over:
        ratios = np.concatenate(over)
        row["sd_over_cramer_rao_median"] = dict(zip(NAMES, np.median(ratios, 0).round(3).tolist(), strict=True))
        row["sd_over_cramer_rao_90_percent"] = dict(
            zip(NAMES, np.quantile(ratios, (0.05, 0.95), axis=0).T.round(3).tolist(), strict=True)
        )
    return row


def touches(truth: Numbers, profile: str) -> NDArray[np.bool_]:
    """Droplets that another one comes nearer to than the sum of the distances at which both are half as high."""
    half = truth[:, 2] * PROFILES[profile].half_share
    share = cdist(truth[:, :2], truth[:, :2]) / (half[:, None] + half)
    np.fill_diagonal(share, np.inf)
    touching: NDArray[np.bool_] = share.min(1) < 1
    return touching


def cramer_rao(profile: str, x: float, y: float, r: float, amplitude: float) -> Numbers:
    """Least standard deviations of x, y, log r and amplitude of a droplet alone, all else being known."""
    side = int(6 * r + 12)
    centre = torch.tensor([x % 1 + side // 2, y % 1 + side // 2, np.log(r), amplitude], dtype=torch.float64)
    shape = torch.tensor([EDGE], dtype=torch.float64) if profile == "disc" else None

    def image(v: torch.Tensor) -> torch.Tensor:
        x, y, r, a = v[0:1], v[1:2], v[2:3].exp(), v[3:4]
        return render(x, y, r, a, v.new_zeros(()), (side, side), profile, "reference", shape)

    slopes = torch.func.jacfwd(image)(centre).reshape(-1, 4)
    least: Numbers = torch.linalg.inv(slopes.T @ slopes / NOISE**2).diagonal().sqrt().numpy()
    return least


def cost(profile: str, size: tuple[int, int], n: int) -> dict[str, Any]:
    image, truth = scene(profile, size, n, 0.6, 1)
    reset_peak_memory()
    before = peak_memory_mb()
    start, worked = time.perf_counter(), time.process_time()
    fit = refitted(image, truth, profile, 1)
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    after = peak_memory_mb()
    more = None if before is None or after is None else round(after - before)
    return {
        "profile": profile,
        "size": list(size),
        "droplets": n,
        "seconds": round(seconds, 2),
        # On a machine that others use too, the time of the processor tells more.
        "processor_seconds": round(worked, 2),
        "steps": fit.convergence.steps,
        "converged": fit.convergence.converged,
        "more_memory_mb": more,
    }


def warm_up() -> None:
    """Let Numba compile, so that the times are those of the fit."""
    for profile in ("disc", "gaussian"):
        image, truth = scene(profile, (64, 64), 2, 1.5, 0)
        refitted(image, truth, profile, 0)


if __name__ == "__main__":
    main()
