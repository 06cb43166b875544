"""Links across which a radius jumps, as in a merger, or as the last of a droplet dissolves: no rate is like it.

One such jump in a hundred paths would teach the process that radii are restless, and then no merger is told by its
volume any more.
"""

import numba
import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from pyrodrop.workflows.tracking.paths.detections import Detections
from pyrodrop.workflows.tracking.paths.link_weights import seen_of
from pyrodrop.workflows.tracking.paths.linking import Links
from pyrodrop.workflows.tracking.paths.path_filter import STATE, begun, log_same, predicted, updated
from pyrodrop.workflows.tracking.paths.process import Lives, PathProcess


def jumps(detections: Detections, process: PathProcess, lives: Lives, links: Links) -> Bool[NDArray[np.bool_], " n"]:
    """Whether the radius of each detection rather jumps from those before it in its path than changes steadily, (N,).

    After a jump what is known of radius and rate begins anew. How probable jumps are is what links say, too: as often
    as droplets vanish or appear.
    """
    found = np.zeros(len(detections.frame), bool)
    chances = (lives.vanishing, lives.appearing)
    _mark(seen_of(detections, process), links.before, detections.frame, process.numbers(), chances, found)
    return found


def without_jumps(links: Links, jumped: Bool[NDArray[np.bool_], " n"]) -> Links:
    """Links of which none leads to a detection whose radius jumps."""
    before, after = links.before.copy(), links.after.copy()
    after[before[jumped]] = -1
    before[jumped] = -1
    return links._replace(before=before, after=after)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _mark(seen, before, frame, process, chances, found):
    states, own = np.empty((len(seen), STATE)), np.empty(STATE)
    for n in range(len(seen)):
        i = before[n]
        if i < 0:
            begun(seen[n], process, states[n])
            continue
        predicted(states[i], float(frame[n] - frame[i]), process, states[n])
        begun(seen[n], process, own)
        steady = log_same(states[n], own, process[3], False)
        found[n] = 2.0 * np.exp(steady - log_same(states[n], own, process[3], False, chances[0], chances[1])) < 1.0
        if found[n]:
            states[n, :] = own
        else:
            updated(states[n], seen[n])
