"""Pyro's own NUTS, for models without a flat density; and what any run of a sampler shows and puts back."""

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pyro
import torch
from pyro.infer import MCMC
from pyro.infer import NUTS as StockNUTS
from torch import Tensor
from tqdm.auto import tqdm

from pyrodrop.inference.density import Model
from pyrodrop.inference.draws import SamplerStats, diagnose

Report = Callable[[str, str], None]


class Run(NamedTuple):
    """What a run of a sampler was asked for; see ``sample_nuts``."""

    num_warmup: int
    num_samples: int
    num_chains: int
    seed: int
    target_accept: float
    max_tree_depth: int
    progress: bool

    @property
    def iterations(self) -> int:
        """Of warm-up and draws."""
        return self.num_warmup + self.num_samples


def sample_with_pyro(
    model: Model, args: tuple[Any, ...], kwargs: dict[str, Any], run: Run, started: float
) -> tuple[dict[str, Tensor], SamplerStats]:
    """Pyro's own NUTS, chain after chain, under generators that are put back afterwards."""
    chains: list[dict[str, Tensor]] = []
    divergences, acceptance, step_size = 0, 0.0, math.nan
    with torch.random.fork_rng(devices=[]), pyro.get_param_store().scope(), pyro_logger_kept():
        for chain in range(run.num_chains):
            torch.manual_seed(run.seed + chain)
            kernel = StockNUTS(model, target_accept_prob=run.target_accept, max_tree_depth=run.max_tree_depth)
            with progress_bar(run) as report:

                def hook(kernel: Any, params: Any, stage: str, number: int, report: Report = report) -> None:
                    logged = kernel.logging()
                    report(stage, f"step size {logged['step size']}. acc. prob={logged['acc. prob']}")

                mcmc = MCMC(kernel, run.num_samples, run.num_warmup, hook_fn=hook, disable_progbar=True)
                mcmc.run(*args, **kwargs)
            chains.append(mcmc.get_samples())
            diagnostics = mcmc.diagnostics()
            divergences += len(diagnostics["divergences"]["chain 0"])
            acceptance += diagnostics["acceptance rate"]["chain 0"] / run.num_chains
            step_size = float(kernel.step_size)
    values = {name: torch.stack([c[name] for c in chains]) for name in chains[0]}
    r_hat, effective = diagnose(values)
    return values, SamplerStats(
        num_chains=run.num_chains,
        num_warmup=run.num_warmup,
        num_samples=run.num_samples,
        step_size=step_size,
        leapfrog_steps=torch.empty(0, dtype=torch.long),
        mean_acceptance=acceptance,
        divergences=divergences,
        at_max_depth=0,
        iterations_per_second=run.num_chains * run.iterations / (time.perf_counter() - started),
        r_hat=r_hat,
        effective=effective,
    )


@contextlib.contextmanager
def progress_bar(run: Run) -> Iterator[Report]:
    """A bar like the post's: ``sample: 100%|...| 1100/1100 [00:09<00:00, 112.09it/s, 15 steps of size ...]``."""
    with tqdm(total=run.iterations, desc="warmup", disable=not run.progress) as bar:

        def report(stage: str, text: str) -> None:
            if not bar.disable:
                bar.set_description_str("sample" if stage.startswith("Sample") else "warmup", refresh=False)
                bar.set_postfix_str(text, refresh=False)
                bar.update()

        yield report


@contextlib.contextmanager
def pyro_logger_kept() -> Iterator[None]:
    """Pyro's MCMC puts its own handlers on its logger and leaves them there; put back what was there."""
    logger = logging.getLogger("pyro.infer.mcmc")
    before = list(logger.handlers), logger.propagate
    try:
        yield
    finally:
        logger.handlers, logger.propagate = before
