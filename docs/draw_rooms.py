"""Draws which room of the package imports which, from the imports in the sources: the picture of architecture.md."""

import sys
from graphlib import TopologicalSorter
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from import_arrows import ARROWS, room_imports

from pyrodrop.results.figures.shown_figure import ShownFigure

Arrows = dict[str, set[str]]
# How far to the right a room stands; its height follows from the arrows. Rooms that are not named here come last.
COLUMN = {
    "cli": -0.5,
    "workflows.commands": 0.3,
    "workflows.batch": -1.7,
    "workflows.cluster": -2.6,
    "workflows.fitting": -0.55,
    "workflows.tracking": -2.2,
    "workflows.samples": -1.2,
    "workflows.tiles": 0.75,
    "workflows.appearance": 1.5,
    "workflows.learning": 2.6,
    "workflows.measuring": 1.1,
    "workflows": -1.9,
    "recognition": 1.9,
    "detection": 2.6,
    "images.simulation": 0.75,
    "joint": 1.4,
    "models": 0.6,
    "pursuit": 0.25,
    "images": -2.4,
    "results": -1.5,
    "inference": -0.5,
    "rendering": 1.9,
}
COLOURS = {"cli": "#e8e4da", "workflows": "#dfe9f3", "images": "#e3f0e1", "results": "#e3f0e1", "inference": "#f6e3d7"}
OTHERS = "#f3ecf7"


def real_arrows() -> Arrows:
    """Which rooms each room imports, as the sources say today."""
    arrows: Arrows = {name: set() for name in ARROWS}
    for owner, target in room_imports():
        arrows[owner].add(target)
    return arrows


def reached(arrows: Arrows, name: str) -> set[str]:
    """All rooms below a room, by whatever way."""
    below: set[str] = set()
    left = set(arrows[name])
    while left:
        target = left.pop()
        below.add(target)
        left |= arrows[target] - below
    return below


def longest_ways(arrows: Arrows) -> Arrows:
    """The arrows without those that a longer way implies, so that what is left can be seen."""
    return {
        name: targets - set().union(*(reached(arrows, target) for target in targets))
        for name, targets in arrows.items()
    }


def heights(arrows: Arrows) -> dict[str, int]:
    """How high each room stands: above all that it imports. ``CycleError``, which names it, for arrows in a circle."""
    level: dict[str, int] = {}
    for name in TopologicalSorter(arrows).static_order():
        level[name] = 1 + max((level[target] for target in arrows[name]), default=-1)
    return level


def draw(axes: Axes, arrows: Arrows) -> None:
    """A box for each room, and the arrows that no longer way implies."""
    level = heights(arrows)
    boxes: dict[str, Text] = {}
    for name in arrows:
        colour = COLOURS.get(name.partition(".")[0], OTHERS)
        box = {"boxstyle": "round,pad=0.42", "facecolor": colour, "edgecolor": "#556", "linewidth": 0.8}
        at = (COLUMN.get(name, max(COLUMN.values()) + 0.9), level[name])
        words = name.replace(".", "/\n")
        boxes[name] = axes.text(*at, words, ha="center", va="center", fontsize=8.5, bbox=box, zorder=2)
    for owner, targets in longest_ways(arrows).items():
        for target in targets:
            style = {"arrowstyle": "-|>", "color": "#667", "lw": 0.9, "shrinkA": 0, "shrinkB": 1}
            ends = {"patchA": boxes[owner].get_bbox_patch(), "patchB": boxes[target].get_bbox_patch()}
            at, start = boxes[target].get_position(), boxes[owner].get_position()
            axes.annotate("", xy=at, xytext=start, arrowprops=style | ends, zorder=1)
    columns = [box.get_position()[0] for box in boxes.values()]
    axes.set(xlim=(min(columns) - 0.5, max(columns) + 0.5), ylim=(-0.4, max(level.values()) + 0.4))
    axes.set_axis_off()


def figure() -> Figure:
    """The picture of the rooms as they are."""
    picture = ShownFigure(figsize=(8.2, 7.4), layout="constrained")
    draw(picture.subplots(), real_arrows())
    return picture


if __name__ == "__main__":
    figure().savefig("rooms.png", dpi=150)
