"""NUTS with chains as a batch dimension: a kernel for Pyro's ``MCMC``, adapted by Pyro's ``WarmupAdapter``."""

import os
import warnings
from collections import OrderedDict
from typing import Any, NamedTuple

import torch
from pyro.infer.mcmc.adaptation import BlockMassMatrix, WarmupAdapter
from pyro.infer.mcmc.mcmc_kernel import MCMCKernel
from pyro.ops.welford import WelfordCovariance
from torch import Tensor

from pyrodrop.inference.density import Density
from pyrodrop.inference.transitions import Noise, Transitions
from pyrodrop.inference.trees import Edge, Proposal, kinetic, leapfrog
from pyrodrop.inference.whitening import Whitened

_FLAT = ("z",)


class Iteration(NamedTuple):
    """What one transition did in each chain: leaves, mean acceptance, divergence and step size.

    ``leaves`` (C,), the number of leapfrog steps that count; ``acceptance`` (C,); ``diverged`` (C,) bool;
    ``step_size`` a float, the same for all chains.
    """

    leaves: Tensor
    acceptance: Tensor
    diverged: Tensor
    step_size: float


class _WithinChains(WelfordCovariance):
    """Welford's variances of each chain around its own mean, pooled over the chains.

    Between-chain variance is left out: chains in different modes would otherwise be given steps as wide as the
    distance between the modes. With one chain this is Pyro's own estimate.
    """

    def get_covariance(self, regularize: bool = True) -> Tensor:
        each: Tensor = super().get_covariance(regularize=False)
        pooled = each.mean(0)
        if not regularize:
            return pooled
        n = self.n_samples * each.shape[0]
        return (n * pooled + 1e-3 * 5.0) / (n + 5.0)  # Stan's shrinkage, as in Pyro


class _PooledMassMatrix(BlockMassMatrix):
    """Pyro's diagonal mass matrix, learnt from all chains: ``update`` takes z of shape (C, D)."""

    def configure(self, *args: Any, **kwargs: Any) -> None:
        super().configure(*args, **kwargs)
        for names in self._adapt_scheme:
            self._adapt_scheme[names] = _WithinChains(diagonal=True)

    def update(self, z: dict[str, Tensor], z_grad: dict[str, Tensor] | None) -> None:
        self._adapt_scheme[_FLAT].update(z["z"])


def pooled_acceptance(acceptance: Tensor) -> Tensor:
    """Harmonic mean over the chains of their acceptance (C,), each counted as at least 0.02.

    With the arithmetic mean, a step size that suits most chains leaves one that started far out stuck for ever; the
    harmonic mean shrinks the step until all move (Hoffman, Radul and Sountsov, "An adaptive-MCMC scheme for setting
    trajectory lengths in Hamiltonian Monte Carlo", AISTATS 2021). With one chain it is that chain's acceptance.
    """
    if acceptance.shape[0] == 1:
        return acceptance[0]
    return acceptance.clamp(min=0.02).reciprocal().mean().reciprocal()


class NUTS(MCMCKernel):
    """No-U-Turn sampler over a flat density, for ``pyro.infer.MCMC``; all chains advance together.

    Give it to ``MCMC`` with that class's own ``num_chains`` left at 1: what it calls one sample, the tensor
    ``"z"`` of shape (C, D), holds C chains. ``density.constrained`` turns draws into values of the sites. The step
    size (dual averaging) and the diagonal mass matrix (Stan's windows) are Pyro's, learnt from all chains.

    Args:
        density: of D numbers; of a ``Whitened`` one, positions and mass matrix here are those of w.
        num_chains: C.
        seed: of all random numbers; the global generators are not touched.
        target_accept: mean acceptance that the step size is adapted to.
        max_tree_depth: a transition takes fewer than 2 ** max_tree_depth leapfrog steps.
        initial: positions in unconstrained space, (D,) or (C, D); by default uniform in (-2, 2).
        inverse_mass: diagonal (D,) to start the adaptation from, such as a guide's variances; by default ones.
        step_size: where the search for the first step size starts.
        compiled: run the tree's graphs through torch's compiler.
    """

    def __init__(
        self,
        density: Density | Whitened,
        *,
        num_chains: int = 1,
        seed: int = 0,
        target_accept: float = 0.8,
        max_tree_depth: int = 10,
        initial: Tensor | None = None,
        inverse_mass: Tensor | None = None,
        step_size: float = 1.0,
        compiled: bool = False,
    ) -> None:
        if num_chains < 1 or max_tree_depth < 1 or not 0.0 < target_accept < 1.0:
            raise ValueError(
                "expected num_chains >= 1, max_tree_depth >= 1 and 0 < target_accept < 1; "
                f"got {num_chains}, {max_tree_depth} and {target_accept}"
            )
        self.density = density
        self.num_chains = num_chains
        self.noise = Noise(seed, num_chains, density.dtype, density.device)
        self.transforms: dict[str, Any] = {}
        self.iterations: list[Iteration] = []
        self.warmup_steps = 0
        self.max_tree_depth = max_tree_depth
        self._initial = initial
        self._start: Tensor | None = None
        self._process = os.getpid()
        self._inverse_mass = inverse_mass
        self._like: dict[str, Any] = {"dtype": density.dtype, "device": density.device}
        self._adapter = WarmupAdapter(step_size, True, target_accept, True)
        self._adapter.mass_matrix_adapter = _PooledMassMatrix()
        self._at: Proposal | None = None
        self._accepted = (0.0, 0)
        self._transition = Transitions(density, num_chains, max_tree_depth, compiled)

    @property
    def step_size(self) -> float:
        """The current step size."""
        return float(self._adapter.step_size)

    @property
    def inverse_mass(self) -> Tensor:
        """The diagonal of the current inverse mass matrix, shape (D,)."""
        return self._adapter.mass_matrix_adapter.inverse_mass_matrix[_FLAT]

    @property
    def initial_params(self) -> dict[str, Tensor]:
        """Where the chains start: ``{"z": (C, D)}``."""
        if self._start is None:
            self._start = self._checked_start()
        return {"z": self._start}

    @initial_params.setter
    def initial_params(self, params: dict[str, Tensor]) -> None:
        self._initial = params["z"]

    @torch.no_grad()
    def setup(self, warmup_steps: int, *args: Any, **kwargs: Any) -> None:
        """Start afresh with ``warmup_steps`` iterations of adaptation; the model's arguments stand in the density.

        Raises:
            ValueError: where the chains have no finite density to start from, or shapes do not fit.
        """
        if os.getpid() != self._process:
            raise ValueError("give num_chains to this kernel, not to MCMC: its workers would all draw the same numbers")
        self.warmup_steps = warmup_steps
        self.iterations = []
        self._accepted = (0.0, 0)
        self._start = self._checked_start()
        self._at = self._transition.evaluate(self._start)
        self._adapter.configure(
            warmup_steps,
            mass_matrix_shape={_FLAT: (self.density.size,)},
            find_reasonable_step_size_fn=self._reasonable_step_size,
            options=self._like,
        )
        if self._inverse_mass is not None:
            diagonal = self._inverse_mass.to(**self._like).clone()
            if diagonal.shape != (self.density.size,) or not bool((diagonal > 0).all()):
                raise ValueError(
                    f"expected a positive inverse mass of shape ({self.density.size},), got {tuple(diagonal.shape)}"
                )
            self._adapter.mass_matrix_adapter.inverse_mass_matrix = {_FLAT: diagonal}
        self._adapter.reset_step_size_adaptation({"z": self._start})

    @torch.no_grad()
    def sample(self, params: dict[str, Tensor]) -> dict[str, Tensor]:
        """One transition of every chain, and of the adaptation during warm-up."""
        z = params["z"]
        start = self._at if self._at is not None and self._at.z is z else self._transition.evaluate(z)
        step_size = self.step_size
        self._at, subtree = self._transition(start, step_size, self.inverse_mass, self.noise)
        acceptance = subtree.acceptance / subtree.leaves
        done = len(self.iterations)
        self.iterations.append(Iteration(subtree.leaves, acceptance, subtree.diverged, step_size))
        mean = acceptance.mean()
        total, count = self._accepted if done != self.warmup_steps else (0.0, 0)
        self._accepted = (total + float(mean), count + 1)
        params = {"z": self._at.z}
        self._adapter.step(done, params, pooled_acceptance(acceptance))
        return params

    def logging(self) -> "OrderedDict[str, str]":
        """Step size and mean acceptance since warm-up began or ended, for Pyro's progress bar."""
        return OrderedDict([("step size", f"{self.step_size:.2e}"), ("acc. prob", f"{self.mean_acceptance():.3f}")])

    def mean_acceptance(self) -> float:
        """Mean acceptance over the chains and the iterations of the present phase."""
        total, count = self._accepted
        return total / count if count else float("nan")

    def diagnostics(self) -> dict[str, Any]:
        """For ``MCMC.diagnostics``: by chain, the iterations after warm-up that diverged, and the acceptance."""
        kept = self.iterations[self.warmup_steps :]
        return {
            "divergences": {c: [n for n, i in enumerate(kept) if bool(i.diverged[c])] for c in range(self.num_chains)},
            "acceptance rate": self.mean_acceptance(),
        }

    def _finite(self, at: Proposal) -> Tensor:
        return at.value.isfinite() & at.grad.isfinite().all(-1)

    def _checked_start(self) -> Tensor:
        if self._initial is None:
            return self._uniform_start()
        shape = (self.num_chains, self.density.size)
        z = self._initial.to(**self._like)
        if z.shape not in (shape, shape[1:]):
            raise ValueError(f"expected initial positions of shape {shape} or {shape[1:]}, got {tuple(z.shape)}")
        z = z.expand(shape).clone()
        if not bool(self._finite(self._transition.evaluate(z)).all()):
            raise ValueError("the log density or its gradient is not finite at the initial positions")
        return z

    def _uniform_start(self, tries: int = 100) -> Tensor:
        size = self.density.size
        z = (4.0 * self.noise.uniform(size) - 2.0).T.contiguous()
        for _ in range(tries):
            finite = self._finite(self._transition.evaluate(z))
            if bool(finite.all()):
                return z
            z = torch.where(finite[:, None], z, (4.0 * self.noise.uniform(size) - 2.0).T)
        raise ValueError(f"no finite log density found in {tries} random starts; give initial positions")

    def _reasonable_step_size(self, z: dict[str, Tensor]) -> float:
        """Double or halve the step size until the mean acceptance of one step crosses 0.8, as Pyro's HMC does."""
        start, inverse_mass = self._transition.evaluate(z["z"]), self.inverse_mass
        step_size, first = self.step_size, None
        while 1e-10 < step_size < 1e10:
            momentum = self.noise.normal(self.density.size) * inverse_mass.rsqrt()
            step = torch.full_like(start.value, step_size)[:, None]
            edge, value = leapfrog(self._gradient, Edge(start.z, momentum, start.grad), step, inverse_mass)
            error = kinetic(edge.momentum, inverse_mass) - value - kinetic(momentum, inverse_mass) + start.value
            accepted = torch.exp(-error.nan_to_num(nan=torch.inf, posinf=torch.inf)).clamp(max=1.0)
            larger = bool(pooled_acceptance(accepted) > 0.8)
            if first is None:
                first = larger
            elif first != larger:
                return step_size
            step_size *= 2.0 if larger else 0.5
        warnings.warn("no step size gives a reasonable acceptance; the density may be improper", stacklevel=2)
        return float(min(max(step_size, 1e-10), 1e10))

    def _gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        at = self._transition.evaluate(z)
        return at.value, at.grad
