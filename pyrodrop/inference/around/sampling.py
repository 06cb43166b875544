"""The posterior sampled around a Laplace approximation, until R-hat and effective sizes say that it is known."""

import time

import torch
from torch import Tensor

from pyrodrop.inference.around.split_hmc import SplitHMC, Turn
from pyrodrop.inference.draws import CONVERGED_R_HAT, Draws, SamplerStats, diagnose
from pyrodrop.inference.laplace import Laplace
from pyrodrop.inference.pyro_nuts import Run, progress_bar
from pyrodrop.inference.whitening import Whitened

ENOUGH = 400.0
"""Effective draws from which quantiles and R-hat can be trusted (Vehtari et al., Bayesian Analysis 16, 2021)."""

# Chains are judged after this many draws, and whenever there are a quarter more: judging takes its time, too.
_FIRST, _GROWTH = 100, 1.25


def sample_around(
    approximation: Laplace,
    *,
    num_warmup: int = 400,
    most_samples: int = 4_000,
    num_chains: int = 4,
    effective: float = ENOUGH,
    target_accept: float = 0.8,
    seed: int = 0,
    progress: bool = True,
) -> Draws:
    """Draws of the density itself, by split Hamiltonian Monte Carlo around its Laplace approximation.

    Each chain starts at a draw of the approximation, and all go on until R-hat is under 1.01 and the effective sample
    size at least ``effective`` for every number of every site, or until there are ``most_samples`` draws in each
    chain. How many there are depends on the draws alone, so that a seed has one result.

    Args:
        approximation: of a density over D numbers; its mode is where the chains look.
        num_warmup: transitions of adaptation in each chain.
        most_samples: the most draws that are kept in each chain, at least 4.
        num_chains: how many chains, at least 2 for R-hat to compare.
        effective: the effective sample size to reach.
        target_accept: mean acceptance that the step is adapted to.
        seed: of all random numbers.
        progress: show a bar on standard error.

    Returns:
        The draws, (num_chains, draws, *site shape) by site; ask their ``verdict()``.

    Raises:
        ValueError: for a setting out of its range, or where the density is not finite at the starts.

    Example:
        >>> import pyro, pyro.distributions as dist
        >>> from pyrodrop.inference.around.sampling import sample_around
        >>> from pyrodrop.inference.laplace import laplace
        >>> def model():
        ...     with pyro.plate("n", 3):
        ...         pyro.sample("r", dist.LogNormal(1.5, 0.75))
        >>> draws = sample_around(laplace(model), num_warmup=100, progress=False)
        >>> draws.converged, draws.stats.min_effective >= 400
        (True, True)
    """
    if num_chains < 2 or most_samples < 4:
        raise ValueError(f"expected num_chains >= 2 and most_samples >= 4; got {num_chains} and {most_samples}")
    begun = time.perf_counter()
    density = approximation.density
    around = Whitened(density, approximation.mode, approximation.factor)
    start = around.whitened(approximation.positions(num_chains, seed))
    chains = SplitHMC(around, start, num_warmup, target_accept, seed)
    run = Run(num_warmup, most_samples, num_chains, seed, target_accept, 0, progress)
    turns: list[Turn] = []
    kept: list[Tensor] = []
    judged_at = _FIRST
    with progress_bar(run) as report:
        while len(kept) < most_samples:
            turns.append(chains())
            if len(turns) > num_warmup:
                kept.append(chains.z)
            report("Sample" if kept else "Warmup", f"{turns[-1].steps} steps of size {chains.step_size:.2e}")
            if len(kept) == judged_at:
                if _enough(density.constrained(torch.stack(kept, 1)), effective):
                    break
                judged_at = int(judged_at * _GROWTH)
    values = density.constrained(torch.stack(kept, 1))
    r_hat, sizes = diagnose(values)
    steps = torch.tensor([turn.steps for turn in turns]).expand(num_chains, -1)
    after = turns[num_warmup:]
    return Draws(
        values,
        SamplerStats(
            num_chains=num_chains,
            num_warmup=num_warmup,
            num_samples=len(kept),
            step_size=chains.step_size,
            leapfrog_steps=steps,
            mean_acceptance=float(torch.stack([turn.acceptance for turn in after]).mean()),
            divergences=int(sum(int(turn.diverged.sum()) for turn in after)),
            at_max_depth=0,
            iterations_per_second=len(turns) / (time.perf_counter() - begun),
            r_hat=r_hat,
            effective=sizes,
        ),
    )


def _enough(values: dict[str, Tensor], effective: float) -> bool:
    r_hat, sizes = diagnose(values)
    low = all(bool((rows < CONVERGED_R_HAT).all()) for rows in r_hat.values())  # nan is not below
    return low and all(bool((rows >= effective).all()) for rows in sizes.values())
