"""A climb ends on the top, also where it looks beyond what can be computed."""

from typing import Any, cast

import pytest
import torch
from torch import Tensor

from pyrodrop.inference.climb import Slope, climb


class Cliff:
    """Log density -100 (z - 0.9)^2, which past 1 has a covariance that is none."""

    def __init__(self) -> None:
        self.fell = 0

    def at(self, z: Tensor) -> tuple[float, Tensor]:
        if float(z[0]) > 1:
            self.fell += 1
            torch.linalg.cholesky(torch.tensor([[1.0, 2.0], [2.0, 1.0]]))
        return float(-100 * (z - 0.9).square().sum()), -200 * (z - 0.9)


@pytest.mark.parametrize("factor", [torch.ones(1, dtype=torch.float64), torch.eye(1, dtype=torch.float64)])
def test_past_a_covariance_that_is_none_a_climb_turns_back(factor: Tensor) -> None:
    cliff = Cliff()
    end = climb(cast(Slope, cast(Any, cliff)), torch.tensor([0.5], dtype=torch.float64), factor)
    assert cliff.fell
    assert float(end[0]) == pytest.approx(0.9, abs=1e-3)
