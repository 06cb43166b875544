"""Shapes that are written with jaxtyping are checked in the tests, after what a function refuses itself."""

import pytest
import torch
from checked_shapes import check
from jaxtyping import Float, TypeCheckError, jaxtyped
from torch import Tensor


@jaxtyped(typechecker=check)
def added(x: Float[Tensor, " n"], y: Float[Tensor, " n"], times: float = 1.0) -> Float[Tensor, " n"]:
    """A sum that refuses negative factors."""
    if times < 0.0:
        raise ValueError("times is negative")
    return times * (x + y)


@jaxtyped(typechecker=check)
def halved(x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """What claims to keep the shape and does not."""
    return x[: len(x) // 2]


def test_a_call_whose_shapes_agree_is_let_through() -> None:
    assert added(torch.ones(2), torch.ones(2), times=2).tolist() == [4.0, 4.0]


def test_shapes_that_do_not_agree_are_seen() -> None:
    with pytest.raises(TypeCheckError):
        added(torch.ones(2), torch.ones(1))
    with pytest.raises(TypeCheckError):
        added(torch.ones(2, dtype=torch.int32), torch.ones(2))
    with pytest.raises(TypeCheckError):
        halved(torch.ones(4))


def test_what_a_function_refuses_it_refuses_itself() -> None:
    with pytest.raises(ValueError, match="negative"):
        added(torch.ones(2), torch.ones(1), times=-1.0)
