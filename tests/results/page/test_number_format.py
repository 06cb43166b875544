"""Numbers as a person reads them."""

import pytest

from pyrodrop.results.page.number_format import digits


@pytest.mark.parametrize(
    ("value", "shown"), [(46.5461, "46.5"), (0.0, "0"), (1e-13, "0"), (1.0234, "1.02"), (2e-5, "0.0000200")]
)
def test_digits_are_few_and_a_vanishing_number_is_0(value: float, shown: str) -> None:
    assert digits(value) == shown
