"""A droplet out of focus among sharp ones: the joint fit takes it for several, one in the middle of the other.

Each such group is held against one droplet with an edge of its own (``joint.one_by_one``). With E the negative log
density of what either leaves over, the group is one droplet if

    E(one) - E(group) < what the evidence charges for all but the broadest, less what it charges for an edge,

a droplet costing its prior density times the room that its unknowns are left, as ``posterior.log_bayes_of`` has it, and
an edge the log of its prior's standard deviation over its posterior's.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pyrodrop.joint.joint_fit import JointFit
from pyrodrop.joint.one_by_one.one_droplet import OneDroplet
from pyrodrop.joint.one_by_one.own_edges import with_own_edges
from pyrodrop.joint.pixels import Pixels
from pyrodrop.joint.problem import EDGE
from pyrodrop.rendering import profile_named

Array = NDArray[np.float64]
# Centres are nearer than this share of the larger radius: what lies further apart is no blur of one droplet.
_CONCENTRIC = 0.5


def doubles(fit: JointFit) -> tuple[NDArray[np.intp], JointFit]:
    """Which droplets are a part of one that is out of focus, and the fit with one droplet for each group."""
    if EDGE not in profile_named(fit.profile).shape_names or len(fit.x) < 2:
        return np.zeros(0, np.intp), fit
    half, gone = fit.half_radius, np.zeros(len(fit.x), bool)
    places, amplitude = np.array([fit.x, fit.y, fit.state.log_r]), fit.amplitude.copy()
    centres = np.stack([fit.x, fit.y], 1)
    near = cKDTree(centres).query_ball_point(centres, _CONCENTRIC * half)
    for broad in np.argsort(-half, kind="stable"):
        inner = [k for k in near[broad] if k != broad and half[k] <= half[broad] and not gone[k]]
        inner = [k for k in inner if fit.amplitude[:, k] @ fit.amplitude[:, broad] > 0]
        if gone[broad] or not inner:
            continue
        # All of them, or the likeliest of them.
        for group in [inner, *([k] for k in inner if len(inner) > 1)]:
            one = _as_one(fit, int(broad), group)
            if one is not None:
                gone[group] = True
                places[:, broad], amplitude[:, broad] = one.unknowns[:3], one.unknowns[3:-1]
                break
    x, y, log_r = places
    return np.flatnonzero(gone), fit.with_droplets(x, y, np.exp(log_r), amplitude)


def _as_one(fit: JointFit, broad: int, inner: Sequence[int]) -> OneDroplet | None:
    """A droplet and those in its middle as one, if that is as likely."""
    outer, others = OneDroplet.of(fit, broad), [OneDroplet.of(fit, k) for k in inner]
    seen, window = fit.residuals.image.astype(np.float64), outer.grown_window()
    # With the broad one taken out and drawn again; the priors of the others are among what the evidence charges.
    outer.paint(seen, 1.0)
    apart = outer.energy(seen, window)
    for other in others:
        other.paint(seen, 1.0)
    begin, log_r = outer.unknowns.copy(), np.array([each.unknowns[2] for each in (outer, *others)])
    begin[2], soft = log_r.mean(), np.ptp(np.exp(log_r)) / 2
    begin[3:-1] += np.sum([other.unknowns[3:-1] for other in others], 0)
    begin[-1] = np.log(np.hypot(np.exp(begin[-1]), soft))
    one = outer._replace(unknowns=begin).fitted(seen)
    charged = float((fit.evidence.gain - fit.evidence.log_bayes)[list(inner)].sum())
    return one if one.energy(seen, window) - apart < charged - one.cost_of_edge() else None


def likeliest_in_focus(fits: Sequence[JointFit], pixels: Pixels) -> int:
    """Number of the likeliest of joint fits with other profiles, each with edges of the droplets' own.

    By Schwarz's criterion (1978), for the least noise of all.
    """
    own = [with_own_edges(fit, pixels) for fit in fits]
    noise = np.min([fit.noise for fit in fits], 0)

    def lack(fit: JointFit) -> float:
        residual = fit.residuals.image.astype(np.float64) / noise[:, None, None]
        numbers = profile_named(fit.profile).size + len(fit.x) * (3 + len(noise))
        return float(np.square(residual).sum() + numbers * np.log(residual.size)) / 2

    return int(np.argmin([lack(fit) for fit in own]))
