"""What draws say of themselves."""

import math

import pytest
import torch

from pyrodrop.inference.draws import diagnose


def test_draws_that_alternate_have_a_positive_effective_size() -> None:
    noise = torch.randn(2, 100, generator=torch.Generator().manual_seed(0))
    alternating = torch.tensor([1.0, -1.0]).repeat(50) + 0.1 * noise
    _, effective = diagnose({"a": alternating})
    assert float(effective["a"]) == pytest.approx(200 * math.log10(200))
