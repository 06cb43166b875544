"""NUTS with chains as a batch dimension: a kernel for Pyro's ``MCMC``, adapted by Pyro's ``WarmupAdapter``."""

import os
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from pyro.infer.mcmc.adaptation import BlockMassMatrix, WarmupAdapter
from pyro.infer.mcmc.mcmc_kernel import MCMCKernel
from pyro.ops.welford import WelfordCovariance
from torch import Tensor

from pyrodrop.inference.density import Density, capture
from pyrodrop.inference.graphs import compile_graph
from pyrodrop.inference.trees import (
    Edge,
    Proposal,
    Subtree,
    Tree,
    check,
    checkpoints,
    grow,
    kinetic,
    leapfrog,
    merge,
)

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


class Noise:
    """The random numbers of the chains, from a generator of their own."""

    def __init__(self, seed: int, num_chains: int, dtype: torch.dtype, device: torch.device) -> None:
        self._generator = torch.Generator(device=device).manual_seed(seed)
        self._chains = num_chains
        self._like = {"dtype": dtype, "device": device, "generator": self._generator}

    def normal(self, size: int) -> Tensor:
        """Standard normal numbers (C, size)."""
        return torch.randn(self._chains, size, **self._like)

    def uniform(self, count: int) -> Tensor:
        """Uniform numbers in [0, 1), shape (count, C)."""
        return torch.rand(count, self._chains, **self._like)


class _WithinChains(WelfordCovariance):  # type: ignore[misc]  # Pyro has no types
    """Welford's variances of each chain around its own mean, pooled over the chains.

    Between-chain variance is left out: chains in different modes would otherwise be given steps as wide as the
    distance between the modes. With one chain this is Pyro's own estimate.
    """

    def get_covariance(self, regularize: bool = True) -> Tensor:
        pooled: Tensor = super().get_covariance(regularize=False).mean(0)
        if not regularize:
            return pooled
        n = self.n_samples * self._mean.shape[0]
        return (n * pooled + 1e-3 * 5.0) / (n + 5.0)  # Stan's shrinkage, as in Pyro


class _PooledMassMatrix(BlockMassMatrix):  # type: ignore[misc]
    """Pyro's diagonal mass matrix, learnt from all chains: ``update`` takes z of shape (C, D)."""

    def configure(self, *args: Any, **kwargs: Any) -> None:
        super().configure(*args, **kwargs)
        for names in self._adapt_scheme:
            self._adapt_scheme[names] = _WithinChains(diagonal=True)

    def update(self, z: dict[str, Tensor], z_grad: dict[str, Tensor] | None) -> None:
        self._adapt_scheme[_FLAT].update(z["z"])


class NUTS(MCMCKernel):  # type: ignore[misc]
    """No-U-Turn sampler over a flat density, for ``pyro.infer.MCMC``; all chains advance together.

    Give it to ``MCMC`` with that class's own ``num_chains`` left at 1: what it calls one sample, the tensor
    ``"z"`` of shape (C, D), holds C chains. ``density.constrained`` turns draws into values of the sites. The step
    size (dual averaging) and the diagonal mass matrix (Stan's windows) are Pyro's, learnt from all chains.

    Args:
        density: of D numbers.
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
        density: Density,
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
        self._like = {"dtype": density.dtype, "device": density.device}
        self._adapter = WarmupAdapter(step_size, True, target_accept, True)
        self._adapter.mass_matrix_adapter = _PooledMassMatrix()
        self._at: Proposal | None = None
        self._accepted = (0.0, 0)
        with torch.no_grad():
            self._trace_graphs(compiled)

    @property
    def step_size(self) -> float:
        """The current step size."""
        return float(self._adapter.step_size)

    @property
    def inverse_mass(self) -> Tensor:
        """The diagonal of the current inverse mass matrix, shape (D,)."""
        return self._adapter.mass_matrix_adapter.inverse_mass_matrix[_FLAT]  # type: ignore[no-any-return]

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
            raise ValueError("give num_chains to this kernel and leave MCMC's at 1: its workers would draw the same numbers")
        self.warmup_steps = warmup_steps
        self.iterations = []
        self._accepted = (0.0, 0)
        self._start = self._checked_start()
        self._at = self._evaluate(self._start)
        self._adapter.configure(
            warmup_steps,
            mass_matrix_shape={_FLAT: (self.density.size,)},
            find_reasonable_step_size_fn=self._reasonable_step_size,
            options=self._like,
        )
        if self._inverse_mass is not None:
            given = self._inverse_mass.to(**self._like).clone()
            if given.shape != (self.density.size,) or not bool((given > 0).all()):
                raise ValueError(
                    f"expected a positive inverse mass of shape ({self.density.size},), got {tuple(given.shape)}"
                )
            self._adapter.mass_matrix_adapter.inverse_mass_matrix = {_FLAT: given}
        self._adapter.reset_step_size_adaptation({"z": self._start})

    @torch.no_grad()
    def sample(self, params: dict[str, Tensor]) -> dict[str, Tensor]:
        """One transition of every chain, and of the adaptation during warm-up."""
        z = params["z"]
        start = self._at if self._at is not None and self._at.z is z else self._evaluate(z)
        step_size = self.step_size
        self._at, subtree = self.transition(start, step_size)
        acceptance = subtree.acceptance / subtree.leaves
        done = len(self.iterations)
        self.iterations.append(Iteration(subtree.leaves, acceptance, subtree.diverged, step_size))
        mean = acceptance.mean()
        total, count = self._accepted if done != self.warmup_steps else (0.0, 0)
        self._accepted = (total + float(mean), count + 1)
        params = {"z": self._at.z}
        self._adapter.step(done, params, mean)
        return params

    def transition(self, start: Proposal, step_size: float) -> tuple[Proposal, Subtree]:
        """Grow a tree from ``start`` in every chain: the next draws, and the account of the leaves."""
        inverse_mass, tensors = self.inverse_mass, self.density.tensors
        momentum = self.noise.normal(self.density.size) * inverse_mass.rsqrt()
        energy = kinetic(momentum, inverse_mass) - start.value
        edge = Edge(start.z, momentum, start.grad)
        zero = torch.zeros_like(energy)
        tree = (*edge, *(t.clone() for t in edge), *(t.clone() for t in start), momentum.clone(), zero)
        subtree = (
            *(t.clone() for t in edge),
            *(t.clone() for t in start),
            torch.zeros_like(momentum),
            zero - torch.inf,
            zero.clone(),
            zero.clone(),
            torch.ones_like(zero, dtype=torch.bool),
            torch.zeros_like(zero, dtype=torch.bool),
        )
        decisions = self.noise.uniform(2 * self.max_tree_depth + 1)
        directions = (decisions[self.max_tree_depth :] < 0.5).unbind()
        steps = torch.where(decisions[self.max_tree_depth :] < 0.5, step_size, -step_size)[..., None].unbind()
        for depth, accept in enumerate(decisions[: self.max_tree_depth].unbind()):
            for leaf, uniform in enumerate(self.noise.uniform(2**depth).unbind()):
                first, last = checkpoints(leaf)
                given = (*subtree, steps[depth], inverse_mass, energy, uniform)
                if leaf % 2:
                    used = self._used[first, last]
                    subtree = self._grow_and_check(*given, self._momenta, self._sums, used, *tensors)
                else:
                    subtree = self._grow(*given, *tensors)
                    self._momenta[last] = subtree[1]
                    self._sums[last] = subtree[6]
                if not subtree[10].any():
                    break
            tree, subtree = self._merge(
                *tree, *subtree, directions[depth], accept, inverse_mass, directions[depth + 1]
            )
            if not subtree[10].any():
                break
        return _tree(tree).proposal, _subtree(subtree)

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

    def _trace_graphs(self, compiled: bool) -> None:
        density, chains, depth = self.density, self.num_chains, self.max_tree_depth
        tensors = density.tensors
        matrix = torch.zeros(chains, density.size, **self._like)
        row = torch.zeros(chains, **self._like)
        flag = torch.ones(chains, dtype=torch.bool, device=density.device)
        mass, step = torch.ones(density.size, **self._like), torch.ones(chains, 1, **self._like)
        subtree = (*[matrix] * 3, matrix, row, matrix, matrix, row, row, row, flag, flag)
        tree = (*[matrix] * 3, *[matrix] * 3, matrix, row, matrix, matrix, row)
        self._momenta = torch.zeros(depth, chains, density.size, **self._like)
        self._sums = torch.zeros_like(self._momenta)
        places = torch.arange(depth, device=density.device)
        self._used = {(a, b): (places >= a) & (places <= b) for b in range(depth) for a in range(b + 1)}

        def plain_grow(*flat: Tensor) -> tuple[Tensor, ...]:
            z = _given(density, flat[16:])
            return _flat(grow(z, _subtree(flat[:12]), *flat[12:16]))

        def grow_and_check(*flat: Tensor) -> tuple[Tensor, ...]:
            z = _given(density, flat[19:])
            grown = grow(z, _subtree(flat[:12]), *flat[12:16])
            return _flat(check(grown, flat[13], *flat[16:19]))

        def join(*flat: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
            joined, following = merge(_tree(flat[:11]), _subtree(flat[11:23]), *flat[23:])
            return (*joined.left, *joined.right, *joined.proposal, *joined[3:]), _flat(following)

        graph = compile_graph if compiled else capture
        example = (*subtree, step, mass, row, row)
        self._value_and_grad = capture(density.value_and_grad, matrix, *tensors)
        self._grow = graph(plain_grow, *example, *tensors)
        checks = (self._momenta, self._sums, places > 0)
        self._grow_and_check = graph(grow_and_check, *example, *checks, *tensors)
        self._merge: Callable[..., Any] = graph(join, *tree, *subtree, flag, row, mass, flag)

    def _evaluate(self, z: Tensor) -> Proposal:
        return Proposal(z, *self._value_and_grad(z, *self.density.tensors))

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
        if not bool(self._finite(self._evaluate(z)).all()):
            raise ValueError("the log density or its gradient is not finite at the initial positions")
        return z

    def _uniform_start(self, tries: int = 100) -> Tensor:
        size = self.density.size
        z = (4.0 * self.noise.uniform(size) - 2.0).T.contiguous()
        for _ in range(tries):
            finite = self._finite(self._evaluate(z))
            if bool(finite.all()):
                return z
            z = torch.where(finite[:, None], z, (4.0 * self.noise.uniform(size) - 2.0).T)
        raise ValueError(f"no finite log density found in {tries} random starts; give initial positions")

    def _reasonable_step_size(self, z: dict[str, Tensor]) -> float:
        """Double or halve the step size until the mean acceptance of one step crosses 0.8, as Pyro's HMC does."""
        start, inverse_mass = self._evaluate(z["z"]), self.inverse_mass
        step_size, first = self.step_size, None
        while 1e-10 < step_size < 1e10:
            momentum = self.noise.normal(self.density.size) * inverse_mass.rsqrt()
            step = torch.full_like(start.value, step_size)[:, None]
            edge, value = leapfrog(self._gradient, Edge(start.z, momentum, start.grad), step, inverse_mass)
            error = kinetic(edge.momentum, inverse_mass) - value - kinetic(momentum, inverse_mass) + start.value
            accepted = torch.exp(-error.nan_to_num(nan=torch.inf, posinf=torch.inf)).clamp(max=1.0).mean()
            larger = bool(accepted > 0.8)
            if first is None:
                first = larger
            elif first != larger:
                return step_size
            step_size *= 2.0 if larger else 0.5
        warnings.warn("no step size gives a reasonable acceptance; the density may be improper", stacklevel=2)
        return float(min(max(step_size, 1e-10), 1e10))

    def _gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        at = self._evaluate(z)
        return at.value, at.grad


def _given(density: Density, tensors: tuple[Tensor, ...]) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    return lambda z: density.value_and_grad(z, *tensors)


def _flat(s: Subtree) -> tuple[Tensor, ...]:
    return (*s.edge, *s.proposal, *s[2:])  # type: ignore[arg-type]


def _subtree(flat: tuple[Tensor, ...]) -> Subtree:
    return Subtree(Edge(*flat[:3]), Proposal(*flat[3:6]), *flat[6:12])


def _tree(flat: tuple[Tensor, ...]) -> Tree:
    return Tree(Edge(*flat[:3]), Edge(*flat[3:6]), Proposal(*flat[6:9]), *flat[9:11])
