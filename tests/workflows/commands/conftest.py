"""What the tests of commands share that have nothing to do with what figures look like."""

from collections.abc import Iterator

import pytest
from blank_figures import blank_figures


@pytest.fixture(scope="module")
def figures_left_blank() -> Iterator[None]:
    with blank_figures():
        yield
