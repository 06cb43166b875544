"""A descent that is made once: where it has ended before, with the same image and start, it is gone on from there."""

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrodrop.joint.descent import TOLERANCE, Descent, arrived, descend
from pyrodrop.joint.problem import Problem, State
from pyrodrop.joint.resuming.kept import Arrays, digest_of

# Of a state with no edges of the droplets' own: these come after the joint descents.
_STATE = tuple(field.name for field in fields(State) if field.name != "edge")


def descend_once(
    problem: Problem, state: State, max_steps: int, origin: State, tolerance: float = TOLERANCE, solutions: int = 2
) -> Descent:
    """As ``descent.descend``, to the bit, but for the time: one that ``pixels.kept`` knows is read."""
    kept = problem.pixels.kept
    if kept is None:
        return descend(problem, state, max_steps, origin, tolerance, solutions)
    digest = digest_of("descent", *asked_of(problem, state, origin), max_steps, tolerance, solutions)
    known = kept.read(digest)
    if known is None:
        mode = descend(problem, state, max_steps, origin, tolerance, solutions)
        kept.keep(digest, arrays_of(mode))
        return mode
    return mode_of(problem, known)


def asked_of(problem: Problem, *states: State) -> list[object]:
    """All that tells a problem and some states of it apart from others."""
    scales = vars(problem.scales)
    units = [value for name in sorted(scales) for value in (name, scales[name])]
    numbers = [getattr(each, name) for each in states for name in _STATE]
    return [problem.pixels.digest, problem.profile, *units, *numbers]


def arrays_of(mode: Descent) -> dict[str, NDArray[Any]]:
    """What of a descent is kept."""
    went = {"losses": mode.losses, "steps": np.array(mode.steps), "converged": np.array(mode.converged)}
    return {name: getattr(mode.state, name) for name in _STATE} | went | {"held": mode.held}


def mode_of(problem: Problem, known: Arrays) -> Descent:
    """Where the descent ended of which these arrays were kept."""
    there: dict[str, Any] = {name: known[name] for name in _STATE}
    ways = known["losses"], int(known["steps"]), bool(known["converged"]), known["held"]
    return arrived(problem, State(**there), *ways)
