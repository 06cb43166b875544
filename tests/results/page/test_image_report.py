"""The report's text: what it says, that it holds all it needs, and that nothing in it can run or fetch."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile

from pyrodrop.results.page.batch_report import write_batch_report
from pyrodrop.results.page.html_page import as_data
from pyrodrop.results.page.image_report import write_report
from pyrodrop.results.storage.result_folder import ResultError
from pyrodrop.results.storage.run_files import begin_run, finish_run

FETCHES = {"src", "href", "srcset", "action", "data", "poster", "background", "formaction", "ping", "xlink:href"}
EVIL = '</script><script>alert("1")</script><img src=http://outside.invalid onerror=alert(1)> & \'"'


class Parsed(HTMLParser):
    """Elements with their attributes, and text by element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self._within: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style", "title", "h1", "section", "dl", "table"):
            self._within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._within and self._within[-1] == tag:
            self._within.pop()

    def handle_data(self, data: str) -> None:
        for tag in self._within or ["body"]:
            self.text[tag] = self.text.get(tag, "") + data

    def addresses(self) -> list[str]:
        """Everything that an element might fetch or lead to, but for places within the page."""
        found = [
            value or "" for _, attributes in self.elements for name, value in attributes.items() if name in FETCHES
        ]
        return [address for address in found if not address.startswith("#")]


def parsed(path: Path) -> Parsed:
    return Parsed(path.read_text(encoding="utf-8"))


def test_every_address_is_data(make_results: Any, tmp_path: Path) -> None:
    page = parsed(write_report(make_results(tmp_path, pixel_size_um=0.5)))
    addresses = page.addresses()
    assert len(addresses) == 4  # image and residual, which need no overlay.png and residual.png, and two figures
    assert all(address.startswith("data:image/") for address in addresses)
    assert not re.search(r"url\(|@import|//", page.text["style"])
    assert not any(tag in ("link", "iframe", "object", "embed", "base", "form") for tag, _ in page.elements)
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(|WebSocket|sendBeacon", page.text["script"])


def test_a_batch_leads_only_to_its_own_folders(make_results: Any, tmp_path: Path) -> None:
    for name in ("a 1", "https:", "b..", "c#?%41"):
        make_results(tmp_path / name)
    (tmp_path / "summary.csv").write_text("", encoding="utf-8")
    addresses = [a for a in parsed(write_batch_report(tmp_path)).addresses() if not a.startswith("data:image/")]
    reports = {"a%201", "https%3A", "b..", "c%23%3F%2541"}
    assert set(addresses) == {f"{name}/report.html" for name in reports} | {"summary.csv"}


@pytest.mark.parametrize("where", ["image", "channel", "profile", "warnings", "nested"])
def test_what_is_not_ours_is_text(make_results: Any, tmp_path: Path, where: str) -> None:
    said: dict[str, Any] = {"warnings": [EVIL], "nested": {EVIL: [EVIL]}}
    path = write_report(make_results(tmp_path, **{where: said.get(where, EVIL)}))
    usual = write_report(make_results(tmp_path / "usual"))
    page, harmless = parsed(path), parsed(usual)
    scripts = [attributes for tag, attributes in page.elements if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "droplets-data"}, {}]
    assert len([tag for tag, _ in page.elements if tag == "img"]) == len(
        [tag for tag, _ in harmless.elements if tag == "img"]
    )
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_flags_that_are_not_ours_are_text(make_results: Any, tmp_path: Path) -> None:
    folder = make_results(tmp_path)
    table = pd.read_csv(folder / "droplets.csv")
    table.assign(flags=EVIL).to_csv(folder / "droplets.csv", index=False)
    page = parsed(write_report(folder))
    assert [attributes for tag, attributes in page.elements if tag == "script"] == [
        {"type": "application/json", "id": "droplets-data"},
        {},
    ]


@pytest.mark.parametrize("value", ["</script>", "<!--", "a & b", "\u2028", "ö", [1.5, None, "x"]])
def test_data_in_the_page_is_json_that_cannot_end_its_element(value: Any) -> None:
    text = str(as_data(value))
    assert json.loads(text) == value
    assert not set("<>&\u2028") & set(text)


def test_the_numbers_come_first(make_results: Any, tmp_path: Path) -> None:
    count = {"mean": 167.42, "q05": 164, "q95": 171}
    sizes = {"dn50": {"mean": 5.5313, "q05": 5.264, "q95": 5.831}, "span": {"mean": None, "q05": None, "q95": None}}
    folder = make_results(
        tmp_path, n=170, count=count, sizes=sizes, pixel_size_um=0.5, warnings=["too dark", "too few"]
    )
    text = parsed(write_report(folder)).text
    headline = " ".join(text["dl"].split())
    assert "Droplets 167.4 164 to 171" in headline
    assert "Median diameter 5.53 µm 5.26 to 5.83" in headline
    assert "2 warnings too darktoo few" in " ".join(text["section"].split())
    assert "span" not in text["table"]


def test_a_fit_gives_its_number_without_an_interval(make_results: Any, tmp_path: Path) -> None:
    folder = make_results(tmp_path, n=12, count=None, sizes=None, warnings=None, reduced_chi_square=None)
    text = (folder / "report.html", write_report(folder).read_text(encoding="utf-8"))[1]
    table = pd.read_csv(folder / "droplets.csv")
    median = 2 * table["radius_px"].median()
    assert f'<dd class="value">{median:.3f} <span class="unit">px</span></dd>' in text
    assert "with 90" not in text.split("</header>")[0]
    assert "No warnings" not in text  # nobody has looked


@pytest.mark.parametrize(
    ("names", "fewer"),
    [
        (["image.tif"], 0),  # overlay.png in its place
        (["image.tif", "overlay.png"], 1),
        (["residual.png"], 0),  # residual.tif in its place
        (["residual.png", "residual.tif"], 1),
        (["sizes.png"], 0),  # made from the table
        (["count.png"], 1),  # its doubt is shared, which a table does not say
    ],
)
def test_what_the_folder_lacks_is_made_or_left_out(
    make_results: Any, tmp_path: Path, names: list[str], fewer: int
) -> None:
    folder = make_results(tmp_path)
    whole = parsed(write_report(folder)).addresses()
    for name in names:
        (folder / name).unlink()
    assert len(parsed(write_report(folder)).addresses()) == len(whole) - fewer


@pytest.mark.parametrize(
    ("reduced", "own", "times"),
    [(46.5461, [], 1), (46.5461, ["reduced chi-square 46.5"], 0), (1.5, [], 0), ([50.0], [], 0)],
)
def test_a_misfit_of_which_nobody_has_warned_is_told(
    make_results: Any, tmp_path: Path, reduced: Any, own: list[str], times: int
) -> None:
    text = write_report(make_results(tmp_path, reduced_chi_square=reduced, warnings=own)).read_text(encoding="utf-8")
    assert text.count("the residual is 6.8 times the noise (reduced chi-square 46.5)") == times


def test_a_number_that_is_certain_is_no_figure(make_results: Any, tmp_path: Path) -> None:
    page = parsed(write_report(make_results(tmp_path, count={"mean": 27.0004, "q05": 27, "q95": 27})))
    assert "Droplets 27 27 to 27" in " ".join(page.text["dl"].split())
    alts = [attributes.get("alt") for tag, attributes in page.elements if tag == "img"]
    assert "Probability of each number of droplets." not in alts


def test_a_residual_of_another_size_is_not_laid_beside_the_image(make_results: Any, tmp_path: Path) -> None:
    folder = make_results(tmp_path)
    tifffile.imwrite(folder / "residual.tif", np.zeros((3, 5), np.float32))
    page = parsed(write_report(folder))
    alts = [attributes.get("alt") for tag, attributes in page.elements if tag == "img"]
    assert "Map of the residual over the image." in alts  # residual.png


def test_a_fit_shows_its_sizes_but_counts_nothing(make_results: Any, tmp_path: Path) -> None:
    folder = make_results(tmp_path, count=None, sizes=None)
    for name in ("sizes.png", "count.png"):
        (folder / name).unlink()
    shown = [attributes.get("alt") for tag, attributes in parsed(write_report(folder)).elements if tag == "img"]
    assert "Histogram of the droplets' diameters with its band." in shown
    assert "Probability of each number of droplets." not in shown


def test_nothing_but_a_summary_and_a_table_is_needed(make_results: Any, tmp_path: Path) -> None:
    folder = make_results(tmp_path, n=3)
    for path in folder.iterdir():
        if path.name not in ("summary.json", "droplets.csv"):
            path.unlink()
    (folder / "summary.json").write_text("{}", encoding="utf-8")
    table = pd.read_csv(folder / "droplets.csv")[["id", "x_px", "y_px", "radius_px"]]
    table.to_csv(folder / "droplets.csv", index=False)
    page = parsed(write_report(folder))
    assert page.addresses() == []
    assert page.text["h1"] == tmp_path.name


def test_an_image_without_droplets_has_a_page(make_results: Any, tmp_path: Path) -> None:
    folder = make_results(tmp_path, n=0, warnings=["no droplets were found"])
    assert "no droplets were found" in parsed(write_report(folder)).text["section"]


def with_manifest(folder: Path) -> Path:
    """The same results as a run leaves them."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    content = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "summary.json"}
    begin_run(folder, content)
    for name, stored in content.items():
        (folder / name).write_bytes(stored)
    finish_run(folder, summary)
    return folder


def altered(folder: Path, how: str) -> Path:
    """A folder of results whose table was changed after the run."""
    table = pd.read_csv(folder / "droplets.csv", dtype={"flags": str})
    table = table.iloc[:20] if how == "rows deleted" else table.assign(radius_px=2 * table["radius_px"])
    table.to_csv(folder / "droplets.csv", index=False)
    return folder


@pytest.mark.parametrize(
    ("how", "has_manifest"), [("rows deleted", False), ("rows deleted", True), ("other radii", True)]
)
def test_a_table_that_is_not_the_runs_own_is_said_and_nothing_is_told_that_no_longer_holds(
    make_results: Any, tmp_path: Path, how: str, has_manifest: bool
) -> None:
    count = {"mean": 60.0, "q05": 60, "q95": 60}
    folder = make_results(tmp_path, n=60, count=count, n_droplets=60, profile="disc", reduced_chi_square=1.02)
    intact = write_report(folder).read_text(encoding="utf-8")
    assert "It found 60 droplets (60 to 60)" in intact
    assert "not as the run wrote it" not in intact

    page = parsed(write_report(altered(with_manifest(folder) if has_manifest else folder, how)))
    rows = 20 if how == "rows deleted" else 60
    assert f"droplets.csv is not as the run wrote it: its {rows} rows are shown" in page.text["section"]
    assert f"Droplets {rows} rows of a table that was altered" in " ".join(page.text["dl"].split())
    everything = "".join(page.text.values())
    for gone in ("It found", "60 to 60", "chi-square", "Sauter", "residual over the image"):
        assert gone not in everything
    alts = [attributes.get("alt") for tag, attributes in page.elements if tag == "img"]
    assert alts == ["Histogram of the droplets' diameters with its band."]  # made from the table itself


def test_a_summary_that_is_not_the_runs_own_is_said(make_results: Any, tmp_path: Path) -> None:
    folder = with_manifest(make_results(tmp_path))
    assert "not as the run wrote it" not in write_report(folder).read_text(encoding="utf-8")
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    (folder / "summary.json").write_text(json.dumps(summary | {"reduced_chi_square": 0.9}), encoding="utf-8")
    assert "summary.json is not as the run wrote it" in write_report(folder).read_text(encoding="utf-8")


def test_numbers_that_are_none_stay_readable(make_results: Any, tmp_path: Path) -> None:
    folder = make_results(tmp_path)
    summary = (folder / "summary.json").read_text(encoding="utf-8")
    (folder / "summary.json").write_text(summary.replace("1.02", "NaN"), encoding="utf-8")
    table = pd.read_csv(folder / "droplets.csv")
    table.loc[0, "amplitude"] = float("nan")
    table.to_csv(folder / "droplets.csv", index=False)
    text = write_report(folder).read_text(encoding="utf-8")
    data = re.search(r'id="droplets-data">(.*?)</script>', text, re.DOTALL)
    assert data is not None
    held = json.loads(data[1], parse_constant=lambda token: pytest.fail(f"{token} is no JSON"))
    amplitudes = held["values"][[column["name"] for column in held["columns"]].index("amplitude")]
    assert amplitudes[0] is None


def test_the_same_folder_gives_the_same_page(make_results: Any, tmp_path: Path) -> None:
    folder = make_results(tmp_path)
    assert write_report(folder).read_bytes() == write_report(folder).read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("summary.json", None, "holds no summary.json"),
        ("summary.json", "{", "is not readable JSON"),
        ("summary.json", "[]", "no JSON object"),
        ("summary.json", "[" * 100_000, "is not readable JSON"),
        ("summary.json", '{"a": ' + "[" * 700 + "]" * 700 + "}", "is not readable JSON"),
        ("summary.json", '{"a": ' + "[" * 40 + "]" * 40 + "}", "more than 32 deep"),
        ("droplets.csv", None, "holds no droplets.csv"),
        ("droplets.csv", "", "not a readable table"),
        ("droplets.csv", "id,x_px\n1,2\n", "lacks the column y_px, radius_px"),
        ("droplets.csv", "id,x_px,y_px,radius_px\n1,2,3,much\n", "something else than numbers in radius_px"),
    ],
)
def test_a_folder_that_holds_no_results(
    make_results: Any, tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    folder = make_results(tmp_path)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content, encoding="utf-8")
    with pytest.raises(ResultError, match=said) as error:
        write_report(folder)
    assert "\n" not in str(error.value)
    assert "give a folder that pyrodrop fit or measure has written" in str(error.value)
    assert not (folder / "report.html").exists()


def test_a_batch_says_what_failed_and_shows_the_rest(make_results: Any, tmp_path: Path) -> None:
    make_results(tmp_path / "good", n=7, count={"mean": 6.5, "q05": 6, "q95": 7})
    make_results(tmp_path / "broken")
    (tmp_path / "broken" / "summary.json").write_text("{", encoding="utf-8")
    page = parsed(write_batch_report(tmp_path, {"gone": "the image could not be read"}))
    said = page.text["section"]
    assert "2 failed" in said
    assert "gone: the image could not be read" in said
    assert "broken" in said
    assert [attributes["data-name"] for tag, attributes in page.elements if "data-name" in attributes] == [
        "drops.tif good"
    ]


@pytest.mark.parametrize("folders", [[], ["empty"]])
def test_a_batch_without_results(tmp_path: Path, folders: list[str]) -> None:
    for name in folders:
        (tmp_path / name).mkdir()
    with pytest.raises(ResultError, match=r"holds no summary\.json, nor does a folder in it"):
        write_batch_report(tmp_path)


def test_a_batch_shows_the_sizes_of_all_images_where_their_units_agree(make_results: Any, tmp_path: Path) -> None:
    alt = "Histogram of the diameters of all images with its band."
    make_results(tmp_path / "a", n=40, pixel_size_um=0.5)
    make_results(tmp_path / "b", n=50, seed=1, pixel_size_um=0.25)
    page = parsed(write_batch_report(tmp_path))
    assert alt in [attributes.get("alt") for _, attributes in page.elements]
    assert "Median diameters" in page.text["dl"]
    make_results(tmp_path / "c", n=20)
    page = parsed(write_batch_report(tmp_path))
    assert alt not in [attributes.get("alt") for _, attributes in page.elements]
    assert "Median diameters" not in page.text["dl"]
