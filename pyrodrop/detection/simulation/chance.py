"""Positive numbers by chance: about a value, or over orders of magnitude."""

import math

import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator


def vary(rng: Rng, n: int, value: float, spread: float) -> NDArray[np.float64]:
    """A positive number for each droplet about the same value, log-normal."""
    return value * np.exp(spread * rng.standard_normal(n))


def choose(rng: Rng, low: float, high: float) -> float:
    """A positive number between two, in any order, every order of magnitude as likely as the next."""
    low, high = min(low, high), max(low, high)
    return math.exp(rng.uniform(math.log(low), math.log(high)))
