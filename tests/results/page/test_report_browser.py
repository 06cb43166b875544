"""The report as a person uses it: in a real browser, which must fetch nothing, show it all, and sort and filter."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pyrodrop.results.page.batch_report import write_batch_report
from pyrodrop.results.page.image_report import write_report

# Columns of the page's table.
ID, DIAMETER, X, PRESENCE, FLAGS = 0, 1, 4, 7, 8


def as_shown(folder: Path) -> pd.DataFrame:
    """The droplet table as the page shows it, without a size of a pixel."""
    table = pd.read_csv(folder / "droplets.csv", dtype={"flags": str}).fillna({"flags": ""})
    return table.assign(diameter=2 * table["radius_px"])


@pytest.fixture(scope="module")
def folder(make_results: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = make_results(tmp_path_factory.mktemp("report") / "one", n=230)
    write_report(made)
    return made


def test_it_fetches_nothing_and_nothing_fails(page: Any, folder: Path, tmp_path: Path) -> None:
    report = folder / "report.html"
    page.open(report)
    page.press("#droplets thead button")
    outside = [url for url in page.requests if not url.startswith("data:")]
    assert outside == [report.resolve().as_uri()]
    assert page.complaints == []


def test_a_page_that_fetches_is_caught(page: Any, tmp_path: Path) -> None:
    """The watch of the test above sees a request, though no address resolves."""
    (tmp_path / "bad.html").write_text('<img src="http://outside.invalid/a.png">', encoding="utf-8")
    page.open(tmp_path / "bad.html")
    assert "http://outside.invalid/a.png" in page.requests


@pytest.mark.parametrize(
    "planted",
    [
        '<img src="http://outside.invalid/a.png">',
        "<script>document.title = 'taken'</script>",
        '<link rel="stylesheet" href="http://outside.invalid/a.css">',
        '<iframe src="http://outside.invalid/"></iframe>',
    ],
)
def test_the_policy_stops_what_is_planted(page: Any, folder: Path, tmp_path: Path, planted: str) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8").replace("<footer>", f"{planted}<footer>")
    (tmp_path / "planted.html").write_text(text, encoding="utf-8")
    page.open(tmp_path / "planted.html")
    assert any("Content Security Policy" in complaint for complaint in page.complaints)
    assert page.run("document.title") == "drops.tif: droplets"


def test_what_a_person_sees(page: Any, folder: Path, tmp_path: Path) -> None:
    page.open(folder / "report.html")
    light = page.screenshot(tmp_path / "light.png")
    dark = page.screenshot(tmp_path / "dark.png", dark=True)
    assert light.shape == dark.shape == (900, 1200, 3)
    assert light[0, 0].min() > 240
    assert dark[0, 0].max() < 40
    # The image is black behind gray, and circles in colour lie on it.
    place = page.run(
        "(b => [b.left, b.top, b.right, b.bottom])(document.querySelector('.overlay').getBoundingClientRect())"
    )
    left, top, right, bottom = (round(value) for value in place)
    shown = light[top : min(bottom, 900), left:right].astype(int)
    assert (np.ptp(shown, axis=-1) > 60).mean() > 0.01
    assert page.run("getComputedStyle(document.querySelector('h1')).display") != "none"


@pytest.mark.parametrize("width", [360, 700, 1600])
def test_it_fits_every_screen(page: Any, folder: Path, width: int) -> None:
    page.open(folder / "report.html", width=width)
    assert page.run("document.documentElement.scrollWidth") <= width


def test_it_sorts(page: Any, folder: Path) -> None:
    table = as_shown(folder)
    page.open(folder / "report.html")
    head = f"#droplets thead th:nth-child({DIAMETER + 1})"
    page.press(f"{head} button")
    rising = table.sort_values("diameter", kind="stable")["id"].astype(str).tolist()
    assert page.column("droplets", ID) == rising[:100]
    assert page.run(f"document.querySelector('{head}').getAttribute('aria-sort')") == "ascending"
    page.press(f"{head} button")
    falling = table.sort_values("diameter", ascending=False, kind="stable")["id"].astype(str).tolist()
    assert page.column("droplets", ID) == falling[:100]
    page.press("#next")
    page.press("#next")
    assert page.column("droplets", ID) == falling[200:]


def test_it_filters_rows_and_circles(page: Any, folder: Path) -> None:
    table = as_shown(folder)
    page.open(folder / "report.html")
    page.enter("#filter-presence", "0.8")
    page.enter("#filter-from", "5")
    page.enter("#filter-to", "9")
    page.enter("#filter-flag", "overlapping")
    flagged = table["flags"].str.split().apply(lambda flags: "overlapping" in flags)
    kept = table[(table["presence"] >= 0.8) & table["diameter"].between(5, 9) & flagged]
    assert 0 < len(kept) < 100
    assert page.column("droplets", ID) == kept["id"].astype(str).tolist()
    assert page.run("document.getElementById('matching').textContent") == f"{len(kept)} of {len(table)} droplets"
    circles = page.run("[...document.querySelectorAll('.overlay circle')].map(c => !c.classList.contains('out'))")
    assert np.flatnonzero(circles).tolist() == kept["id"].tolist()
    page.press("#clear")
    assert page.run("document.querySelectorAll('.overlay circle.out').length") == 0
    page.enter("#filter-flag", "none")
    assert page.column("droplets", ID) == table.loc[table["flags"] == "", "id"].astype(str).tolist()[:100]


def test_what_it_says_is_what_the_table_says(page: Any, folder: Path) -> None:
    table = as_shown(folder)
    page.open(folder / "report.html")
    for number, name in ((DIAMETER, "diameter"), (X, "x_px"), (PRESENCE, "presence")):
        shown = [float(text) for text in page.column("droplets", number)]
        np.testing.assert_allclose(shown, table[name][:100], atol=2e-3)
    assert page.column("droplets", FLAGS) == table["flags"][:100].tolist()
    assert page.run("document.querySelectorAll('.overlay circle').length") == len(table)


def test_row_and_circle_lead_to_each_other(page: Any, folder: Path) -> None:
    table = as_shown(folder)
    page.open(folder / "report.html", height=1600)
    page.press("#droplets tbody tr:nth-child(8) button")
    assert page.run("[...document.querySelectorAll('circle')].findIndex(c => c.classList.contains('chosen'))") == 7
    # A press on the centre of a droplet that no other circle covers, on a later page of the table.
    lone = table[(table["flags"] == "") & (table["id"] >= 100)].iloc[0]
    place = f"document.querySelectorAll('circle')[{lone['id']}].getBoundingClientRect()"
    x, y = page.run(f"(b => [(b.left + b.right) / 2, (b.top + b.bottom) / 2])({place})")
    for kind in ("mousePressed", "mouseReleased"):
        page.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    chosen = "document.querySelector('#droplets tr.chosen th').textContent"
    assert page.run(chosen) == str(lone["id"])
    assert f"id {lone['id']}" in page.run("document.getElementById('said').textContent")


def test_the_image_zooms_and_goes_back(page: Any, folder: Path) -> None:
    page.open(folder / "report.html")
    view = "document.querySelector('.overlay svg').getAttribute('viewBox').split(' ').map(Number)"
    whole = page.run(view)
    page.press("#zoom-in")
    left, top, width, height = page.run(view)
    assert [width, height] == pytest.approx([whole[2] / 1.6, whole[3] / 1.6])
    assert [left + width / 2, top + height / 2] == pytest.approx([44.5, 29.5])
    page.press("#zoom-whole")
    assert page.run(view) == whole


def test_the_residual_zooms_with_the_image_and_shows_the_same_droplet(page: Any, folder: Path) -> None:
    page.open(folder / "report.html")
    page.press("#zoom-in")
    views = page.run("[...document.querySelectorAll('.view svg')].map(s => s.getAttribute('viewBox'))")
    assert len(views) == 2
    assert views[0] == views[1] != "-0.5 -0.5 90 60"
    page.press("#droplets tbody tr:nth-child(3) button")
    drops = as_shown(folder).iloc[2]
    rings = page.run(
        "[...document.querySelectorAll('.view')].map(v => (b => [b.x + b.width / 2, b.y + b.height / 2, b.width])"
        "(v.querySelector('.mark').getBBox()))"
    )
    for ring in rings:
        assert ring == pytest.approx([drops["x_px"], drops["y_px"], drops["diameter"]], abs=0.01)


def test_image_and_residual_stand_side_by_side_where_there_is_room(page: Any, folder: Path) -> None:
    tops = "[...document.querySelectorAll('.view')].map(v => v.getBoundingClientRect().top)"
    page.open(folder / "report.html", width=1280)
    left, right = page.run(tops)
    assert left == right
    page.open(folder / "report.html", width=500)
    above, below = page.run(tops)
    assert above < below


def test_what_lies_under_the_pointer_is_named(page: Any, folder: Path) -> None:
    table = as_shown(folder)
    lone = table[table["flags"] == ""].iloc[0]
    page.open(folder / "report.html", height=1400)
    place = f"document.querySelectorAll('circle')[{lone['id']}].getBoundingClientRect()"
    x, y = page.run(f"(b => [(b.left + b.right) / 2, (b.top + b.bottom) / 2])({place})")
    page.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    tip = "(t => t.hidden ? '' : t.textContent)(document.querySelector('.overlay .tip'))"
    assert page.run(tip).startswith(f"droplet {lone['id']}: {lone['diameter']:.1f}")
    page.ask("Input.dispatchMouseEvent", type="mouseMoved", x=2, y=2)
    assert page.run(tip) == ""


def test_circles_can_be_taken_away_and_hide_nothing_within(page: Any, make_results: Any, tmp_path: Path) -> None:
    made = make_results(tmp_path / "few", n=6, seed=3)
    write_report(made)
    page.open(made / "report.html", height=1400)
    boxes = page.run(
        "[...document.querySelectorAll('#drawn circle')].map(c => (b => [b.left, b.right, b.top, b.bottom])"
        "(c.getBoundingClientRect()))"
    )
    centres = [(round((top + bottom) / 2), round((left + right) / 2)) for left, right, top, bottom in boxes]
    rims = [(round((top + bottom) / 2), round(left)) for left, _, top, bottom in boxes]
    with_circles = page.screenshot(tmp_path / "with.png").astype(int)
    page.press("#circles")
    without = page.screenshot(tmp_path / "without.png").astype(int)
    inside = [np.abs(with_circles[place] - without[place]).max() for place in centres]
    on = [np.abs(with_circles[place] - without[place]).max() for place in rims]
    assert max(inside) < 10
    assert sorted(on)[len(on) // 2] > 50  # the border cuts some


def test_the_row_of_a_circle_comes_into_the_tables_box_and_the_page_stays(page: Any, folder: Path) -> None:
    table = as_shown(folder)
    lone = table[(table["flags"] == "") & (table["id"] >= 100)].iloc[-1]  # on a later page, and not its first row
    page.open(folder / "report.html", height=1400)
    place = f"document.querySelectorAll('circle')[{lone['id']}].getBoundingClientRect()"
    x, y = page.run(f"(b => [(b.left + b.right) / 2, (b.top + b.bottom) / 2])({place})")
    for kind in ("mousePressed", "mouseReleased"):
        page.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    assert page.run("scrollY") == 0
    box, row = page.run(
        "['.rows', 'tr.chosen'].map(s => (b => [b.top, b.bottom])(document.querySelector(s).getBoundingClientRect()))"
    )
    assert box[0] < row[0] < row[1] < box[1]


def test_the_words_for_a_paper_can_be_copied(page: Any, make_results: Any, tmp_path: Path) -> None:
    made = make_results(tmp_path, profile="disc")
    write_report(made)
    page.open(made / "report.html")
    page.press("#copy")
    assert page.run("getSelection().toString().trim()") == page.run("document.getElementById('method').textContent")
    assert page.run("document.getElementById('copied').textContent")


def test_the_rows_shown_are_saved(browser: Any, page: Any, folder: Path, tmp_path: Path) -> None:
    page.open(folder / "report.html")
    page.enter("#filter-presence", "0.9")
    browser.ask("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    page.press("#save")
    saved = tmp_path / "droplets-shown.csv"
    for _ in range(200):
        if saved.exists():
            break
        page.run("new Promise(done => setTimeout(done, 50))")
    table = as_shown(folder)
    kept = table[table["presence"] >= 0.9]
    found = pd.read_csv(saved)
    assert found["id"].tolist() == kept["id"].tolist()
    np.testing.assert_allclose(found["diameter_px"], kept["diameter"], rtol=1e-4)


@pytest.mark.slow
def test_twenty_thousand_droplets(page: Any, make_results: Any, tmp_path: Path) -> None:
    made = make_results(tmp_path / "many", n=20_000, size=(800, 1000))
    write_report(made)
    page.open(made / "report.html")
    page.press("#droplets thead th:nth-child(2) button")
    table = as_shown(made)
    assert page.column("droplets", ID) == table.sort_values("diameter", kind="stable")["id"].astype(str).tolist()[:100]
    assert page.run("document.getElementById('page').textContent") == "page 1 of 200"
    assert page.complaints == []


def test_a_batch_sorts_filters_and_leads_on(page: Any, make_results: Any, tmp_path: Path) -> None:
    numbers = {"a 1": 20, "b": 45, "c#2": 9}
    for seed, (name, n) in enumerate(numbers.items()):
        warned = ["too few droplets"] if name == "b" else []
        write_report(make_results(tmp_path / name, n=n, seed=seed, image=f"{name}.tif", warnings=warned))
    page.open(write_batch_report(tmp_path))
    assert page.complaints == []
    assert [text.split("\n")[0] for text in page.column("images", 1)] == ["a 1.tifa 1", "b.tifb", "c#2.tifc#2"]
    page.press("#images thead th:nth-child(3) button")
    assert [name[0] for name in page.column("images", 1)] == ["c", "a", "b"]
    page.enter("#filter-name", "B.TIF")
    assert [name[0] for name in page.column("images", 1)] == ["b"]
    page.enter("#filter-name", "")
    page.press("#filter-warned")
    assert [name[0] for name in page.column("images", 1)] == ["b"]
    for link in page.run("[...document.querySelectorAll('#images tbody th a')].map(a => a.href)"):
        page.ask("Page.navigate", url=link)
        page.run("new Promise(done => setTimeout(done, 300))")
        assert page.run("document.title").endswith("droplets")
