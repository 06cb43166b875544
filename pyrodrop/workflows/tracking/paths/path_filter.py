"""Where a droplet is by all of its detections so far: the Kalman filter of the model of paths, compiled.

A state has eleven numbers: x and its variance, y and its variance, the radius, its rate, their variances and
covariance, and the look and its variance. Radius and rate follow an integrated Ornstein-Uhlenbeck process (Uhlenbeck
and Ornstein, Physical Review 36, 823, 1930), which looks the same backwards in time but for the sign of the rate: so
the same filter, run from the end, tells what all later detections say.
"""

import math

import numba
import numpy as np
from numpy.typing import NDArray

from pyrodrop.models.diffusion import step_variance

Array = NDArray[np.float64]

X, X_VAR, Y, Y_VAR, R, RATE, R_VAR, R_RATE, RATE_VAR, LOOK, LOOK_VAR = range(11)
STATE = 11
# Of a detection: x, y, radius and look, and then their variances.
SEEN = 8
_LEAST_RADIUS = 0.05  # of the reference: a smaller one would diffuse without bounds
_step_variance = numba.njit(nogil=True, error_model="numpy")(step_variance)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def step_of(radius, process):
    """Variance of a step of a droplet of this radius, px^2 a frame; process: ``PathProcess.numbers``."""
    return _step_variance(process[0], process[1], max(radius / process[2], _LEAST_RADIUS))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def begun(seen, process, state):
    """Write the state of a path that begins with a detection."""
    state[X], state[X_VAR] = seen[0], seen[4]
    state[Y], state[Y_VAR] = seen[1], seen[5]
    state[R], state[R_VAR] = seen[2], seen[6]
    state[RATE], state[R_RATE], state[RATE_VAR] = 0.0, 0.0, process[3] ** 2
    state[LOOK], state[LOOK_VAR] = seen[3], seen[7]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def predicted(state, dt, process, after):
    """Write the state ``dt`` frames after another."""
    step = step_of(state[R], process) * dt
    after[X], after[X_VAR] = state[X], state[X_VAR] + step
    after[Y], after[Y_VAR] = state[Y], state[Y_VAR] + step
    rate_var, time = process[3] ** 2, process[4]
    s = dt / time
    kept = math.exp(-s)
    way = time * (1.0 - kept)
    r_var, cov, v_var = state[R_VAR], state[R_RATE], state[RATE_VAR]
    # below a thousandth the closed form loses all digits; its series is s^3 2/3
    noise = 2.0 * s - 3.0 + 4.0 * kept - kept * kept if s > 1e-3 else 2.0 / 3.0 * s**3
    after[R] = state[R] + way * state[RATE]
    after[RATE] = kept * state[RATE]
    after[R_VAR] = r_var + 2.0 * way * cov + way * way * v_var + rate_var * time * time * noise
    after[R_RATE] = kept * (cov + way * v_var) + rate_var * time * (1.0 - kept) ** 2
    after[RATE_VAR] = kept * kept * v_var + rate_var * (1.0 - kept * kept)
    after[LOOK], after[LOOK_VAR] = state[LOOK], state[LOOK_VAR] + process[5] * dt


@numba.njit(cache=True, nogil=True, error_model="numpy")
def updated(state, seen):
    """Bring a detection into a predicted state, in place."""
    gain = state[X_VAR] / (state[X_VAR] + seen[4])
    state[X] += gain * (seen[0] - state[X])
    state[X_VAR] *= 1.0 - gain
    gain = state[Y_VAR] / (state[Y_VAR] + seen[5])
    state[Y] += gain * (seen[1] - state[Y])
    state[Y_VAR] *= 1.0 - gain
    gain = state[LOOK_VAR] / (state[LOOK_VAR] + seen[7])
    state[LOOK] += gain * (seen[3] - state[LOOK])
    state[LOOK_VAR] *= 1.0 - gain
    total = state[R_VAR] + seen[6]
    gain, gain_rate = state[R_VAR] / total, state[R_RATE] / total
    off = seen[2] - state[R]
    state[R] += gain * off
    state[RATE] += gain_rate * off
    state[RATE_VAR] -= gain_rate * state[R_RATE]
    state[R_RATE] *= 1.0 - gain
    state[R_VAR] *= 1.0 - gain


@numba.njit(cache=True, nogil=True, error_model="numpy")
def log_normal(off, variance):
    """Log density of a normal distribution at this distance from its mean."""
    return -0.5 * (off * off / variance + math.log(2.0 * math.pi * variance))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def log_sum(a, b):
    """log(e^a + e^b)."""
    high = max(a, b)
    return high + math.log(math.exp(a - high) + math.exp(b - high))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def log_same(after, later, rate_sd, knows_look, shrinking=0.0, growing=0.0):
    """Log density that a predicted state and what all later detections say are of one droplet.

    after: a predicted state, forwards in time. later: a state of the same frame from the filter run backwards, whose
    rate therefore has the other sign. Relative to a flat density of centre, radius and look; and the normal one of the
    rate, which both states hold, is taken out once: int N(z; after) N(z; later) / N(rate; 0, rate_sd^2) dz.
    knows_look: whether the detections say how high they are. shrinking: probability that the droplet is about to
    dissolve, and by now has any of the radii below its own: the last of it goes faster than any rate before (dr/dt ~
    -1 / r^2 by diffusion). growing: that it has just nucleated, and the same backwards in time.
    """
    total = log_normal(after[X] - later[X], after[X_VAR] + later[X_VAR])
    total += log_normal(after[Y] - later[Y], after[Y_VAR] + later[Y_VAR])
    if knows_look:
        total += log_normal(after[LOOK] - later[LOOK], after[LOOK_VAR] + later[LOOK_VAR])
    # precisions of (radius, rate) of both, and of the prior of the rate
    det_a = after[R_VAR] * after[RATE_VAR] - after[R_RATE] ** 2
    det_b = later[R_VAR] * later[RATE_VAR] - later[R_RATE] ** 2
    a_rr, a_rv, a_vv = after[RATE_VAR] / det_a, -after[R_RATE] / det_a, after[R_VAR] / det_a
    b_rr, b_rv, b_vv = later[RATE_VAR] / det_b, later[R_RATE] / det_b, later[R_VAR] / det_b
    prior = 1.0 / rate_sd**2
    m_rr, m_rv, m_vv = a_rr + b_rr, a_rv + b_rv, a_vv + b_vv - prior
    # radii relative to that of ``after``, against loss of digits
    q, va, vb = later[R] - after[R], after[RATE], -later[RATE]
    e_r = a_rv * va + b_rr * q + b_rv * vb
    e_v = a_vv * va + b_rv * q + b_vv * vb
    det_m = max(m_rr * m_vv - m_rv * m_rv, 1e-300)
    fit = (m_vv * e_r * e_r - 2.0 * m_rv * e_r * e_v + m_rr * e_v * e_v) / det_m
    own = a_vv * va * va + b_rr * q * q + 2.0 * b_rv * q * vb + b_vv * vb * vb
    log_dets = -math.log(det_a) - math.log(det_b) - math.log(prior) - math.log(det_m)
    steady = 0.5 * (fit - own + log_dets - math.log(2.0 * math.pi))
    share, radius = (shrinking, after[R]) if later[R] < after[R] else (growing, later[R])
    if share <= 0.0 or radius <= 0.0:
        return total + steady
    return total + log_sum(steady, math.log(share / radius))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def filter_paths(low, high, seen, before, frame, process, states):
    """States of detections by themselves and all before them in their paths, for those from low to high - 1.

    seen: (N, 8). before: the detection before each in its path, -1 for none, (N,); smaller than its own number.
    frame: (N,). process: ``PathProcess.numbers``. states: (N, 11), written.
    """
    for n in range(low, high):
        if before[n] < 0:
            begun(seen[n], process, states[n])
        else:
            predicted(states[before[n]], float(frame[n] - frame[before[n]]), process, states[n])
            updated(states[n], seen[n])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def filter_backwards(low, high, seen, after, frame, process, states):
    """States of detections by themselves and all after them, for those from high - 1 down to low: the rate's sign is
    that of time run backwards. after: the detection after each in its path, -1 for none, (N,).
    """
    for n in range(high - 1, low - 1, -1):
        if after[n] < 0:
            begun(seen[n], process, states[n])
        else:
            predicted(states[after[n]], float(frame[after[n]] - frame[n]), process, states[n])
            updated(states[n], seen[n])
