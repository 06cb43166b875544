"""How a mean radius grows with time: the exponent of coarsening, and which law the curve is evidence for."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Means of so many stretches of time: enough for the curve, few enough that their covariance is known from the draws.
_STRETCHES = 10
_EXPONENTS = np.linspace(0.08, 1.6, 761)
RIPENING, COALESCENCE = 1 / 3, 1 / 2


@dataclass(frozen=True)
class Coarsening:
    """The exponent n of r = (r0^(1/n) + k t)^n, and what it says of the law.

    Attributes:
        exponent: its mean. q05, q95: its 90 % interval.
        growth: mean radius at the end over that at the beginning, and its 90 % interval as growth_q05, growth_q95.
        log_evidence: by how much the curve speaks for r^3 ~ t (diffusion between droplets, Lifshitz, Slyozov and
            Wagner) over r ~ t^(1/2) (coalescence), a difference of log evidence.
    """

    exponent: float
    q05: float
    q95: float
    growth: float
    growth_q05: float
    growth_q95: float
    log_evidence: float

    @property
    def grows(self) -> bool:
        """Whether the mean radius changes at all, as far as is known."""
        return self.growth_q05 > 1 or self.growth_q95 < 1

    def as_dict(self) -> dict[str, object]:
        """What a summary says."""
        exponent = {"mean": self.exponent, "q05": self.q05, "q95": self.q95}
        growth = {"mean": self.growth, "q05": self.growth_q05, "q95": self.growth_q95}
        return {"exponent": exponent if self.grows else None, "growth": growth, "log_evidence_cubic": self.log_evidence}


def coarsening(time: Float[Array, " t"], mean_radius: Float[Array, "t draws"]) -> Coarsening | None:
    """The exponent of coarsening of a curve that is known by draws.

    The curve's means over ten stretches of time have the covariance of the draws. For each exponent n, r^(1/n) is a
    straight line in time, whose two ends are integrated out; n itself is equally probable everywhere from 0.08 to 1.6.

    Args:
        time: of each frame, in any unit.
        mean_radius: draws of the mean radius in each frame, in any unit; finite and positive.

    Returns:
        None where there are fewer than four frames.
    """
    if len(time) < 4:
        return None
    parts = np.array_split(np.arange(len(time)), min(_STRETCHES, len(time)))
    t = np.array([time[part].mean() for part in parts])
    curves = np.array([mean_radius[part].mean(0) for part in parts])
    r, number = curves.mean(1), curves.shape[1]
    covariance = np.atleast_2d(np.cov(curves))
    covariance *= (number - 1) / max(number - len(t) - 2, 1)  # Hartlap, Simon and Schneider 2007
    covariance += np.eye(len(t)) * max(1e-10 * float(r.mean()) ** 2, 1e-9 * float(np.trace(covariance)))
    frames = mean_radius.mean(1)

    def log_evidence(n: float) -> float:
        # a power's means over stretches lie on the power's line; the means of the radius itself do not
        return _log_evidence(t, r, np.array([(frames[part] ** (1 / n)).mean() for part in parts]), covariance, 1 / n)

    log = np.array([log_evidence(float(n)) for n in _EXPONENTS])
    weight = np.exp(log - log.max())
    cumulative = np.cumsum(weight) / weight.sum()
    low, high = (float(np.interp(q, cumulative, _EXPONENTS)) for q in (0.05, 0.95))
    ratio = curves[-1] / curves[0]
    growth_low, growth_high = np.quantile(ratio, [0.05, 0.95])
    laws = [log_evidence(n) for n in (RIPENING, COALESCENCE)]
    mean = float((weight * _EXPONENTS).sum() / weight.sum())
    return Coarsening(mean, low, high, float(ratio.mean()), float(growth_low), float(growth_high), laws[0] - laws[1])


def _log_evidence(t: Array, r: Array, to_power: Array, covariance: Array, power: float) -> float:
    """Log evidence of r^power, whose means are ``to_power``, being a line in time; r at both ends has flat priors."""
    scale = float(r.mean())
    y, slope = to_power / scale**power, power * (r / scale) ** (power - 1)
    spread = covariance / scale**2 * np.outer(slope, slope)
    share = (t - t[0]) / (t[-1] - t[0])
    ends = np.stack([1 - share, share], 1)
    solved = np.linalg.solve(spread, np.column_stack([ends, y]))
    precision = ends.T @ solved[:, :2]
    best = np.linalg.solve(precision, ends.T @ solved[:, 2])
    off = y - ends @ best
    fit = -0.5 * off @ np.linalg.solve(spread, off)
    # from r to y and back, and from the ends of the line to the radii there
    log = fit - 0.5 * np.linalg.slogdet(spread)[1] - 0.5 * np.linalg.slogdet(precision)[1] + np.log(slope).sum()
    at_ends = np.maximum(best, 1e-9) ** ((power - 1) / power) * power
    return float(log - np.log(at_ends).sum())
