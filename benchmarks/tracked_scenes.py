"""Stacks of droplets whose paths are known, simulated step by step: not by the model that pyrodrop links with.

Each droplet diffuses as Stokes and Einstein say, in a flow that varies with time; radii follow a law (each its own
rate, or the mean-field theory of Ostwald ripening by Lifshitz, Slyozov and Wagner, or none); droplets whose rims meet
become one of the same volume, or do not; heights fade; frames, and detections, are missing; some detections are none.
The box is larger than the image and periodic, so that droplets enter and leave.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """What is simulated. Lengths in px, times in frames; the size of the image follows from spacing."""

    droplets: int = 1000
    frames: int = 200
    spacing: float = 24.0  # mean distance: one droplet has the area spacing^2
    radius: float = 5.0
    radius_spread: float = 0.25  # of its logarithm
    diffusion: float = 1.0  # of a droplet of that radius, px^2 a frame
    drift: tuple[float, float] = (0.6, 0.2)
    drift_change: float = 0.15  # standard deviation of its change in time
    law: str = "own rates"  # or "ripening" or "none"
    growth: float = 0.01  # spread of the rates, px a frame; of ripening K of <r>^3 = r^3 + K t, px^3 a frame
    coalescence: float = 0.0  # probability that droplets that have come to touch become one
    fading: float = 0.0  # rate at which heights fade, a frame
    missing: float = 0.02  # share of the frames that cannot be read
    misses: float = 0.02  # share of droplets not detected
    false: float = 0.005  # detections that are none, over droplets
    centre_sd: float = 0.15
    radius_sd: float = 0.08
    look_sd: float = 0.03
    seed: int = 0
    margin: float = field(default=60.0)


@dataclass(frozen=True)
class Truth:
    """What is true of a scene.

    droplet: number of the droplet that each row of the table is of, -1 for none, (N,). paths: a row a droplet and frame
    that it is within the image: droplet, frame, x, y, radius. mergers: frame, first, second, product. size: of the
    image. missing: frames that cannot be read.
    """

    droplet: NDArray[np.int64]
    paths: pd.DataFrame
    mergers: pd.DataFrame
    size: tuple[int, int]
    missing: tuple[int, ...]


def scene(settings: Scene) -> tuple[pd.DataFrame, Truth]:
    """The table of detections of a scene, as droplets of all frames would be measured, and its truth."""
    rng = np.random.default_rng(settings.seed)
    side = settings.spacing * settings.droplets**0.5
    box = side + 2 * settings.margin
    number = rng.poisson((box / settings.spacing) ** 2)
    where = rng.uniform(0, box, (number, 2))
    if settings.law == "ripening":
        radius = settings.radius * _ripened(rng, number)
    else:
        radius = settings.radius * np.exp(settings.radius_spread * rng.standard_normal(number))
    own_rate = settings.growth * rng.standard_normal(number)
    look = np.log(rng.uniform(0.3, 0.9, number))
    name = np.arange(number)
    next_name = number
    if settings.coalescence:  # none touch at the beginning: what did has become one
        state = (where, radius, own_rate, look, name)
        joined: list[tuple[int, int, int, int]] = [(0, 0, 0, 0)]
        while joined:
            state, joined, next_name = _coalesced(rng, 1.0, state, next_name, 0)
        where, radius, own_rate, look, name = state
    gone = sorted(rng.choice(np.arange(1, settings.frames - 1), round(settings.missing * settings.frames), False))
    rows: list[tuple[Array, ...]] = []
    paths: list[tuple[Array, ...]] = []
    mergers: list[tuple[int, int, int, int]] = []
    for t in range(settings.frames):
        within = ((where >= settings.margin) & (where < box - settings.margin)).all(1)
        shown = where[within] - settings.margin - 0.5
        paths.append((name[within], np.full(within.sum(), t), shown[:, 0], shown[:, 1], radius[within]))
        if t not in gone:
            rows.append(_detected(rng, settings, t, (name[within], shown, radius[within], look[within]), side))
        swing = settings.drift_change * np.array([np.sin(0.11 * t), np.cos(0.07 * t)])
        spread = np.sqrt(2 * settings.diffusion * settings.radius / radius)
        where = where + np.array(settings.drift) + swing + spread[:, None] * rng.standard_normal((len(name), 2))
        where %= box
        radius = _grown(settings, radius, own_rate)
        look = look - settings.fading
        alive = radius > 0.35 * settings.radius if settings.law == "ripening" else radius > 0.5
        where, radius, own_rate, look, name = (each[alive] for each in (where, radius, own_rate, look, name))
        if settings.coalescence:
            state = (where, radius, own_rate, look, name)
            state, joined, next_name = _coalesced(rng, settings.coalescence, state, next_name, t + 1)
            where, radius, own_rate, look, name = state
            mergers += joined
    table = pd.DataFrame(np.concatenate([np.column_stack(each) for each in rows]), columns=_COLUMNS)
    droplet = table.pop("droplet").to_numpy().astype(np.int64)
    table["frame"] = table["frame"].astype(int)
    truth = pd.DataFrame(
        np.concatenate([np.column_stack(each) for each in paths]), columns=["droplet", "frame", "x", "y", "radius"]
    )
    seen = set(truth["droplet"].astype(int))
    visible = [each for each in mergers if {each[1], each[2], each[3]} <= seen]
    sizes = (int(side), int(side))
    known = pd.DataFrame(visible, columns=["frame", "first", "second", "product"])
    return table, Truth(droplet, truth, known, sizes, tuple(int(each) for each in gone))


_COLUMNS = [
    *("droplet", "frame", "x_px", "y_px", "radius_px", "amplitude"),
    *("x_px_sd", "y_px_sd", "radius_px_sd", "amplitude_sd", "presence"),
]


def _detected(
    rng: np.random.Generator, settings: Scene, t: int, droplets: tuple[Array, ...], side: float
) -> tuple[Array, ...]:
    """What is measured of a frame's droplets: some are missed, some are none, all have errors of their own size."""
    name, where, radius, look = droplets
    # the faintest are missed the most
    miss = np.minimum(settings.misses * np.exp(np.clip(-1.0 - look, -2.0, 3.0)), 0.9)
    kept = rng.random(len(name)) > miss
    name, where, radius, look = name[kept], where[kept], radius[kept], look[kept]
    false = rng.poisson(settings.false * len(name))
    name = np.concatenate([name, np.full(false, -1)])
    where = np.concatenate([where, rng.uniform(-0.5, side - 0.5, (false, 2))])
    radius = np.concatenate([radius, settings.radius * np.exp(0.4 * rng.standard_normal(false))])
    look = np.concatenate([look, np.log(rng.uniform(0.1, 0.6, false))])
    n = len(name)
    faint = np.exp(-0.5 * (look - np.log(0.6)))  # the fainter, the less sure
    centre_sd = settings.centre_sd * faint * np.exp(0.2 * rng.standard_normal(n))
    radius_sd = settings.radius_sd * faint * np.exp(0.2 * rng.standard_normal(n))
    look_sd = settings.look_sd * faint
    seen = where + centre_sd[:, None] * rng.standard_normal((n, 2))
    measured = np.maximum(radius + radius_sd * rng.standard_normal(n), 0.1)
    height = np.exp(look + look_sd * rng.standard_normal(n))
    # calibrated: of detections said to be there with p, the share p is
    presence = np.where(name >= 0, rng.beta(30, 0.3, n), rng.beta(3, 2.5, n))
    odds = _density_ratio(presence) * (1 - settings.false) / max(settings.false, 1e-6)
    presence = np.clip(1 - 1 / (1 + odds), 1e-3, 1 - 1e-4)
    stated = (np.full(n, t), seen[:, 0], seen[:, 1], measured, height, centre_sd, centre_sd, radius_sd)
    return (name, *stated, look_sd * height, presence)


def _density_ratio(presence: Array) -> Array:
    from scipy.stats import beta

    return np.exp(beta.logpdf(presence, 30, 0.3) - beta.logpdf(presence, 3, 2.5))


def _grown(settings: Scene, radius: Array, own_rate: Array) -> Array:
    if settings.law == "none":
        return radius
    if settings.law == "own rates":
        return np.maximum(radius + own_rate, 0.0)
    # dr/dt = k / r (1 / r_c - 1 / r), with the mean radius as r_c, and <r>^3 = r^3 + (4/9) k t
    steps, k = 10, 2.25 * settings.growth
    for _ in range(steps):
        alive = radius > 0.2 * settings.radius
        critical = radius[alive].mean()
        radius = np.where(
            alive, radius + k / steps * (1 / critical - 1 / np.maximum(radius, 0.2)) / np.maximum(radius, 0.2), 0.0
        )
        radius = np.maximum(radius, 0.0)
    return radius


def _ripened(rng: np.random.Generator, number: int) -> Array:
    """Radii over their mean from the distribution that ripening ends in (Lifshitz, Slyozov and Wagner)."""
    u = np.linspace(1e-6, 1.4999, 4000)
    density = 4 / 9 * u**2 * (3 / (3 + u)) ** (7 / 3) * (1.5 / (1.5 - u)) ** (11 / 3) * np.exp(-u / (1.5 - u))
    share = np.cumsum(density) / density.sum()
    return np.interp(rng.random(number), share, u)


def _coalesced(rng: np.random.Generator, share: float, state: tuple[Array, ...], next_name: int, t: int):
    """Droplets that have come to touch become one at their common centre of volume; each pair is asked once a frame."""
    from scipy.spatial import cKDTree

    where, radius, own_rate, look, name = state
    pairs = cKDTree(where).query_pairs(2 * radius.max(), output_type="ndarray")
    touching = np.linalg.norm(where[pairs[:, 0]] - where[pairs[:, 1]], axis=1) < radius[pairs].sum(1)
    pairs = pairs[touching & (rng.random(len(pairs)) < share)]
    used: set[int] = set()
    joined, products = [], []
    for i, j in pairs:
        if i in used or j in used:
            continue
        used |= {int(i), int(j)}
        a, b = radius[i] ** 3, radius[j] ** 3
        products.append(
            ((a * where[i] + b * where[j]) / (a + b), (a + b) ** (1 / 3), 0.0, max(look[i], look[j]), next_name)
        )
        joined.append((t, int(name[i]), int(name[j]), next_name))
        next_name += 1
    kept = np.array([n not in used for n in range(len(name))], bool)
    where, radius, own_rate, look, name = (each[kept] for each in state)
    for centre, r, rate, height, number in products:
        where, radius, own_rate = np.vstack([where, centre]), np.append(radius, r), np.append(own_rate, rate)
        look, name = np.append(look, height), np.append(name, number)
    return (where, radius, own_rate, look, name), joined, next_name
