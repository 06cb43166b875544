"""What points that a person has changed say of the droplets that they were."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrodrop.results.statistics.counts import count_distribution
from pyrodrop.results.statistics.unfitted import Unfitted
from pyrodrop.results.storage.run_files import begin_run, finish_run
from pyrodrop.workflows.commands.edits_file import read_edits
from pyrodrop.workflows.napari_edits import NEW, Kept, Points, count_of, edits_between, number_of, write_edits

TABLE = pd.DataFrame(
    {
        "id": [2, 0, 7, 5],
        "x_px": [10.0, 20.0, 30.0, 40.0],
        "y_px": [5.0, 6.0, 7.0, 8.0],
        "radius_px": [2.0, 3.0, 4.0, 5.0],
        "presence": [1.0, 0.9, 0.6, 0.8],
    }
)
BEFORE = Points.of_table(TABLE)


def those(points: Points, rows: list[int]) -> Points:
    return Points(*(column[rows] for column in points))


def test_points_as_they_were_are_no_edit() -> None:
    assert edits_between(BEFORE, BEFORE) == {}


def test_each_change_of_the_points_is_an_edit() -> None:
    now = Points(
        np.array([[5.0, 10.0], [6.0, 21.5], [7.0, 30.0], [50.0, 60.0]]),
        np.append(BEFORE.diameters[:3], 9.0),
        np.append(BEFORE.ids[:3], NEW),
        np.array([1.0, 0.9, 1.0, 1.0]),
    )
    assert edits_between(BEFORE, now) == {
        "remove": [5],
        "add": [[60.0, 50.0, 4.5]],
        "move": {"0": [21.5, 6.0, 3.0]},
        "keep": [7],
    }


def test_a_pasted_point_is_a_new_droplet_and_the_first_of_its_id_stays() -> None:
    pasted = those(BEFORE, [0, 1, 2, 3, 1])
    pasted.centres[4] += 3
    assert edits_between(BEFORE, pasted) == {"add": [[23.0, 9.0, 3.0]]}


@given(st.permutations(range(4)), st.integers(0, 4))
def test_the_order_of_the_points_says_nothing(order: list[int], fewer: int) -> None:
    edits = edits_between(BEFORE, those(BEFORE, list(order)[fewer:]))
    assert sorted(edits.get("remove", [])) == sorted(BEFORE.ids[list(order)[:fewer]].tolist())
    assert set(edits) <= {"remove"}


def test_filters_keep_what_they_say_and_the_count_is_of_those() -> None:
    assert Kept(0.8, 2.5, 4.5).of(BEFORE).tolist() == [False, True, False, False]
    assert Kept().of(BEFORE).all()
    kept = Kept(least_presence=0.7).of(BEFORE)
    counted = count_of(BEFORE, BEFORE, kept, 0.3)
    assert counted.probability == pytest.approx(count_distribution([1.0, 0.9, 0.8], 0.3).probability)
    counted = count_of(BEFORE, BEFORE, kept, 0.3, np.array([0.4, 0.1]))
    assert counted.probability == pytest.approx(count_distribution([1.0, 0.9, 0.8, 0.4, 0.1], 0.3).probability)
    unfitted = Unfitted(5, 0.2, 3.0)
    counted = count_of(BEFORE, BEFORE, kept, 0.3, unfitted=unfitted)
    assert counted.probability == pytest.approx(count_distribution([1.0, 0.9, 0.8], 0.3, unfitted).probability)


def test_what_has_no_known_radius_counts_where_none_is_asked_for() -> None:
    unfitted = Unfitted(5, 0.2, 3.0)
    assert Kept().of_unfitted(unfitted) == unfitted
    for limits in (Kept(least_presence=0.1), Kept(least_radius=1.0), Kept(greatest_radius=9.0)):
        assert limits.of_unfitted(unfitted).number == 0


def test_what_a_person_drew_or_moved_is_there_for_sure() -> None:
    now = Points(BEFORE.centres + 1, BEFORE.diameters, np.array([2, 0, NEW, 5]), np.array([0.2, 0.2, np.nan, 0.2]))
    assert count_of(BEFORE, now, np.ones(4, bool), 0.3).probability == pytest.approx([0, 0, 0, 0, 1])


def test_the_file_is_one_that_pyrodrop_edit_takes(tmp_path: Path) -> None:
    begin_run(tmp_path, ["droplets.csv"])
    TABLE.to_csv(tmp_path / "droplets.csv", index=False)
    finish_run(tmp_path, {})
    edits = {"remove": [5, 2], "add": [[60.0, 50.0, 4.5]], "move": {"0": [21.5, 6.0, 3.0]}, "keep": [7]}
    write_edits(edits, tmp_path, tmp_path / "edits.json")
    stored = json.loads((tmp_path / "edits.json").read_text())
    asked = read_edits(tmp_path / "edits.json", (90, 90), stored["droplets_sha256"])
    assert asked == edits | {"move": {0: [21.5, 6.0, 3.0]}}
    assert number_of(edits) == 5
