"""The edits of a measurement, each with its place: what a person has said that the program had not."""

from collections.abc import Sequence
from typing import Any, NamedTuple

KINDS = ("remove", "add", "move", "merge", "split", "keep", "mask")


class Edit(NamedTuple):
    """One thing that a person has said.

    kind: one of ``KINDS``. before: ids of the droplets that it is about. after: ids of those that stand for them now.
    circles: x, y and radius in px of what was removed or kept, or of what was drawn. pixels: how many a mask has taken
    away.
    """

    kind: str
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    circles: tuple[tuple[float, float, float], ...] = ()
    pixels: int = 0

    def as_dict(self) -> dict[str, Any]:
        """As a file has it, in plain numbers and lists."""
        return {
            "edit": self.kind,
            "before": list(self.before),
            "after": list(self.after),
            "circles": [list(circle) for circle in self.circles],
            "pixels": self.pixels,
        }

    @classmethod
    def of_dict(cls, stored: dict[str, Any]) -> "Edit":
        """What ``as_dict`` made.

        Raises:
            ValueError: it is something else.
        """
        try:
            made = cls(
                stored["edit"],
                tuple(stored["before"]),
                tuple(stored["after"]),
                tuple((float(x), float(y), float(r)) for x, y, r in stored["circles"]),
                stored["pixels"],
            )
        except (KeyError, TypeError) as error:
            raise ValueError("no edit") from error
        whole = (*made.before, *made.after, made.pixels)
        if made.kind not in KINDS or not all(type(value) is int and value >= 0 for value in whole):
            raise ValueError("no edit")
        return made


def edits_in_summary(edits: Sequence[Edit]) -> dict[str, Any]:
    """What a summary says of the edits: how many of each kind, and the list of them."""
    numbers = {kind: sum(edit.kind == kind for edit in edits) for kind in KINDS}
    return {kind: number for kind, number in numbers.items() if number} | {"list": [edit.as_dict() for edit in edits]}


def edits_in_rows(edits: Sequence[Edit]) -> list[dict[str, Any]]:
    """A row for each circle of an edit, as ``edits.csv`` has them; of a mask one without a circle."""
    rows = []
    for number, edit in enumerate(edits):
        words = {"edit": edit.kind, "before": _ids(edit.before), "after": _ids(edit.after)}
        for x, y, radius in edit.circles or ((None, None, None),):
            place = {"x_px": x, "y_px": y, "radius_px": radius, "pixels": edit.pixels or None}
            rows.append({"number": number, **words, **place})
    return rows


def _ids(ids: Sequence[int]) -> str:
    return " ".join(map(str, ids))
