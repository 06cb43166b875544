"""One No-U-Turn transition of many chains, as a loop over captured graphs."""

from typing import Any

import torch
from torch import Tensor

from pyrodrop.inference.density import Density, capture
from pyrodrop.inference.graphs import compile_graph
from pyrodrop.inference.trees import Edge, Proposal, Subtree, Tree, check, checkpoints, grow, kinetic, merge
from pyrodrop.inference.whitening import Whitened

# Places in a subtree's flat tuple that the loop below reads.
_MOMENTUM, _MOMENTUM_SUM, _GROWING = 1, 6, 10


class Noise:
    """The random numbers of the chains, from a generator of their own."""

    def __init__(self, seed: int, num_chains: int, dtype: torch.dtype, device: torch.device) -> None:
        self._generator = torch.Generator(device=device).manual_seed(seed)
        self._chains = num_chains
        self._like: dict[str, Any] = {"dtype": dtype, "device": device, "generator": self._generator}

    def normal(self, size: int) -> Tensor:
        """Standard normal numbers (C, size)."""
        return torch.randn(self._chains, size, **self._like)

    def uniform(self, count: int) -> Tensor:
        """Uniform numbers in [0, 1), shape (count, C)."""
        return torch.rand(count, self._chains, **self._like)


class Transitions:
    """Grows the trees of C chains over a density; the chains double together, and stop when the last one has.

    Args:
        density: of D numbers.
        num_chains: C.
        max_depth: of the trees.
        compiled: run the graphs through torch's compiler.
    """

    def __init__(self, density: Density | Whitened, num_chains: int, max_depth: int, compiled: bool) -> None:
        self.density = density
        self._depth = max_depth
        like: dict[str, Any] = {"dtype": density.dtype, "device": density.device}
        self._momenta = torch.zeros(max_depth, num_chains, density.size, **like)
        self._sums = torch.zeros_like(self._momenta)
        places = torch.arange(max_depth, device=density.device)
        self._used = {(a, b): (places >= a) & (places <= b) for b in range(max_depth) for a in range(b + 1)}
        with torch.no_grad():
            self._capture(torch.zeros(num_chains, density.size, **like), compiled)

    def evaluate(self, z: Tensor) -> Proposal:
        """Log density and gradient at z of shape (C, D)."""
        return Proposal(z, *self._value_and_grad(z, *self.density.tensors))

    def __call__(
        self, start: Proposal, step_size: float, inverse_mass: Tensor, noise: Noise
    ) -> tuple[Proposal, Subtree]:
        """Grow a tree from ``start`` in every chain.

        Args:
            start: where the chains are.
            step_size: of the leapfrog steps, the same for all chains.
            inverse_mass: (D,), of the diagonal mass matrix.
            noise: the chains' random numbers.

        Returns:
            The next draws, and a subtree that holds the account of the leaves.
        """
        tensors = self.density.tensors
        momentum = noise.normal(self.density.size) * inverse_mass.rsqrt()
        energy = kinetic(momentum, inverse_mass) - start.value
        tree, subtree = _roots(start, momentum)
        decisions = noise.uniform(2 * self._depth + 1)
        forward = decisions[self._depth :] < 0.5
        steps = torch.where(forward, step_size, -step_size)[..., None].unbind()
        directions = forward.unbind()
        for depth, accept in enumerate(decisions[: self._depth].unbind()):
            for leaf, uniform in enumerate(noise.uniform(2**depth).unbind()):
                first, last = checkpoints(leaf)
                shared = (*subtree, steps[depth], inverse_mass, energy, uniform)
                if leaf % 2:
                    used = self._used[first, last]
                    subtree = self._grow_and_check(*shared, self._momenta, self._sums, used, *tensors)
                else:
                    subtree = self._grow(*shared, *tensors)
                    self._momenta[last] = subtree[_MOMENTUM]
                    self._sums[last] = subtree[_MOMENTUM_SUM]
                # Not after each leaf, for the host waits for a device that it asks: a chain that has diverged takes one
                # leaf in vain, and after the last one the tree is looked at.
                if leaf % 2 and leaf + 1 < 2**depth and not subtree[_GROWING].any():
                    break
            tree, subtree = self._merge(*tree, *subtree, directions[depth], accept, inverse_mass, directions[depth + 1])
            if not subtree[_GROWING].any():
                break
        return _tree(tree).proposal, _subtree(subtree)

    def _capture(self, matrix: Tensor, compiled: bool) -> None:
        row, mass = matrix[:, 0], torch.ones_like(matrix[0])
        flag, step = torch.ones_like(row, dtype=torch.bool), torch.ones_like(row)[:, None]
        tree, subtree = _roots(Proposal(matrix, row, matrix), matrix)
        tensors = self.density.tensors
        # Pyro's handlers run once, here; the graphs below are traced through this one.
        value_and_grad = capture(self.density.value_and_grad, matrix, *tensors)

        def plain_grow(*flat: Tensor) -> tuple[Tensor, ...]:
            return _flat(grow(lambda z: value_and_grad(z, *flat[16:]), _subtree(flat[:12]), *flat[12:16]))

        def grow_and_check(*flat: Tensor) -> tuple[Tensor, ...]:
            grown = grow(lambda z: value_and_grad(z, *flat[19:]), _subtree(flat[:12]), *flat[12:16])
            return _flat(check(grown, flat[13], *flat[16:19]))

        def join(*flat: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
            joined, following = merge(_tree(flat[:11]), _subtree(flat[11:23]), *flat[23:])
            return (*joined.left, *joined.right, *joined.proposal, *joined[3:]), _flat(following)

        graph = compile_graph if compiled else capture
        shared = (*subtree, step, mass, row, row)
        checks = (self._momenta, self._sums, self._used[0, 0])
        self._value_and_grad = value_and_grad
        self._grow = graph(plain_grow, *shared, *tensors)
        self._grow_and_check = graph(grow_and_check, *shared, *checks, *tensors)
        self._merge = graph(join, *tree, *subtree, flag, row, mass, flag)


def _roots(start: Proposal, momentum: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The tree of one leaf and the empty subtree beside it, flat; no two tensors are one object (see capture)."""
    zero = torch.zeros_like(start.value)
    edge = (start.z, momentum, start.grad)
    tree = (*edge, *edge, *start, momentum, zero)
    growing = torch.ones_like(zero, dtype=torch.bool)
    subtree = (*edge, *start, torch.zeros_like(momentum), zero - torch.inf, zero, zero, growing, ~growing)
    return tuple(t.clone() for t in tree), tuple(t.clone() for t in subtree)


def _flat(s: Subtree) -> tuple[Tensor, ...]:
    return (*s.edge, *s.proposal, *s[2:])


def _subtree(flat: tuple[Tensor, ...]) -> Subtree:
    return Subtree(Edge(*flat[:3]), Proposal(*flat[3:6]), *flat[6:12])


def _tree(flat: tuple[Tensor, ...]) -> Tree:
    return Tree(Edge(*flat[:3]), Edge(*flat[3:6]), Proposal(*flat[6:9]), *flat[9:11])
