"""How a mean radius grows with time: the exponent of coarsening, and which law the curve is evidence for."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from pyrodrop.results.statistics.mean_curve import MeanCurve

Array = NDArray[np.float64]

_EXPONENTS = np.linspace(0.08, 1.6, 761)
RIPENING, COALESCENCE = 1 / 3, 1 / 2
_STEPS, _ENOUGH = 50, 1e-8


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


def coarsening(curve: MeanCurve) -> Coarsening:
    """The exponent of coarsening of a curve of mean radii.

    For each exponent n the logarithm of the radius is n log(line in time), whose two ends are integrated out, with flat
    priors of the logarithms there; n itself is equally probable everywhere from 0.08 to 1.6. In logarithms the errors
    hang on the curve the least: a mean that came out small would else be thought to be surer. The covariance is
    known from a sample only, which makes the likelihood one of Student's (Sellentin and Heavens, Monthly Notices of the
    Royal Astronomical Society Letters 456, L132, 2016).
    """
    from scipy.special import stdtrit

    log = _log_evidence(curve, np.append(_EXPONENTS, [RIPENING, COALESCENCE]))
    weight = np.exp(log[:-2] - log[:-2].max())
    cumulative = np.cumsum(weight) / weight.sum()
    low, high = (float(np.interp(q, cumulative, _EXPONENTS)) for q in (0.05, 0.95))
    mean = float((weight * _EXPONENTS).sum() / weight.sum())
    whole, (first, last) = curve.log_mean[-1] - curve.log_mean[0], curve.covariance[[0, -1]]
    spread = float(np.sqrt(first[0] + last[-1] - 2 * first[-1])) * float(stdtrit(curve.droplets, 0.95))
    growth = [float(np.exp(whole + off)) for off in (0.0, -spread, spread)]
    return Coarsening(mean, low, high, growth[0], growth[1], growth[2], float(log[-2] - log[-1]))


def _log_evidence(curve: MeanCurve, exponents: Float[Array, " n"]) -> Float[Array, " n"]:
    """Log evidence of each exponent, by Laplace's approximation at the best ends, which Gauss and Newton find."""
    share = (curve.time - curve.time[0]) / (curve.time[-1] - curve.time[0])
    with np.errstate(divide="ignore"):
        log_first, log_last = np.log(1 - share), np.log(share)
    averages = (curve.stretch == np.arange(len(curve.log_mean))[:, None]).astype(np.float64)
    averages /= averages.sum(1, keepdims=True)
    precision = np.linalg.inv(curve.covariance)
    n = exponents[:, None]
    ends = np.tile(curve.log_mean[[0, -1]], (len(exponents), 1))
    for _ in range(_STEPS):
        first, last = log_first + ends[:, :1] / n, log_last + ends[:, 1:] / n
        line = np.logaddexp(first, last)
        off = curve.log_mean - n * line @ averages.T
        of_first = np.exp(first - line)
        slopes = np.stack([of_first @ averages.T, (1 - of_first) @ averages.T], 1)
        weighted = slopes @ precision
        information = weighted @ slopes.transpose(0, 2, 1)
        step = np.linalg.solve(information, weighted @ off[:, :, None])[:, :, 0]
        if np.abs(step).max() < _ENOUGH:
            break
        ends += step
    misfit = np.einsum("ns,st,nt->n", off, precision, off)
    fit = -0.5 * (curve.droplets + 1) * np.log1p(misfit / curve.droplets)
    return np.asarray(fit - 0.5 * np.linalg.slogdet(information)[1])
