"""What a terminal is shown of a summary."""

import pytest

from pyrodrop.cli.printing import show


def test_of_each_kind_a_line_is_shown_without_its_many_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    estimate = {"mean": 40.04, "q05": 25, "q95": 49}
    kinds = [{"kind": 1, "count": estimate, "sizes": {"dn50": estimate, "unit": "px"}, "amplitude": [-0.25]}]
    show({"kinds": kinds, "edits": [], "warnings": ["look"]}, as_json=False)
    assert capsys.readouterr().out == (
        "kinds:\n  kind 1, count 40.04 (25 to 49), amplitude [-0.25]\nedits: none\nwarnings:\n  look\n"
    )
