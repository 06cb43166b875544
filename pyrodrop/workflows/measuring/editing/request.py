"""What a person asks of a measurement, checked at the door: ids that it has, and circles that lie in its image."""

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrodrop.workflows.settings import SettingError

Circle = tuple[float, float, float]
Mask = NDArray[np.bool_]


class Request(NamedTuple):
    """All edits that are made at once; lengths in px.

    remove, keep: ids. add: circles. move: by the id of a droplet, where it is. merge: ids of droplets that are one.
    split: by the id of a droplet, the circles of those that it is. mask: (H, W), false where is not looked any more.
    """

    remove: tuple[int, ...] = ()
    add: tuple[Circle, ...] = ()
    move: Mapping[int, Circle] = {}
    merge: tuple[tuple[int, ...], ...] = ()
    split: Mapping[int, tuple[Circle, ...]] = {}
    keep: tuple[int, ...] = ()
    mask: Any = None

    @property
    def ids(self) -> tuple[tuple[str, int], ...]:
        """All ids that are named, each with the edit."""
        single = [(kind, id_) for kind in ("remove", "move", "split", "keep") for id_ in getattr(self, kind)]
        return (*single, *(("merge", id_) for ids in self.merge for id_ in ids))

    @property
    def circles(self) -> tuple[tuple[str, Circle], ...]:
        """All circles that are drawn, each with the edit."""
        split = (("split", circle) for circles in self.split.values() for circle in circles)
        return (*(("add", circle) for circle in self.add), *(("move", c) for c in self.move.values()), *split)


def checked_request(
    remove: object, add: object, move: object, merge: object, split: object, keep: object, mask: object
) -> Request:
    """The edits that a caller gives.

    Raises:
        SettingError: for what are no ids and no circles.
    """
    return Request(
        _ids("remove", remove),
        tuple(_circle("add", circle) for circle in _several("add", add, "circles (x, y, radius)")),
        {_id("move", id_): _circle("move", circle) for id_, circle in _by_id("move", move)},
        tuple(_ids("merge", ids, 2) for ids in _several("merge", merge, "tuples of two ids or more")),
        {_id("split", id_): _parts(circles) for id_, circles in _by_id("split", split)},
        _ids("keep", keep),
        mask,
    )


def check_request(request: Request, ids: NDArray[np.int64], looked_at: Mask) -> None:
    """See that the edits are about droplets that there are, each once, and about places that are looked at.

    Args:
        request: the edits.
        ids: of all candidates.
        looked_at: pixels that are, (H, W), after the edit.

    Raises:
        SettingError: it is not so.
    """
    known, seen = set(ids.tolist()), dict[int, str]()
    for kind, id_ in request.ids:
        if id_ not in known:
            raise SettingError(
                f"{kind} names {id_}, and no droplet has that id; give one of the {len(known)} in the column id of "
                "droplets.csv or candidates.csv",
                kind,
            )
        if id_ in seen:
            where = "twice" if seen[id_] == kind else f"which {seen[id_]} names, too"
            raise SettingError(f"{kind} names {id_} {where}; say one thing of each droplet", kind)
        seen[id_] = kind
    height, width = size = looked_at.shape
    for kind, (x, y, radius) in request.circles:
        drawn = f"{kind} has a circle at x {x:g}, y {y:g} with radius {radius:g}"
        if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
            raise SettingError(f"{drawn}, whose centre is outside of the image of {width} x {height} px", kind)
        if radius > max(size):
            raise SettingError(f"{drawn}, which is larger than the image of {width} x {height} px", kind)
        row, column = (int(np.clip(round(place), 0, side - 1)) for place, side in ((y, height), (x, width)))
        if not looked_at[row, column]:
            raise SettingError(f"{drawn}, whose centre lies where the image is not looked at", kind)


def _several(kind: str, values: object, what: str) -> Sequence[Any]:
    if values is None:
        return ()
    if isinstance(values, np.ndarray):
        return values.tolist() if values.ndim else [values.item()]
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise SettingError(f"{kind} is {values!r:.80}, expected a list of {what}", kind)
    return values


def _by_id(kind: str, values: object) -> list[tuple[object, object]]:
    if values is None:
        return []
    if not isinstance(values, Mapping):
        raise SettingError(f"{kind} is {values!r:.80}, expected a dict with an id of a droplet for each key", kind)
    return list(values.items())


def _ids(kind: str, values: object, least: int = 0) -> tuple[int, ...]:
    ids = tuple(_id(kind, value) for value in _several(kind, values, "ids"))
    if len(ids) < least:
        raise SettingError(f"{kind} has {list(ids)}, expected at least {least} ids of droplets that are one", kind)
    return ids


def _id(kind: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise SettingError(f"{kind} has {value!r:.80}, expected an id, a whole number of the column id", kind)
    return int(value)


def _circle(kind: str, value: object) -> Circle:
    numbers = _several(kind, value, "circles (x, y, radius)") if value is not None else ()
    real = all(isinstance(number, Real) and not isinstance(number, bool) for number in numbers)
    if len(numbers) != 3 or not real or not np.isfinite([float(number) for number in numbers]).all():
        raise SettingError(f"{kind} has {value!r:.80}, expected a circle: x, y and radius in px", kind)
    if not numbers[2] > 0:
        raise SettingError(f"{kind} has a circle of radius {numbers[2]}, expected a positive number of px", kind)
    return float(numbers[0]), float(numbers[1]), float(numbers[2])


def _parts(circles: object) -> tuple[Circle, ...]:
    parts = tuple(_circle("split", circle) for circle in _several("split", circles, "circles (x, y, radius)"))
    if len(parts) < 2:
        raise SettingError(f"split has {len(parts)} circles for a droplet, expected at least two", "split")
    return parts
