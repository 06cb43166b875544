"""What batches do with the files of results is tried here, and not what figures look like."""

from collections.abc import Iterator

import pytest
from blank_figures import blank_figures


@pytest.fixture(autouse=True, scope="module")
def _blank_figures() -> Iterator[None]:
    with blank_figures():
        yield
