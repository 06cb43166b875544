"""The posterior of any Pyro model by NUTS, several chains at once.

On a CUDA device this has not yet been run. Nothing in it is particular to the CPU; the host waits for the device after
every other leapfrog step.
"""

import time
import warnings
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.infer import MCMC
from torch import Tensor
from torch.utils import _pytree as pytree

from pyrodrop.inference.density import Density, Model, NotFlatError, capture, check, flatten
from pyrodrop.inference.draws import Draws, SamplerStats, diagnose
from pyrodrop.inference.graphs import can_compile
from pyrodrop.inference.kernel import NUTS
from pyrodrop.inference.pyro_nuts import Run, progress_bar, pyro_logger_kept, sample_with_pyro
from pyrodrop.inference.whitening import Whitened, whitened_density

__all__ = ["NUTS", "Draws", "sample_nuts"]

# Compiling takes a few seconds with a warm cache: shorter runs are over before it pays.
_COMPILED_FROM = 500

# A float32 of this size or larger is rounded by more than 0.01, which trajectories notice.
_LARGE = 1e5


def sample_nuts(
    model: Model,
    *args: Any,
    num_warmup: int = 1000,
    num_samples: int = 100,
    num_chains: int = 1,
    seed: int = 0,
    target_accept: float = 0.8,
    max_tree_depth: int = 10,
    initial: Tensor | None = None,
    inverse_mass: Tensor | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    progress: bool = True,
    compiled: bool | None = None,
    deterministic: bool = True,
    **kwargs: Any,
) -> Draws:
    """Draw from a model's posterior with the No-U-Turn sampler (Hoffman and Gelman, 2014), as Pyro's NUTS does.

    Chains are a batch dimension and share what warm-up learns: a step size and a diagonal mass matrix. A model
    without a flat density (discrete sites, for one) is sampled by Pyro's own NUTS instead, with a warning.

    Args:
        model: a Pyro model.
        args, kwargs: its arguments.
        num_warmup, num_samples: iterations of adaptation, then draws that are kept, in each chain.
        num_chains: the number of chains.
        seed: of all random numbers. No global generator is touched.
        target_accept: mean acceptance that the step size is adapted to.
        max_tree_depth: a draw takes fewer than 2 ** max_tree_depth leapfrog steps.
        initial: unconstrained positions, (D,) or (num_chains, D), such as a guide's means; by default uniform in
            (-2, 2), each number of each chain on its own.
        inverse_mass: (D,), diagonal to start the adaptation from, such as a guide's variances; by default ones. Or
            (D, D), a covariance, such as a Laplace approximation's: it is kept, and the diagonal along its principal
            axes is adapted. It needs ``initial``.
        device, dtype: of the chains; dtype None is float32, or float64 where the log density is so large that
            float32 would round it by more than 0.01.
        progress: show a bar on standard error with iterations a second, steps and acceptance.
        compiled: use torch's compiler; None does so from 500 iterations on where it can.
        deterministic: also compute the model's deterministic sites, by running the model on each draw.

    Returns:
        The draws, (num_samples, *site shape) by site for one chain, (num_chains, num_samples, *site shape) for
        several; ``.stats``, ``.converged`` and ``.verdict()`` tell what they are worth.

    Raises:
        ValueError: for counts out of range, where no finite density is found to start from, and for a covariance
            without initial positions, or one that is not positive definite.

    Example:
        >>> import pyrodrop
        >>> draws = pyrodrop.sample_nuts(
        ...     pyrodrop.models.centres, 100, 80, 5, num_warmup=50, num_samples=20, seed=0, progress=False
        ... )
        >>> {name: tuple(site.shape) for name, site in draws.items()}
        {'x': (20, 5), 'y': (20, 5), 'r': (20, 5)}
    """
    if num_samples < 1 or num_warmup < 0 or num_chains < 1:
        raise ValueError(
            "expected num_samples >= 1, num_warmup >= 0 and num_chains >= 1; "
            f"got {num_samples}, {num_warmup} and {num_chains}"
        )
    started = time.perf_counter()
    run = Run(num_warmup, num_samples, num_chains, seed, target_accept, max_tree_depth, progress)
    if compiled is None:
        compiled = num_warmup + num_samples >= _COMPILED_FROM and can_compile(torch.device(device))
    try:
        kernel = _kernel(model, args, kwargs, run, device, dtype, initial, inverse_mass, compiled)
    except NotFlatError as reason:
        warnings.warn(f"{reason}. Sampling with Pyro's own NUTS, which is slower.", stacklevel=2)
        values, stats = sample_with_pyro(model, args, kwargs, run, started)
    else:
        values, stats = _sample(kernel, run, started)
    if deterministic:
        values |= deterministic_sites(model, args, kwargs, values)
    return Draws({n: v[0] for n, v in values.items()} if num_chains == 1 else values, stats)


def deterministic_sites(
    model: Model, args: tuple[Any, ...], kwargs: dict[str, Any], values: dict[str, Tensor]
) -> dict[str, Tensor]:
    """A model's deterministic sites on draws (chains, draws, ...), one draw at a time: the same leading shape."""
    first = next(iter(values.values()))
    (chains, draws), device = first.shape[:2], first.device
    args, kwargs = pytree.tree_map_only(Tensor, lambda tensor: tensor.to(device), (args, kwargs))
    rows: dict[str, list[Tensor]] = {}
    with torch.no_grad(), pyro.get_param_store().scope(), torch.random.fork_rng(devices=[]), device:
        for c in range(chains):
            for n in range(draws):
                draw = {name: v[c, n] for name, v in values.items()}
                trace: Any = poutine.trace(poutine.condition(model, data=draw)).get_trace(*args, **kwargs)
                for name, site in trace.nodes.items():
                    if (site.get("infer") or {}).get("_deterministic"):
                        rows.setdefault(name, []).append(site["value"])
                if not rows:
                    return {}
    return {name: torch.stack(r).reshape(chains, draws, *r[0].shape) for name, r in rows.items()}


def _kernel(
    model: Model,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    run: Run,
    device: torch.device | str,
    dtype: torch.dtype | None,
    initial: Tensor | None,
    inverse_mass: Tensor | None,
    compiled: bool,
) -> NUTS:
    density = flatten(model, args, kwargs, dtype=dtype or torch.float32, device=device)
    if dtype is None and _largest(density, run.seed) > _LARGE:
        density = flatten(model, args, kwargs, dtype=torch.float64, device=device)
    example = torch.zeros(1, density.size, dtype=density.dtype, device=density.device)
    try:
        check(density, capture(density.value_and_grad, example, *density.tensors))
        around: Density | Whitened = density
        if inverse_mass is not None and inverse_mass.dim() == 2:
            around, initial = whitened_density(density, initial, inverse_mass, run.num_chains)
            inverse_mass = None
        return NUTS(
            around,
            num_chains=run.num_chains,
            seed=run.seed,
            target_accept=run.target_accept,
            max_tree_depth=run.max_tree_depth,
            initial=initial,
            inverse_mass=inverse_mass,
            compiled=compiled,
        )
    except RuntimeError as error:  # what tracing makes of control flow that depends on values
        reason = str(error).strip().splitlines()
        raise NotFlatError(f"the model cannot be captured: {reason[0] if reason else error!r}") from error


def _largest(density: Density, seed: int) -> float:
    """Size of the log density at a random start, for the choice of dtype."""
    generator = torch.Generator().manual_seed(seed)
    z = 4.0 * torch.rand(1, density.size, generator=generator) - 2.0
    with torch.no_grad():
        return float(density.log_density(z.to(density.device)).abs())


def _sample(kernel: NUTS, run: Run, started: float) -> tuple[dict[str, Tensor], SamplerStats]:
    with progress_bar(run) as report, pyro_logger_kept():

        def hook(_: Any, params: Any, stage: str, number: int) -> None:
            last = kernel.iterations[-1]
            steps = f"{int(last.leaves.max())} steps of size {last.step_size:.2e}"
            report(stage, f"{steps}. acc. prob={kernel.mean_acceptance():.2f}")

        mcmc = MCMC(kernel, run.num_samples, run.num_warmup, hook_fn=hook, disable_progbar=True)
        mcmc.run()
    z = mcmc.get_samples()["z"].transpose(0, 1)  # (chains, draws, D)
    values = kernel.density.constrained(z)
    r_hat, effective = diagnose(values)
    leaves = torch.stack([i.leaves for i in kernel.iterations], 1).long().cpu()
    kept = kernel.iterations[run.num_warmup :]
    return values, SamplerStats(
        num_chains=run.num_chains,
        num_warmup=run.num_warmup,
        num_samples=run.num_samples,
        step_size=kernel.step_size,
        leapfrog_steps=leaves,
        mean_acceptance=kernel.mean_acceptance(),
        divergences=int(sum(i.diverged.sum() for i in kept)),
        at_max_depth=int((leaves[:, run.num_warmup :] >= 2**run.max_tree_depth - 1).sum()),
        iterations_per_second=run.iterations / (time.perf_counter() - started),
        r_hat=r_hat,
        effective=effective,
    )
