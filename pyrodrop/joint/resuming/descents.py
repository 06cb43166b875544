"""A descent that is made once: where it has ended before, with the same image and start, it is gone on from there."""

from dataclasses import fields
from typing import Any

import numpy as np

from pyrodrop.joint.descent import TOLERANCE, Descent, arrived, descend
from pyrodrop.joint.problem import Problem, State
from pyrodrop.joint.resuming.kept import digest_of

# Of a state with no edges of the droplets' own: these come after the joint descents.
_STATE = tuple(field.name for field in fields(State) if field.name != "edge")


def descend_once(
    problem: Problem, state: State, max_steps: int, origin: State, tolerance: float = TOLERANCE, solutions: int = 2
) -> Descent:
    """As ``descent.descend``, to the bit, but for the time: one that ``pixels.kept`` knows is read."""
    kept = problem.pixels.kept
    if kept is None:
        return descend(problem, state, max_steps, origin, tolerance, solutions)
    start = [getattr(each, name) for each in (state, origin) for name in _STATE]
    scales = vars(problem.scales)
    units = [value for name in sorted(scales) for value in (name, scales[name])]
    asked = (max_steps, tolerance, solutions)
    digest = digest_of("descent", problem.pixels.digest, problem.profile, *units, *start, *asked)
    known = kept.read(digest)
    if known is None:
        mode = descend(problem, state, max_steps, origin, tolerance, solutions)
        went = {"losses": mode.losses, "steps": np.array(mode.steps), "converged": np.array(mode.converged)}
        kept.keep(digest, {name: getattr(mode.state, name) for name in _STATE} | went | {"held": mode.held})
        return mode
    there: dict[str, Any] = {name: known[name] for name in _STATE}
    ways = known["losses"], int(known["steps"]), bool(known["converged"]), known["held"]
    return arrived(problem, State(**there), *ways)
