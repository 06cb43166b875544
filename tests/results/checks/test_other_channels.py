"""When another channel gives another answer."""

import pytest

from pyrodrop.results.checks.other_channels import other_channels_of


@pytest.mark.parametrize(
    ("count", "more", "fewer"),
    [
        ((31, 35, 40), ("red",), ()),  # beyond both
        ((30, 35, 40), (), ()),  # touches the fit's
        ((22, 23, 24), (), ()),  # between the network's here and the fit's
        ((2, 5, 9), (), ("red",)),
        ((2, 5, 10), (), ()),  # touches the network's
    ],
)
def test_an_interval_beyond_the_networks_and_the_fits_is_another_answer(
    count: tuple[int, int, int], more: tuple[str, ...], fewer: tuple[str, ...]
) -> None:
    seen = other_channels_of({"red": count}, (10, 15, 20), (25, 27, 30))
    assert (seen.more, seen.fewer) == (more, fewer)
    assert bool(seen.warnings) == bool(more or fewer)


def test_the_line_names_each_channel_with_its_interval() -> None:
    (line,) = other_channels_of({"a": (0, 0, 0), "b": (5, 6, 7), "c": (90, 95, 99)}, (5, 6, 8), (6, 6, 7)).warnings
    assert line.startswith("other channels would give another answer: the network alone sees 90 to 99 in c, 0 in a")
    assert "and 5 to 8 in what was measured" in line
