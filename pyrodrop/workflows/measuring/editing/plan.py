"""Which droplets an edit takes away and which it brings, and how it is recorded."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pyrodrop.workflows.measuring.contents import CandidateDroplets
from pyrodrop.workflows.measuring.editing.record import Edit
from pyrodrop.workflows.measuring.editing.request import Circle, Request


class Plan(NamedTuple):
    """The droplets of an edit: numbers of candidates that go, circles that come with their ids, and the record."""

    going: list[int]
    circles: list[Circle]
    ids: list[int]
    edits: list[Edit]


def planned(droplets: CandidateDroplets, edits: Sequence[Edit], request: Request, masked: int) -> Plan:
    """What is to be done.

    Args:
        droplets: the candidates.
        edits: those that were made before, whose ids are not given again.
        request: the edits that are asked for, checked.
        masked: how many pixels are not looked at any more.
    """
    ids = droplets.ids.tolist()
    place = {id_: number for number, id_ in enumerate(ids)}
    mean = {name: droplets.draws[name].double().mean(0).numpy() for name in ("x_px", "y_px", "radius_px")}
    heights = droplets.draws["amplitude"].double().mean(0).abs().sum(0).numpy()
    plan = Plan([], [], [], [])
    next_id = max([*ids, *(id_ for edit in edits for id_ in (*edit.before, *edit.after))], default=-1) + 1

    def circle(id_: int) -> Circle:
        x, y, radius = (round(float(mean[name][place[id_]]), 4) for name in ("x_px", "y_px", "radius_px"))
        return x, y, radius

    def come(circles: list[Circle], ids: list[int]) -> None:
        plan.circles.extend(circles)
        plan.ids.extend(ids)

    for id_ in request.remove:
        plan.going.append(place[id_])
        plan.edits.append(Edit("remove", (id_,), (), (circle(id_),)))
    for drawn in request.add:
        come([drawn], [next_id])
        plan.edits.append(Edit("add", (), (next_id,), (drawn,)))
        next_id += 1
    for id_, drawn in request.move.items():
        plan.going.append(place[id_])
        come([drawn], [id_])
        plan.edits.append(Edit("move", (id_,), (id_,), (circle(id_), drawn)))
    for several in request.merge:
        numbers = [place[id_] for id_ in several]
        plan.going.extend(numbers)
        weight = heights[numbers] * mean["radius_px"][numbers] ** 2 + 1e-300
        x, y = (float(np.average(mean[name][numbers], weights=weight)) for name in ("x_px", "y_px"))
        # A circle around all of them is too large where they are halves of one, the largest of them too small.
        apart = np.hypot(mean["x_px"][numbers] - x, mean["y_px"][numbers] - y)
        largest, around = mean["radius_px"][numbers].max(), (apart + mean["radius_px"][numbers]).max()
        come([(x, y, float(np.sqrt(largest * around)))], [next_id])
        plan.edits.append(Edit("merge", several, (next_id,), tuple(map(circle, several))))
        next_id += 1
    for id_, parts in request.split.items():
        plan.going.append(place[id_])
        new = list(range(next_id, next_id + len(parts)))
        come(list(parts), new)
        plan.edits.append(Edit("split", (id_,), tuple(new), parts))
        next_id += len(parts)
    plan.edits.extend(Edit("keep", (id_,), (id_,), (circle(id_),)) for id_ in request.keep)
    if masked:
        plan.edits.append(Edit("mask", pixels=masked))
    return plan
