"""Corrections by hand on the page, as a person makes them: pressed, drawn, undone, counted and saved, in a browser."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import pyrodrop
from pyrodrop.cli import main
from pyrodrop.results.page.image_report import write_report
from pyrodrop.results.statistics.counts import count_distribution
from pyrodrop.results.statistics.shared_doubt import central_log_odds, shared_values
from pyrodrop.results.statistics.unfitted import Unfitted

SAID = "document.getElementById('corrected').textContent"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of nine droplets, and their page."""
    folder = tmp_path_factory.mktemp("measured")
    image, _ = pyrodrop.simulate(9, (90, 120), seed=6, kind="gray", profile="disc", radius_px=(5, 8), margin=1.0)
    pixels = np.clip(image.pixels[..., 0].numpy() * 200, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "drops.png")
    made = folder / "drops"
    assert main(["measure", str(folder / "drops.png"), "--profile", "disc", "--out", str(made), "--quiet"]) == 0
    write_report(made)
    return made


def on_screen(page: Any, x: float, y: float) -> tuple[float, float]:
    """Where a place of the image is on the screen."""
    seen = page.run(
        f"(p => [p.x, p.y])(new DOMPoint({x}, {y}).matrixTransform("
        "document.querySelector('.overlay svg').getScreenCTM()))"
    )
    return seen[0], seen[1]


def press(page: Any, x: float, y: float, shift: bool = False) -> None:
    at, modifiers = on_screen(page, x, y), 8 if shift else 0
    for kind in ("mousePressed", "mouseReleased"):
        page.ask(
            "Input.dispatchMouseEvent",
            type=kind,
            x=at[0],
            y=at[1],
            button="left",
            clickCount=1,
            modifiers=modifiers,
        )


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    (x, y), (to_x, to_y) = on_screen(page, *start), on_screen(page, *end)
    page.ask("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
    for share in (0.3, 0.6, 1.0):
        place = {"x": x + share * (to_x - x), "y": y + share * (to_y - y)}
        page.ask("Input.dispatchMouseEvent", type="mouseMoved", button="left", buttons=1, **place)
    page.ask("Input.dispatchMouseEvent", type="mouseReleased", x=to_x, y=to_y, button="left", clickCount=1)


def saved(browser: Any, page: Any, folder: Path) -> dict[str, Any]:
    """The file of edits that the page saves."""
    browser.ask("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    page.press("#save-edits")
    for _ in range(200):
        if (folder / "edits.json").exists():
            break
        page.run("new Promise(done => setTimeout(done, 50))")
    said: dict[str, Any] = json.loads((folder / "edits.json").read_text())
    return said


def test_circles_are_removed_and_drawn_and_the_edits_are_applied(
    browser: Any, page: Any, measured: Path, tmp_path: Path
) -> None:
    table = pd.read_csv(measured / "droplets.csv")
    page.open(measured / "report.html", height=1400)
    page.press("#correct")
    assert "nothing corrected yet" in page.run(SAID)
    first, second = (table.loc[k, ["x_px", "y_px", "radius_px", "radius_px_sd"]] for k in (2, 5))
    press(page, first["x_px"], first["y_px"])
    assert page.run(SAID).startswith("1 removed: 8 ")
    assert page.run("[...document.querySelectorAll('#drawn circle')].map(c => c.classList.contains('removed'))") == [
        k == 2 for k in range(len(table))
    ]
    press(page, second["x_px"], second["y_px"])
    # The second is drawn anew, by a circle that is a little off.
    drag(
        page,
        (second["x_px"] + 0.8, second["y_px"]),
        (second["x_px"] + 0.8 + 0.9 * second["radius_px"], second["y_px"]),
    )
    assert page.run(SAID).startswith("2 removed, 1 added: 8 ")
    said = saved(browser, page, tmp_path)
    assert said["remove"] == [2, 5]
    assert said["add"][0] == pytest.approx([second["x_px"] + 0.8, second["y_px"], 0.9 * second["radius_px"]], abs=0.3)
    assert main(["edit", str(measured), str(tmp_path / "edits.json"), "--out", str(tmp_path / "out"), "--quiet"]) == 0
    edited = pd.read_csv(tmp_path / "out" / "droplets.csv")
    added = edited[edited["id"] >= len(table)].iloc[0]
    assert len(edited) == len(table) - 1
    assert added["radius_px"] == pytest.approx(second["radius_px"], abs=6 * second["radius_px_sd"])
    assert page.complaints == []


def test_each_correction_is_undone_in_turn(page: Any, measured: Path) -> None:
    table = pd.read_csv(measured / "droplets.csv")
    page.open(measured / "report.html", height=1400)
    page.press("#correct")
    x, y = table.loc[3, ["x_px", "y_px"]]
    said = [page.run(SAID)]
    press(page, x, y)
    said.append(page.run(SAID))
    drag(page, (60, 45), (63, 45))
    said.append(page.run(SAID))
    press(page, table.loc[4, "x_px"], table.loc[4, "y_px"], shift=True)
    assert "1 kept" in page.run(SAID)
    for before in reversed(said):
        assert not page.run("document.getElementById('undo').disabled")
        page.press("#undo")
        assert page.run(SAID) == before
    assert page.run("document.getElementById('undo').disabled && document.getElementById('save-edits').disabled")
    assert page.run("document.querySelectorAll('#drawn circle.removed, #drawn circle.added').length") == 0


def test_a_second_press_takes_the_first_back_and_a_drawn_circle_away(page: Any, measured: Path) -> None:
    table = pd.read_csv(measured / "droplets.csv")
    page.open(measured / "report.html", height=1400)
    page.press("#correct")
    nothing = page.run(SAID)
    for _ in range(2):
        press(page, table.loc[3, "x_px"], table.loc[3, "y_px"])
    assert page.run(SAID) == nothing
    x, y = table.loc[3, ["x_px", "y_px"]]
    press(page, x, y)
    drag(page, (x, y), (x + 4, y))
    assert "1 added" in page.run(SAID)
    press(page, x, y)
    assert "added" not in page.run(SAID)


def test_what_is_not_corrected_is_looked_at_as_before(page: Any, measured: Path) -> None:
    """A press chooses a droplet, and says its row, until corrections begin and after they end."""
    table = pd.read_csv(measured / "droplets.csv")
    page.open(measured / "report.html", height=1400)
    for _ in range(2):
        press(page, table.loc[3, "x_px"], table.loc[3, "y_px"])
        assert page.run("document.querySelector('#droplets tr.chosen th').textContent") == "3"
        page.press("#correct")
        press(page, table.loc[1, "x_px"], table.loc[1, "y_px"])
        assert page.run("document.querySelector('#droplets tr.chosen th').textContent") == "3"
        page.press("#undo")
        page.press("#correct")


@pytest.mark.parametrize("shared", [0.0, 1.2])
def test_the_page_counts_as_the_package_does(page: Any, measured: Path, shared: float) -> None:
    page.open(measured / "report.html")
    generator = np.random.default_rng(3)
    for n in (0, 1, 7, 150, 900):
        presence = generator.beta(2, 1, n)
        odds = [round(float(v), 6) for v in central_log_odds(presence, shared)]
        u = shared_values(200).value.tolist() if shared else [0]
        counted = page.run(f"countOf({json.dumps(odds)}, {shared}, {json.dumps(u)}, 2)")
        expected = count_distribution(presence, shared)
        levels = {"median": 0.5, "low": 0.05, "high": 0.95}
        # Where a normal distribution stands for the sum, its last digits decide at a step.
        near = {name: pytest.approx(expected.quantile(level) + 2, abs=n > 500) for name, level in levels.items()}
        assert counted == near


def test_the_page_counts_what_was_not_fitted_as_the_package_does(page: Any, measured: Path) -> None:
    page.open(measured / "report.html")
    presence = np.random.default_rng(5).beta(2, 1, 40)
    odds, u = central_log_odds(presence, 1.2).tolist(), shared_values(200).value.tolist()
    for number, expected in ((0, 0.0), (3, 0.1), (60, 2.0), (900, 20.0)):
        unfitted = Unfitted(number, expected, 3.0)
        (own,) = central_log_odds([unfitted.presence], 3.0).clip(-40, 40)
        rest = json.dumps({"number": number, "odds": own, "shared": 3.0})
        said = page.run(f"countOf({json.dumps(odds)}, 1.2, {json.dumps(u)}, 0, {rest})")
        count = count_distribution(presence, 1.2, unfitted)
        levels = {"median": 0.5, "low": 0.05, "high": 0.95}
        assert said == {name: pytest.approx(count.quantile(level), abs=1) for name, level in levels.items()}


def test_very_many_are_counted_nearly_as_the_package_does(page: Any, measured: Path) -> None:
    page.open(measured / "report.html")
    presence = np.random.default_rng(4).beta(6, 1, 20_000)
    odds, u = central_log_odds(presence, 1.5).tolist(), shared_values(200).value.tolist()
    counted = page.run(f"countOf({json.dumps(odds)}, 1.5, {json.dumps(u)})")
    expected = count_distribution(presence, 1.5)
    levels = {"median": 0.5, "low": 0.05, "high": 0.95}
    assert counted == {name: pytest.approx(expected.quantile(level), rel=1e-3) for name, level in levels.items()}


def test_sliders_say_the_count_of_what_is_kept(page: Any, measured: Path) -> None:
    table = pd.read_csv(measured / "droplets.csv")
    page.open(measured / "report.html")
    kept = "document.getElementById('kept-count').textContent"
    count = json.loads((measured / "summary.json").read_text())["count"]
    ends = f" ({count['q05']} to {count['q95']})" if count["q05"] < count["q95"] else ""
    assert page.run(kept) == f"count: {len(table)}{ends}"
    middle = float((2 * table["radius_px"]).median()) + 0.01
    page.run(f"document.getElementById('slide-from').value = {middle}")
    page.run("document.getElementById('slide-from').dispatchEvent(new Event('input'))")
    larger = (2 * table["radius_px"] >= float(page.run("document.getElementById('filter-from').value"))).sum()
    assert 0 < larger < len(table)
    assert page.run("document.getElementById('matching').textContent") == f"{larger} of {len(table)} droplets"
    assert page.run(kept).startswith(f"count: {larger}")
    page.press("#clear")
    assert page.run(kept) == f"count: {len(table)}{ends}"
    assert page.run("Number(document.getElementById('slide-from').value)") == 0


def test_results_that_cannot_be_edited_have_no_button(page: Any, make_results: Any, tmp_path: Path) -> None:
    made = make_results(tmp_path / "fit")
    write_report(made)
    page.open(made / "report.html")
    assert page.run("document.getElementById('correct')") is None
    assert page.complaints == []
