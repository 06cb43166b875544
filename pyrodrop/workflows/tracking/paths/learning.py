"""The process of paths, learnt from links: by the Laplace approximation of the Pyro model, and by counting lives."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.inference.laplace import Laplace, laplace
from pyrodrop.models.paths import Paths, PathScales, paths
from pyrodrop.workflows.tracking.paths.detections import Detections
from pyrodrop.workflows.tracking.paths.link_weights import doubts
from pyrodrop.workflows.tracking.paths.linking import Links
from pyrodrop.workflows.tracking.paths.process import Lives, PathProcess
from pyrodrop.workflows.tracking.paths.unseen import ends_and_begins, unseen_between, unseen_tables

Array = NDArray[np.float64]

# Paths that the process is learnt from, and frames of each: more make it surer than the model is right.
_PATHS, _FRAMES = 100, 32
_SHORTEST = 4
# Pairs of successive detections over which one step of the drift is averaged lean on its mean over all, as if there
# were so many more.
_LEAN = 3.0


def with_drift(detections: Detections, links: Links, process: PathProcess) -> PathProcess:
    """The process with the drift that the links show, frame by frame; each leans on the mean over all frames."""
    j = np.flatnonzero(links.before >= 0)
    i = links.before[j]
    time = detections.frame[j] - detections.frame[i]
    step = np.stack([detections.x[j] - detections.x[i], detections.y[j] - detections.y[i]], 1) / time[:, None]
    noise = (detections.x_var[i] + detections.x_var[j]) * process.position_factor / time**2
    weight = 1 / (2 * process.diffusion / time + noise)
    if not len(j):
        return process
    mean = np.average(step, axis=0, weights=weight)
    # a link over a gap speaks of each of its frames
    sums, weights = np.zeros((detections.frames, 2)), np.zeros(detections.frames)
    for k in range(int(time.max())):
        crosses = time > k
        at = detections.frame[i[crosses]] + k
        np.add.at(sums, at, weight[crosses, None] * step[crosses])
        np.add.at(weights, at, weight[crosses])
    lean = _LEAN * float(np.median(weight))
    drift = (sums + lean * mean) / (weights + lean)[:, None]
    drift[-1] = 0.0
    return process._replace(drift=drift)


def learnt(
    detections: Detections, links: Links, process: PathProcess, seed: int = 0, rounds: int = 4
) -> tuple[PathProcess, Laplace | None]:
    """The process that the linked paths show, and its posterior; as it was, and None, where paths are too few.

    rounds: of Laplace's approximation, at most; the first of several linkings do not need the last digit.
    """
    seen, rows = linked_paths(detections, links, process, seed)
    if rows == 0:
        return process, None
    scales = PathScales(
        *(
            torch.tensor(value, dtype=torch.float64)
            for value in (process.diffusion, process.rate_sd, process.rate_time, process.look_step)
        )
    )
    start = [process.diffusion, process.rate_sd, process.rate_time, process.position_factor, process.radius_factor]
    values = [math.log(start[0]), process.mobility_exponent, *(math.log(each) for each in start[1:])]
    if detections.knows_look:
        values += [math.log(process.look_step), math.log(process.look_factor)]
    fit = laplace(
        paths,
        seen,
        scales,
        process.reference,
        detections.knows_look,
        initial=torch.tensor(values, dtype=torch.float64),
        seed=seed,
        rounds=rounds,
    )
    mode = fit.density.constrained(fit.mode[None])
    sites: dict[str, Any] = {name: float(value.reshape(())) for name, value in mode.items()}
    return process._replace(**sites), fit


def linked_paths(detections: Detections, links: Links, process: PathProcess, seed: int = 0) -> tuple[Paths, int]:
    """Pieces of paths as the Pyro model takes them, each of at most ``_FRAMES`` frames, and how many there are."""
    path = links.path
    rng = np.random.default_rng(seed)
    order = np.lexsort((detections.frame, path))
    bounds = np.flatnonzero(np.diff(path[order], prepend=-1, append=-2))
    lengths = np.diff(bounds)
    long = np.flatnonzero(lengths >= _SHORTEST)
    if not len(long):
        long = np.flatnonzero(lengths >= 2)
    chosen = np.sort(rng.permutation(long)[:_PATHS])
    columns = ("x", "y", "radius", "look", "x_var", "y_var", "radius_var", "look_var")
    frames = min(_FRAMES, detections.frames)
    filled = {name: np.zeros((len(chosen), frames)) for name in columns}
    detected = np.zeros((len(chosen), frames), bool)
    drifted = process.drifted[detections.frame]
    values = detections._asdict() | {"x": detections.x - drifted[:, 0], "y": detections.y - drifted[:, 1]}
    around = np.full((len(chosen), frames), process.reference)
    for row, number in enumerate(chosen):
        rows = order[bounds[number] : bounds[number + 1]]
        last_start = max(len(rows) - _SHORTEST, 0)
        rows = rows[rng.integers(0, last_start + 1) :] if last_start else rows
        at = detections.frame[rows] - detections.frame[rows[0]]
        rows, at = rows[at < frames], at[at < frames]
        detected[row, at] = True
        for name in columns:
            filled[name][row, at] = values[name][rows]
        for name in ("x", "y", "radius", "look"):  # relative to the first: the model begins anywhere, near 0
            filled[name][row, at] -= values[name][rows[0]]
        around[row] = np.maximum(np.interp(np.arange(frames), at, detections.radius[rows]), 0.05 * process.reference)
        filled["x_var"][row][~detected[row]] = 1.0
    tensors = {name: torch.from_numpy(each) for name, each in filled.items()}
    return Paths(**tensors, detected=torch.from_numpy(detected), around=torch.from_numpy(around)), len(chosen)


def counted_lives(
    detections: Detections, process: PathProcess, lives: Lives, links: Links, told: NDArray[np.int64]
) -> Lives:
    """How droplets come and go by the paths as they are linked; with Jeffreys' half a count more.

    A gap in a path is a droplet that was missed. The paths that begin within the image, less those that came in over
    its edge or were there before, have appeared; and likewise at their ends.

    told: detections whose beginning or end a merger or a split explains.
    """
    ordinal = detections.ordinal
    has_before, has_after = links.before >= 0, links.after >= 0
    j = np.flatnonzero(has_before)
    tables = unseen_tables(detections, process, lives)
    passed = ordinal[j] - ordinal[links.before[j]] - 1
    # of frames that were passed over, those in which it was not beyond the edge
    unseen = unseen_between(detections, process, tables, links.before[j], j)
    all_missed = passed * math.log(1 - lives.detected) + (passed + 1) * math.log(1 - lives.vanishing)
    missed = float((passed * np.exp(np.minimum(all_missed - unseen, 0))).sum())
    detected = (len(j) + 0.5) / (len(j) + missed + 1.0)
    ends, begins = ends_and_begins(detections, process, tables)
    lasting = unseen_tables(detections, process, lives._replace(vanishing=0.0, appearing=0.0))
    lasting_ends, lasting_begins = ends_and_begins(detections, process, lasting)
    noise, _ = doubts(detections, lives)
    path = links.path
    length = np.bincount(path)[path]
    odds = (1 - detections.presence) / detections.presence
    doubt = np.exp(np.bincount(path, np.log(odds)) / np.bincount(path))[path] * lives.alike
    # what each detection is: of its frame alone, looking like a droplet in all of its frames, or one
    weights = np.stack([np.where(length == 1, np.exp(np.minimum(noise - ends - begins, 500)), 0.0), doubt])
    alone, _ = weights / (1 + weights.sum(0))
    unexplained = ~np.isin(np.arange(len(ordinal)), told)
    appeared = ((1 - alone) * (1 - np.exp(np.minimum(lasting_begins - begins, 0))))[~has_before & unexplained].sum()
    vanished = ((1 - alone) * (1 - np.exp(np.minimum(lasting_ends - ends, 0))))[~has_after & unexplained].sum()
    exposed = float(len(ordinal) + missed)
    expected = float((odds / (1 + odds)).sum())
    none = float(alone[unexplained].sum())
    return lives._replace(
        detected=float(np.clip(detected, 0.05, 1 - 1e-6)),
        vanishing=float(np.clip((vanished + 0.5) / (exposed + 1), 1e-7, 0.5)),
        appearing=float(np.clip((appeared + 0.5) / (exposed + 1), 1e-7, 0.5)),
        spurious=float(np.clip((none + 0.5) / (expected + 0.5), 1e-4, 1e4)),
        alike=float((max(expected - none, 0.0) + 0.5) / (expected + 1.0)),
    )


def draws_of(fit: Laplace, number: int, seed: int) -> dict[str, Tensor]:
    """Draws of the process, by site, (number,)."""
    return {name: value.reshape(number) for name, value in fit.draws(number, seed).items()}
