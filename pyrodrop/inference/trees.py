"""The tree of a No-U-Turn transition, grown leaf by leaf for many chains at once.

The algorithm is multinomial NUTS (Betancourt, "A conceptual introduction to Hamiltonian Monte Carlo", 2017,
appendix A) with biased progressive sampling between subtrees and the generalised U-turn check. A subtree is
built without recursion: leaf n of a subtree is compared with at most log2(n) earlier momenta that are kept as
checkpoints (Phan, Pradhan and Jankowiak, "Composable effects for flexible and accelerated probabilistic
programming in NumPyro", 2019; Lao and Dillon, "Unrolled implementation of No-U-Turn sampler", 2019).

All chains double their trees together, so a leaf has the same number n in every chain, and the places of the
checkpoints are ordinary Python integers. A chain that has stopped is carried along and masked.
Shapes: C chains, D numbers, K checkpoints. All functions here are pure and can be traced into a graph.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

MAX_ENERGY_ERROR = 1000.0
"""A leaf whose energy is this much above the start is a divergence (Stan's threshold)."""

ValueAndGrad = Callable[..., tuple[Tensor, Tensor]]


class Edge(NamedTuple):
    """A phase-space point: position, momentum and gradient of the log density, each (C, D)."""

    z: Tensor
    momentum: Tensor
    grad: Tensor


class Proposal(NamedTuple):
    """A candidate for the next draw: position (C, D), log density (C,) and its gradient (C, D)."""

    z: Tensor
    value: Tensor
    grad: Tensor


class Subtree(NamedTuple):
    """A subtree that grows from one edge of the tree.

    Attributes:
        edge: its newest leaf.
        proposal: drawn from its leaves in proportion to their weights.
        momentum_sum: (C, D), over its leaves.
        log_weight: (C,), log of the sum over its leaves of exp(H0 - H).
        acceptance: (C,), sum of min(1, exp(H0 - H)) over all leaves of the transition so far.
        leaves: (C,), how many those are.
        growing: (C,), whether the chain still grows.
        diverged: (C,), whether a leaf of the transition diverged.
    """

    edge: Edge
    proposal: Proposal
    momentum_sum: Tensor
    log_weight: Tensor
    acceptance: Tensor
    leaves: Tensor
    growing: Tensor
    diverged: Tensor


class Tree(NamedTuple):
    """The whole tree: its two edges, its proposal, the sum of its momenta (C, D) and its log weight (C,)."""

    left: Edge
    right: Edge
    proposal: Proposal
    momentum_sum: Tensor
    log_weight: Tensor


def leapfrog(value_and_grad: ValueAndGrad, edge: Edge, step: Tensor, inverse_mass: Tensor) -> tuple[Edge, Tensor]:
    """One leapfrog step of size ``step`` (C, 1), signed: the new edge and its log density (C,)."""
    half = edge.momentum + 0.5 * step * edge.grad
    z = edge.z + step * (inverse_mass * half)
    value, grad = value_and_grad(z)
    return Edge(z, half + 0.5 * step * grad, grad), value


def kinetic(momentum: Tensor, inverse_mass: Tensor) -> Tensor:
    """Kinetic energy p' M^-1 p / 2, shape (C,), of momenta (C, D) with a diagonal inverse mass (D,)."""
    return 0.5 * (inverse_mass * momentum * momentum).sum(-1)


def turns(first: Tensor, last: Tensor, momentum_sum: Tensor, inverse_mass: Tensor) -> Tensor:
    """Whether a stretch of trajectory from momentum ``first`` to ``last`` turns back: (..., D) to (...).

    Betancourt's generalised criterion, with half of both end momenta taken off the sum as in his appendix A.4.2:
    without it, independent Gaussians turn in resonance.
    """
    velocity = inverse_mass * (momentum_sum - 0.5 * (first + last))
    return ((velocity * first).sum(-1) <= 0) | ((velocity * last).sum(-1) <= 0)


def checkpoints(leaf: int) -> tuple[int, int]:
    """First and last checkpoint that leaf number ``leaf`` of a subtree is compared with, or written to if even.

    An even leaf is written to checkpoint ``last``, the number of ones in leaf // 2; an odd one closes as many
    subtrees as it has trailing ones, whose first leaves stand in ``first`` to ``last``.
    """
    last = (leaf >> 1).bit_count()
    closed = (leaf ^ (leaf + 1)).bit_count() - 1
    return last - closed + 1, last


def grow(
    value_and_grad: ValueAndGrad,
    subtree: Subtree,
    step: Tensor,
    inverse_mass: Tensor,
    start_energy: Tensor,
    uniform: Tensor,
) -> Subtree:
    """Add one leaf to a subtree, without a U-turn check.

    Args:
        value_and_grad: log density (C,) and gradient (C, D) at (C, D).
        subtree: to grow.
        step: (C, 1), negative for chains that go backwards.
        inverse_mass: (D,), of the diagonal mass matrix.
        start_energy: (C,), H0.
        uniform: (C,), random numbers in [0, 1).
    """
    edge, value = leapfrog(value_and_grad, subtree.edge, step, inverse_mass)
    error = kinetic(edge.momentum, inverse_mass) - value - start_energy
    error = torch.where(error.isnan(), torch.inf, error)
    log_weight = torch.logaddexp(subtree.log_weight, -error)
    chosen = uniform < torch.exp(-error - log_weight)
    growing = subtree.growing
    diverging = growing & (error > MAX_ENERGY_ERROR)
    return Subtree(
        edge=edge,
        proposal=_choose(chosen, Proposal(edge.z, value, edge.grad), subtree.proposal),
        momentum_sum=subtree.momentum_sum + edge.momentum,
        log_weight=log_weight,
        acceptance=subtree.acceptance + torch.where(growing, torch.exp(-error).clamp(max=1.0), 0.0),
        leaves=subtree.leaves + growing,
        growing=growing & ~diverging,
        diverged=subtree.diverged | diverging,
    )


def check(subtree: Subtree, inverse_mass: Tensor, momenta: Tensor, sums: Tensor, used: Tensor) -> Subtree:
    """Stop the chains whose newest leaf closes a stretch that turns back.

    Args:
        subtree: after an odd leaf.
        inverse_mass: (D,).
        momenta, sums: (K, C, D), momentum and momentum sum at each checkpoint.
        used: (K,), the checkpoints to compare with.
    """
    stretch = subtree.momentum_sum - sums + momenta
    turned = (turns(momenta, subtree.edge.momentum, stretch, inverse_mass) & used[:, None]).any(0)
    return subtree._replace(growing=subtree.growing & ~turned)


def merge(
    tree: Tree, subtree: Subtree, forward: Tensor, uniform: Tensor, inverse_mass: Tensor, next_forward: Tensor
) -> tuple[Tree, Subtree]:
    """Join a finished subtree to the tree, and open the next one at the edge that comes next.

    The subtree's proposal replaces the tree's with probability min(1, its weight / the tree's). Subtrees that
    diverged or turned back are dropped.

    Args:
        tree: of each chain.
        subtree: as large as the tree.
        forward: (C,), whether the subtree grew from the right edge.
        uniform: (C,), random numbers in [0, 1).
        inverse_mass: (D,).
        next_forward: (C,), the direction of the next subtree.
    """
    valid = subtree.growing
    chosen = valid & (uniform < torch.exp(subtree.log_weight - tree.log_weight))
    left = _pick(valid & ~forward, subtree.edge, tree.left)
    right = _pick(valid & forward, subtree.edge, tree.right)
    momentum_sum = torch.where(valid[:, None], tree.momentum_sum + subtree.momentum_sum, tree.momentum_sum)
    log_weight = torch.where(valid, torch.logaddexp(tree.log_weight, subtree.log_weight), tree.log_weight)
    turned = turns(left.momentum, right.momentum, momentum_sum, inverse_mass)
    proposal = _choose(chosen, subtree.proposal, tree.proposal)
    merged = Tree(left, right, proposal, momentum_sum, log_weight)
    following = subtree._replace(
        edge=_pick(next_forward, right, left),
        proposal=Proposal(*(t.clone() for t in proposal)),
        momentum_sum=torch.zeros_like(momentum_sum),
        log_weight=torch.full_like(log_weight, -torch.inf),
        growing=valid & ~turned,
    )
    return merged, following


def _pick(condition: Tensor, yes: Edge, no: Edge) -> Edge:
    return Edge(*(torch.where(condition[:, None], a, b) for a, b in zip(yes, no, strict=True)))


def _choose(condition: Tensor, yes: Proposal, no: Proposal) -> Proposal:
    return Proposal(
        torch.where(condition[:, None], yes.z, no.z),
        torch.where(condition, yes.value, no.value),
        torch.where(condition[:, None], yes.grad, no.grad),
    )
