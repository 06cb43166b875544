"""The tree of a transition: leaf order, U-turns and the leapfrog against what they are defined by."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pyrodrop.inference.trees import Edge, checkpoints, kinetic, leapfrog, turns


def closed_subtrees(leaf: int) -> list[int]:
    """First leaves of the balanced subtrees that end with this leaf, by recursion on the definition."""
    firsts, size = [], 2
    while (leaf + 1) % size == 0:
        firsts.append(leaf + 1 - size)
        size *= 2
    return firsts


def test_checkpoints_hold_the_first_leaves_of_all_subtrees_that_a_leaf_closes() -> None:
    stored: dict[int, int] = {}
    for leaf in range(1024):
        first, last = checkpoints(leaf)
        if leaf % 2 == 0:
            stored[last] = leaf
        else:
            compared = sorted(stored[k] for k in range(first, last + 1))
            assert compared == sorted(closed_subtrees(leaf))


def quadratic(z: Tensor) -> tuple[Tensor, Tensor]:
    return -0.5 * (z * z).sum(-1), -z


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), step=st.floats(0.01, 1.0))
def test_the_leapfrog_is_reversible_and_keeps_the_energy_to_second_order(seed: int, step: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    z, p = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64)
    mass = torch.rand(4, generator=generator, dtype=torch.float64) + 0.5
    start = Edge(z, p, quadratic(z)[1])
    steps = torch.full((3, 1), step, dtype=torch.float64)
    edge, _ = leapfrog(quadratic, start, steps, mass)
    back, _ = leapfrog(quadratic, edge, -steps, mass)
    torch.testing.assert_close(back.z, start.z, rtol=0, atol=1e-12)
    torch.testing.assert_close(back.momentum, start.momentum, rtol=0, atol=1e-12)

    def energy_error(h: float) -> Tensor:
        moved, value = leapfrog(quadratic, start, torch.full((3, 1), h, dtype=torch.float64), mass)
        return kinetic(moved.momentum, mass) - value - kinetic(p, mass) + quadratic(z)[0]

    assert (energy_error(1e-3).abs() < 1e-4).all()


def test_a_trajectory_turns_once_it_has_gone_half_round_a_circle() -> None:
    mass = torch.ones(2, dtype=torch.float64)
    for angle, turned in ((0.5, False), (3.0, False), (3.5, True)):
        t = torch.linspace(0.0, angle, 1001, dtype=torch.float64)
        momenta = torch.stack([-t.sin(), t.cos()], -1)
        assert bool(turns(momenta[0], momenta[-1], momenta.sum(0), mass)) is turned


@pytest.mark.parametrize("mass", [0.25, 4.0])
def test_the_kinetic_energy_is_the_quadratic_form_of_the_inverse_mass(mass: float) -> None:
    p = torch.tensor([[1.0, 2.0, 2.0]])
    assert kinetic(p, torch.full((3,), mass)).item() == pytest.approx(0.5 * mass * 9.0)
