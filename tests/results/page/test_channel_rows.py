"""What a page says of the channels that were not measured."""

from pathlib import Path
from typing import Any

from pyrodrop.results.page.channel_rows import channel_rows
from pyrodrop.results.page.image_report import report_text, settings
from pyrodrop.results.storage.result_folder import read_results


def test_each_other_channel_has_a_row_that_with_most_droplets_first(make_results: Any, tmp_path: Path) -> None:
    counts = {"hue": {"median": 257, "q05": 87, "q95": 445}, "val<ue": {"median": 1453, "q05": 814, "q95": 2087}}
    run = read_results(make_results(tmp_path, n=4, other_channels=counts))
    assert channel_rows(run) == [
        {"channel": "val<ue", "count": "1453", "interval": "814 to 2087"},
        {"channel": "hue", "count": "257", "interval": "87 to 445"},
    ]
    text = report_text(run)
    assert text.index("Other channels") < text.index("val&lt;ue") < text.index("814 to 2087") < text.index("87 to 445")
    assert "other_channels" not in text.split("Settings and how it ran")[1]  # said once


def test_without_them_there_is_no_section(make_results: Any, tmp_path: Path) -> None:
    for number, strange in enumerate((None, {}, [], {"hue": 3}, {"hue": {"median": "many", "q05": 1, "q95": 2}})):
        run = read_results(make_results(tmp_path / f"{number}", n=4, other_channels=strange))
        assert channel_rows(run) == []
        assert "Other channels" not in report_text(run)


def test_parts_that_are_unlike_anything_known_are_counted_among_the_settings() -> None:
    part = {"left": 0, "top": 0, "right": 9, "bottom": 9, "candidates": 65, "efficiency": 0.46}
    for parts, said in (([part], "1 part"), ([part, part], "2 parts"), ([], "0 parts")):
        told = dict(settings({"efficiency": {"whole": 0.4, "unlike_anything_known": parts}}))
        assert told == {"efficiency.whole": "0.4", "efficiency.unlike_anything_known": said}
