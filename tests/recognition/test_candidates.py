"""Circles that may be droplets."""

import numpy as np
import torch

from pyrodrop.detection.proposals import Proposals
from pyrodrop.recognition.candidates import Candidates


def test_candidates_are_in_the_order_of_their_places_however_likely_they_are() -> None:
    """Equally sure ones would change places by the last digit, and with them what is drawn of them."""
    circles = torch.tensor([[5.0, 9.0, 2.0], [8.0, 3.0, 4.0], [2.0, 3.0, 1.0]], dtype=torch.float64)
    ones = torch.ones(3, dtype=torch.float64)
    presence = torch.tensor([0.99, 0.5, 0.9], dtype=torch.float64)
    made = Candidates.of_proposals(Proposals(circles, 0.2 * circles, presence, ones, ones, ones))
    assert made.y.tolist() == [3.0, 3.0, 9.0]
    assert made.x.tolist() == [2.0, 8.0, 5.0]
    assert made.proposed.tolist() == [0.9, 0.5, 0.99]
    np.testing.assert_allclose(made.sd[:, 2], 0.2)
