"""Draws of a sampler: a dict of tensors by site, with what is needed to judge them."""

import math
from dataclasses import dataclass, field

import torch
from pyro.ops.stats import effective_sample_size, split_gelman_rubin
from torch import Tensor

CONVERGED_R_HAT = 1.01
"""Largest split R-hat that counts as converged (Vehtari et al., Bayesian Analysis 16, 2021, section 4)."""

LONG_CHAIN = 1000
"""From this many draws on, the two halves of a single chain are allowed to judge it."""


@dataclass(frozen=True)
class SamplerStats:
    """What a sampler did, and how far its draws can be trusted.

    Attributes:
        num_chains, num_warmup, num_samples: of the run.
        step_size: of the draws.
        leapfrog_steps: (chains, warm-up + draws), leapfrog steps of each iteration; empty where not known.
        mean_acceptance: over the draws.
        divergences: number of draws whose trajectory diverged.
        at_max_depth: number of draws whose trajectory was cut off at the largest tree.
        iterations_per_second: of warm-up and draws, preparation included.
        r_hat: by latent site, split R-hat of each number in it; empty with fewer than 4 draws.
        effective: by latent site, effective sample size of each number in it; empty with fewer than 4 draws.
    """

    num_chains: int
    num_warmup: int
    num_samples: int
    step_size: float
    leapfrog_steps: Tensor
    mean_acceptance: float
    divergences: int
    at_max_depth: int
    iterations_per_second: float
    r_hat: dict[str, Tensor] = field(default_factory=dict)
    effective: dict[str, Tensor] = field(default_factory=dict)

    @property
    def max_r_hat(self) -> float:
        """The largest split R-hat; nan where there is none."""
        return _extreme(self.r_hat, largest=True)

    @property
    def min_effective(self) -> float:
        """The smallest effective sample size; nan where there is none."""
        return _extreme(self.effective, largest=False)


class Draws(dict[str, Tensor]):
    """Tensors by site name: (draws, *site shape) for one chain, (chains, draws, *site shape) for several.

    Attributes:
        stats: what the sampler did.
    """

    def __init__(self, values: dict[str, Tensor], stats: SamplerStats) -> None:
        super().__init__(values)
        self.stats = stats

    @property
    def judged(self) -> bool:
        """Whether there is enough to tell: several chains, or one of at least 1,000 draws."""
        stats = self.stats
        return bool(stats.r_hat) and (stats.num_chains > 1 or stats.num_samples >= LONG_CHAIN)

    @property
    def converged(self) -> bool:
        """Whether R-hat is under 1.01 for every number of every site and no draw diverged; False if not judged."""
        return self.judged and self.stats.max_r_hat < CONVERGED_R_HAT and self.stats.divergences == 0

    def verdict(self) -> str:
        """One statement of how far these draws can be trusted, and why."""
        s = self.stats
        if not self.judged:
            return (
                f"Convergence not judged: {s.num_chains} chain(s) of {s.num_samples} draws. "
                f"Run several chains, or one of at least {LONG_CHAIN} draws." + self._trouble()
            )
        figures = f"largest R-hat {s.max_r_hat:.3f}, smallest effective sample size {s.min_effective:.0f}"
        figures += f" of {s.num_chains * s.num_samples} draws"
        if self.converged:
            return f"Converged: {figures}." + self._trouble()
        if not s.max_r_hat < CONVERGED_R_HAT:
            worst = sorted((n for n in s.r_hat if not _below(s.r_hat[n])), key=str)
            figures += f"; R-hat is not under {CONVERGED_R_HAT} for {', '.join(worst)}"
        return f"Not converged: {figures}." + self._trouble()

    def _trouble(self) -> str:
        s, text = self.stats, ""
        if s.divergences:
            text += f" {s.divergences} draw(s) diverged: parts of the posterior may be missing; raise target_accept."
        if s.at_max_depth:
            text += f" {s.at_max_depth} trajectories were cut off at the largest tree; raise max_tree_depth."
        return text


def diagnose(values: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Split R-hat and effective sample size by site, both from Pyro, in float64.

    Args:
        values: by site name, (chains, draws, *site shape).

    Returns:
        R-hat and effective sample size by site, each of the site's shape; both empty with fewer than 4 draws.
        R-hat of a number that never moves is nan, and counts as not converged. Effective sizes are at most n log10(n)
        of n draws in all, as in Stan.
    """
    if not values or next(iter(values.values())).shape[1] < 4:
        return {}, {}
    doubles = {name: v.detach().double().cpu() for name, v in values.items()}
    r_hat = {name: split_gelman_rubin(v) for name, v in doubles.items()}
    return r_hat, {name: _bounded(effective_sample_size(v), v.shape[0] * v.shape[1]) for name, v in doubles.items()}


def _bounded(effective: Tensor, n: int) -> Tensor:
    """Of draws that alternate, the sum of correlations may come out at or below 0, and Pyro's size as negative."""
    most = n * math.log10(n)
    return torch.where((effective <= 0) | (effective > most), effective.new_tensor(most), effective)


def _below(r_hat: Tensor) -> bool:
    return bool((r_hat < CONVERGED_R_HAT).all())  # nan is not below


def _extreme(by_site: dict[str, Tensor], largest: bool) -> float:
    if not by_site:
        return math.nan
    numbers = torch.cat([t.reshape(-1) for t in by_site.values()])
    return float(numbers.max() if largest else numbers.min())
