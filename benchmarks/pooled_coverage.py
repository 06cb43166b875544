"""Do the 90 % intervals of samples of a few images hold the truth, differences between images included?

    python benchmarks/pooled_coverage.py [--samples 120] [--images 2 3 6] [--save FILE]

Simulated samples of 2 to 6 images with about 100 droplets each, of populations whose statistics are known: log-normal
diameters of two widths, normal ones, and two sizes mixed. Images of a sample differ: all their sizes by a factor
exp(b), b ~ Normal(0, spread), the width of their distribution by another such factor of half that spread, but of 0.1
at most, and their number of droplets by a gamma distribution of twice that coefficient of variation. The spread is
drawn from the prior of the model ("as the prior says", for numbers up to 1.5), or it is the same in all samples, 0.05
or 0.2. It prints in how many samples the interval of each statistic holds that of the typical image, and that of the
ratio of two samples the true ratio.
Writes results/pooled_coverage.json.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine, machine_lines

from pyrodrop.models.images_of_samples import SPREAD_OF_NUMBERS, SPREAD_OF_SIZES
from pyrodrop.results.statistics.image_statistics import NUMBER, SIZES, log_sizes
from pyrodrop.results.statistics.population import Population, Sample
from pyrodrop.results.statistics.sizes import STATISTICS, statistics_of
from pyrodrop.workflows.samples.pooling import pooled_numbers, pooled_sizes

HERE = Path(__file__).resolve().parent
EXPECTED = 100  # droplets an image
AREA = 0.25
# Quantiles of a standard normal distribution and the diameters there, by how wide an image's distribution is.
Shape = Callable[[np.ndarray, float], np.ndarray]
SHAPES: dict[str, Shape] = {
    "log-normal, sd of the log 0.2": lambda z, width: 20 * np.exp(0.2 * width * z),
    "log-normal, sd of the log 0.4": lambda z, width: 20 * np.exp(0.4 * width * z),
    "normal, sd 10 %": lambda z, width: 20 * np.clip(1 + 0.1 * width * z, 0.05, None),
    "two sizes, 12 and 30": lambda z, width: np.where(z < 0.4, 12, 30) * np.exp(0.08 * width * z),
}
SPREADS: tuple[float | None, ...] = (None, 0.05, 0.2)
# Rows of the model, of which there are as many as samples and these.
NAMES = ("d_1_0", "sd", "dn10", "dn50", "dn90", "dv50", "d_3_2", "d_4_3")
CHOSEN = [list(SIZES).index(name) for name in NAMES]
CHAINS = 8
# Images of which most are empty, as a larger coefficient of variation makes them, say little of the mean.
MOST_OF_NUMBERS = 1.5


def width_of(spread: float) -> float:
    """How far the widths of the distributions differ, where all sizes do by this."""
    return min(spread / 2, 0.1)


def truth(shape: Shape, spread: float) -> np.ndarray:
    """Logs of the typical image's statistics, (S,): their means over images, by quantiles of 2,001 droplets each."""
    from scipy.special import ndtri

    z = ndtri((np.arange(2001) + 0.5) / 2001)
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    logs = []
    for node in nodes:
        d = np.sort(shape(z, np.exp(width_of(spread) * node)))[None]
        by_name = dict(
            zip(STATISTICS, statistics_of(Population(d, np.full(d.shape, 1 / d.size), d > 0))[0], strict=True)
        )
        by_name["sd"] = by_name["cv"] * by_name["d_1_0"]
        logs.append(np.log([by_name[name] for name in NAMES]))
    return weights @ np.stack(logs) / weights.sum()


def one_sample(shape: Shape, spread: float, images: int, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Logs and errors of the sizes (S, I) of the images of a sample."""
    parts = []
    for _ in range(images):
        n = max(int(generator.poisson(EXPECTED)), 10)
        scale, width = np.exp(np.array([spread, width_of(spread)]) * generator.standard_normal(2))
        d = scale * shape(generator.standard_normal(n), width)
        seed = int(generator.integers(2**31))
        parts.append([said[CHOSEN] for said in log_sizes(Sample.of(d[None], None, None, None, None), seed=seed)])
    return tuple(np.stack(part, 1) for part in zip(*parts, strict=True))


def spreads(prior: float, given: float | None, samples: int, generator: np.random.Generator) -> np.ndarray:
    """How far the images of each sample differ: all alike, or drawn from the prior, (samples,)."""
    if given is not None:
        return np.full(samples, given)
    return np.abs(prior * np.tan(np.pi / 2 * generator.random(samples)))


def shares(draws: np.ndarray, value: np.ndarray) -> np.ndarray:
    """In how many samples the 90 % interval of draws (D, samples, ...) holds the value (samples, ...)."""
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    return ((low <= value) & (value <= high)).mean(0)


def of_sizes(shape: Shape, given: float | None, images: int, samples: int, seed: int) -> dict[str, dict[str, float]]:
    """In how many samples the interval of each size holds the truth, and that of the ratio of two samples."""
    generator = np.random.default_rng([seed, images])
    differ = spreads(SPREAD_OF_SIZES, given, samples, generator)
    each = {float(spread): truth(shape, float(spread)) for spread in np.unique(differ)}
    true = np.array([each[float(spread)] for spread in differ])
    logs, errors = zip(*(one_sample(shape, spread, images, generator) for spread in differ), strict=True)
    typical, _ = pooled_sizes(np.concatenate(logs), np.concatenate(errors), seed, CHAINS)
    typical = np.log(typical).reshape(len(typical), samples, len(NAMES))
    # Pairs of samples that differ alike, or of any two.
    ratio = typical[:, : samples // 2] - typical[:, samples // 2 : 2 * (samples // 2)]
    true_ratio = true[: samples // 2] - true[samples // 2 : 2 * (samples // 2)]
    return {
        "sizes": dict(zip(NAMES, shares(typical, true).round(4).tolist(), strict=True)),
        "ratios": dict(zip(NAMES, shares(ratio, true_ratio).round(4).tolist(), strict=True)),
    }


def of_numbers(given: float | None, images: int, samples: int, seed: int) -> float:
    """In how many samples the interval of the number per area holds the truth."""
    generator = np.random.default_rng([seed, images])
    differ = np.maximum(spreads(SPREAD_OF_NUMBERS, given, 4 * samples, generator), 1e-3)
    differ = differ[differ <= MOST_OF_NUMBERS][:samples]
    factors = generator.gamma(differ[:, None] ** -2, differ[:, None] ** 2, (samples, images))
    numbers = generator.poisson(EXPECTED * factors).astype(float)
    areas = np.full(numbers.shape, AREA)
    density, _ = pooled_numbers(numbers, areas, np.zeros_like(numbers), seed, CHAINS)
    return round(float(shares(density, np.full(samples, EXPECTED / AREA))), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=120)
    parser.add_argument("--images", type=int, nargs="+", default=[2, 3, 6])
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES))
    parser.add_argument("--save", type=Path, default=HERE / "results" / "pooled_coverage.json")
    asked = parser.parse_args()
    machine = describe_machine()
    print(machine_lines(machine))
    results = []
    # The first shape with every spread; the others, which are there to see that it is not theirs, with the prior's.
    work = [(name, s) for number, name in enumerate(asked.shapes) for s in (SPREADS if number == 0 else SPREADS[:1])]
    for name, spread in work:
        every = asked.images if spread is None else [asked.images[0], asked.images[-1]]
        for images in every if name == asked.shapes[0] else asked.images[1:2]:
            result: dict[str, Any] = of_sizes(SHAPES[name], spread, images, asked.samples, seed=1)
            number = None if name != asked.shapes[0] else of_numbers(spread and 2 * spread, images, asked.samples, 1)
            said = "as the prior says" if spread is None else spread
            results.append({"shape": name, "spread": said, "images": images, "samples": asked.samples})
            results[-1] |= {"mean_share": round(float(np.mean(list(result["sizes"].values()))), 4)}
            results[-1] |= {"mean_share_of_ratios": round(float(np.mean(list(result["ratios"].values()))), 4)}
            results[-1] |= {NUMBER: number, **result}
            cells = " ".join(f"{key} {100 * value:.0f}" for key, value in result["sizes"].items())
            print(
                f"{name}, spread {said}, {images} images: all {results[-1]['mean_share']:.3f}, of ratios "
                f"{results[-1]['mean_share_of_ratios']:.3f}, number {number}, {cells}",
                flush=True,
            )
            asked.save.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
