"""The widget that corrects opened results in napari: filters, edits, undo, and a file for ``pyrodrop edit``.

napari's own tools do the drawing: its points are added, deleted, dragged and resized as always, and the widget counts,
takes back and saves. Only magicgui is imported, which comes with napari, and only when the widget is made.
"""

from pathlib import Path
from typing import Any

import numpy as np

from pyrodrop.results.page.by_hand import can_be_edited, other_candidates, unfitted_of
from pyrodrop.results.storage.result_folder import ResultError, read_results
from pyrodrop.workflows.napari_edits import NEW, Kept, Points, count_of, edits_between, number_of, write_edits
from pyrodrop.workflows.napari_reader import FOLDER

_HELP = "Open a folder of pyrodrop's results, and choose its droplets in the list of layers."


class DockedByHand:
    """The widget as napari asks for it: called, it is a container of magicgui.

    A class, since napari gives its viewer only to what names it in ``__init__``.
    """

    def __new__(cls, napari_viewer: Any) -> Any:
        """The container of a ``ByHand`` of the viewer."""
        return ByHand(napari_viewer).container

    def __init__(self, napari_viewer: Any) -> None:
        """Never called: ``__new__`` makes something else."""


class ByHand:
    """Corrects the droplets of the layer that is chosen in a viewer.

    Attributes:
        container: what is shown.
        presence, least, greatest: the filters; radii are in px.
        buttons: "remove", "keep", "add", "undo" and "save".
        said: the number of droplets that are kept, with its 90 % interval, and of edits.
        file: where the edits are saved.
    """

    def __init__(self, viewer: Any) -> None:
        from magicgui.widgets import Container, FileEdit, FloatSlider, FloatSpinBox, Label, PushButton

        # napari hands a plugin its viewer wrapped, and wraps what that holds, each time anew: no layer would be itself.
        self._viewer = viewer = getattr(viewer, "__wrapped__", viewer)
        self._busy = False
        self._layer: Any = None
        self._past: list[dict[str, Any]] = []
        self._now: dict[str, Any] = {}
        self.said = Label(value=_HELP)
        self.presence = FloatSlider(value=0, min=0, max=1, step=0.01, label="least presence")
        self.least = FloatSpinBox(value=0, min=0, max=1e6, step=0.5, label="least radius, px")
        self.greatest = FloatSpinBox(value=1e6, min=0, max=1e6, step=0.5, label="greatest radius, px")
        words = {
            "remove": "no droplet: remove what is selected",
            "keep": "a droplet: keep what is selected",
            "add": "add circles, by clicking",
            "undo": "undo",
            "save": "save the edits",
        }
        acts = {"remove": self.remove, "keep": self.keep, "add": self.add, "undo": self.undo, "save": self.save}
        self.buttons = {name: PushButton(text=text) for name, text in words.items()}
        self.file = FileEdit(mode="w", filter="*.json", label="file", value="edits.json")
        for name, button in self.buttons.items():
            button.changed.connect(lambda _, act=acts[name]: act())
        for control in (self.presence, self.least, self.greatest):
            control.changed.connect(lambda _: self.show())
        filters = [self.said, self.presence, self.least, self.greatest]
        self.container = Container(widgets=[*filters, *self.buttons.values(), self.file])
        viewer.layers.selection.events.active.connect(lambda _: self._choose())
        self._choose()

    def remove(self) -> None:
        """Take away the selected points: what they circle is no droplet."""
        if self._layer is not None:
            self._layer.remove_selected()

    def keep(self) -> None:
        """Make the selected points certain: they are droplets."""
        if self._layer is not None and len(self._layer.selected_data):
            self._note()
            features = self._layer.features.copy()
            features.loc[list(self._layer.selected_data), "presence"] = 1.0
            self._layer.features = features
            self._now = self._state()
            self.show()

    def add(self) -> None:
        """Let clicks draw circles, of the size that the layer's controls say."""
        if self._layer is not None:
            self._layer.mode = "add"

    def undo(self) -> None:
        """Take back the last change of the points."""
        if self._layer is not None and self._past:
            self._restore(self._past.pop())
            self._now = self._state()
            self.show()

    def save(self) -> None:
        """Write the edits as a file, and say how to apply them."""
        if self._layer is None:
            return
        edits, path = edits_between(self._before, self._points()), Path(self.file.value)
        if not edits:
            self.said.value = "Nothing was changed, so there is nothing to save."
            return
        try:
            write_edits(edits, self._folder, path)
        except OSError as error:
            self.said.value = f"{path} cannot be written ({error.strerror}); name another file."
            return
        number = number_of(edits)
        saved = "1 edit is saved; apply it" if number == 1 else f"{number} edits are saved; apply them"
        self.said.value = f"{saved} with:\npyrodrop edit\n{self._folder}\n{path}"

    def show(self) -> None:
        """Show the points that the filters keep, and say how many droplets they are."""
        if self._layer is None:
            return
        points = self._points()
        greatest = self.greatest.value if self.greatest.value < self._largest else np.inf
        limits = Kept(self.presence.value, self.least.value, greatest)
        kept = limits.of(points)
        self._layer.shown = kept
        others = self._others.presence[limits.of(self._others)]
        count = count_of(self._before, points, kept, self._shared_doubt, others, limits.of_unfitted(self._unfitted))
        low, middle, high = (count.quantile(level) for level in (0.05, 0.5, 0.95))
        interval = f" ({low} to {high})" if low < high else ""
        number = number_of(edits_between(self._before, points))
        hidden = f", {int((~kept).sum())} hidden" if not kept.all() else ""
        self.said.value = f"{middle}{interval} droplets{hidden}; {number} edit{'' if number == 1 else 's'}"

    def _choose(self) -> None:
        """Take up the layer that is active now, if it is one of droplets; else stay with the last one."""
        layer = self._viewer.layers.selection.active
        folder = getattr(layer, "metadata", {}).get(FOLDER)
        if layer is None or layer is self._layer or folder is None or "id" not in getattr(layer, "features", ()):
            return
        try:
            run = read_results(Path(folder))
        except ResultError as error:
            self.said.value = str(error)
            return
        if not can_be_edited(run):
            self.said.value = f"{run.name} cannot be edited: it is not what pyrodrop measure wrote of a whole image."
            return
        if self._layer is not None:
            self._layer.events.data.disconnect(self._changed)
        self._layer, self._folder, self._before = layer, Path(folder), Points.of_table(run.table)
        self._others = Points.of_table(other_candidates(run))
        self._unfitted = unfitted_of(run)
        doubt = run.summary.get("shared_doubt")
        self._shared_doubt = float(doubt) if isinstance(doubt, int | float) and doubt >= 0 else 0.0
        # No droplet is larger than the image.
        self._largest = float(max(run.size or (self._before.diameters.max(initial=2.0),)))
        self.greatest.value = self._largest
        self.file.value = self._folder / "edits.json"
        self._past, self._now = [], self._state()
        layer.events.data.connect(self._changed)
        self.show()

    def _changed(self, event: Any) -> None:
        """Points were added, deleted or moved, by whichever tool; napari says it before it does it and after."""
        if not self._busy and len(self._layer.features) == len(self._layer.data) == len(self._layer.size):
            self._mark_new()
            now = self._state()
            if not _same(now, self._now):
                self._note()
                self._now = now
                self.show()

    def _mark_new(self) -> None:
        """Give points that were drawn or pasted, which come last, no id: napari copies that of another one."""
        features = self._layer.features.copy()
        if len(features) > (before := len(self._now["data"])):
            features.loc[before:, ["id", "presence"]] = NEW, 1.0
            self._layer.features = features

    def _note(self) -> None:
        """Remember the points as they were before the change."""
        self._past.append(self._now)

    def _state(self) -> dict[str, Any]:
        layer = self._layer
        looks = {name: np.array(getattr(layer, name)) for name in ("size", "border_width", "border_color", "symbol")}
        return {"data": np.array(layer.data), "features": layer.features.copy(), **looks}

    def _restore(self, state: dict[str, Any]) -> None:
        layer = self._layer
        self._busy = True
        try:
            layer.selected_data = set()
            layer.data = state["data"]
            for name in ("features", "size", "border_width", "border_color", "symbol"):
                setattr(layer, name, state[name])
        finally:
            self._busy = False

    def _points(self) -> Points:
        layer = self._layer
        features = layer.features
        return Points(
            np.asarray(layer.data, np.float64)[:, -2:],
            np.asarray(layer.size, np.float64),
            features["id"].fillna(NEW).to_numpy(np.int64),
            features["presence"].fillna(1.0).to_numpy(np.float64),
        )


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    alike = all(np.array_equal(one[name], other[name]) for name in ("data", "size"))
    return alike and bool(one["features"]["id"].equals(other["features"]["id"]))
