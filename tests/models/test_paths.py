"""The model of paths is the filter that the linking steps through, and gives back what made the paths."""

import numpy as np
import pyro
import torch
from pyro import poutine

from pyrodrop.models.paths import Paths, PathScales, paths
from pyrodrop.workflows.tracking.paths.path_filter import (
    R_VAR,
    STATE,
    X_VAR,
    R,
    X,
    begun,
    log_normal,
    predicted,
    updated,
)

ONE = torch.ones((), dtype=torch.float64)
SCALES = PathScales(ONE, 0.1 * ONE, 10 * ONE, 0.01 * ONE)
VALUES = {
    "diffusion": 0.7 * ONE,
    "mobility_exponent": 1.2 * ONE,
    "rate_sd": 0.05 * ONE,
    "rate_time": 6.0 * ONE,
    "position_factor": 1.3 * ONE,
    "radius_factor": 0.8 * ONE,
    "look_step": 0.002 * ONE,
    "look_factor": 1.1 * ONE,
}


def some_paths(rows: int = 3, frames: int = 9) -> Paths:
    rng = np.random.default_rng(0)
    draw = lambda sd: torch.from_numpy(sd * rng.standard_normal((rows, frames)).cumsum(1))  # noqa: E731
    variance = lambda sd: torch.from_numpy(sd**2 * rng.uniform(0.5, 2, (rows, frames)))  # noqa: E731
    detected = torch.from_numpy(rng.random((rows, frames)) > 0.25)
    detected[:, 0] = True
    around = torch.full((rows, frames), 5.0, dtype=torch.float64)
    seen = (draw(1.0), draw(1.0), draw(0.1), draw(0.05), variance(0.2), variance(0.2), variance(0.05), variance(0.02))
    return Paths(*seen, detected, around)


def log_prob(seen: Paths, site: str) -> torch.Tensor:
    """Log density of what is seen of each path."""
    conditioned = pyro.condition(paths, data=VALUES)
    trace = poutine.trace(conditioned).get_trace(seen, SCALES, 5.0)
    trace.compute_log_prob()
    return trace.nodes[site]["log_prob"].detach()


def filtered(seen: Paths, at: int, variance_at: int, column: int) -> np.ndarray:
    """The same by the filter: without the first detection, where the filter begins, and without what is missing."""
    process = np.array([0.7, 1.2, 5.0, 0.05, 6.0, 0.002])
    factors = np.array([1.3, 1.3, 0.8, 1.1])
    total = np.zeros(len(seen.x))
    for row in range(len(seen.x)):
        columns = [values[row].numpy() for values in seen[:8]]
        table = np.stack([*columns[:4], *(factors[n] * columns[4 + n] for n in range(4))], 1)
        state, after = np.empty(STATE), np.empty(STATE)
        begun(table[0], process, state)
        for t in range(1, len(table)):
            # the diffusion goes by the radius that the model is told
            state_of_step = state.copy()
            state_of_step[R] = 5.0
            predicted(state_of_step, 1.0, process, after)
            after[R] += state[R] - 5.0
            state[:] = after
            if seen.detected[row, t]:
                total[row] += log_normal(table[t, column] - state[at], state[variance_at] + table[t, 4 + column])
                updated(state, table[t])
    return total


def test_the_filter_gives_the_density_of_the_model() -> None:
    """Two tables of paths that differ in one detection differ by the same log density: constants are in neither."""
    first = some_paths()
    moved = {"x": (X, X_VAR, 0), "radius": (R, R_VAR, 2)}
    for site, (at, variance_at, column) in moved.items():
        values = getattr(first, site).clone()
        values[:, 4:] += 0.3
        second = first._replace(**{site: values})
        by_model = (log_prob(second, site) - log_prob(first, site)).numpy()
        by_filter = filtered(second, at, variance_at, column) - filtered(first, at, variance_at, column)
        np.testing.assert_allclose(by_model, by_filter, rtol=1e-4, atol=1e-4)


def test_what_is_missing_says_nothing() -> None:
    first = some_paths()
    values = torch.where(first.detected, first.x, first.x + 3.0)
    for one, other in zip(log_prob(first, "x"), log_prob(first._replace(x=values), "x"), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_paths_can_be_drawn() -> None:
    with torch.random.fork_rng():
        trace = poutine.trace(poutine.uncondition(paths)).get_trace(some_paths(), SCALES, 5.0)
    assert trace.nodes["x"]["value"].shape == (3, 9)
