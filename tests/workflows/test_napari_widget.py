"""The widget in napari itself, without a screen: what a person does with napari's tools is what is counted and saved.

It runs where napari is installed, in a process of its own, for napari and Qt warn of their own code.
"""

import inspect
import json
import re
from importlib import import_module, resources
from pathlib import Path

import pytest
from fresh_python import run_python

import pyrodrop
from pyrodrop.images.micrograph import write_png
from pyrodrop.workflows.commands.edit import edit_folder
from pyrodrop.workflows.commands.measure import measure_image

ACTS = """
import json, os, sys
os.environ["QT_QPA_PLATFORM"] = "offscreen"
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication
from pyrodrop.workflows.napari_reader import read_layers
from napari.utils._proxies import PublicOnlyProxy
from pyrodrop.workflows.napari_widget import ByHand, DockedByHand

app = QApplication([])
viewer = ViewerModel()
for data, how, kind in read_layers(sys.argv[1]):
    layer = getattr(viewer, "add_" + {"points": "points", "image": "image"}[kind])(data, **how)
assert len(DockedByHand(napari_viewer=PublicOnlyProxy(viewer))) == 10
widget = ByHand(PublicOnlyProxy(viewer))  # as napari gives its viewer to plugins
viewer.layers.selection.active = viewer.layers[0]
viewer.layers.selection.active = layer
says = [widget.said.value]

def press(name):
    widget.buttons[name].native.click()
    says.append(widget.said.value)

widest = layer.size.max()
widget.least.value = widest / 2 - 1e-3
says.append(widget.said.value)
shown = layer.shown.tolist()
widget.least.value = 0
layer.selected_data = {0}
press("remove")
press("add")
mode = layer.mode
layer.current_size = 9
layer.add([20.0, 30.0])
says.append(widget.said.value)
layer.selected_data = {1}
press("remove")
press("undo")
layer.selected_data = {0}
press("keep")
left = len(layer.data)
press("save")
print(json.dumps({"says": says, "shown": shown, "mode": mode, "left": left}))
"""


def test_what_the_manifest_names_is_given_napari_s_viewer() -> None:
    """Only a class is, whose ``__init__`` names it: a function of that argument would be called without."""
    manifest = resources.files("pyrodrop").joinpath("napari.yaml").read_text(encoding="utf-8")
    ((module, name),) = re.findall(r"id: pyrodrop.by_hand\n.*\n +python_name: ([\w.]+):(\w+)", manifest)
    assert "napari_viewer" in inspect.signature(getattr(import_module(module), name).__init__).parameters


def test_what_a_person_does_is_counted_taken_back_and_saved(tmp_path: Path) -> None:
    image, _ = pyrodrop.simulate(5, (70, 90), seed=6, kind="gray", profile="disc", radius_px=(4, 8), noise=0.02)
    write_png(image, tmp_path / "drops.png")
    folder = tmp_path / "drops"
    before = measure_image(str(tmp_path / "drops.png"), str(folder), profile="disc", progress=False)
    run = run_python("-W", "ignore", "-c", ACTS, str(folder))
    if "No module named 'napari'" in run.stderr:
        pytest.skip("napari is not installed")
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout.splitlines()[-1])
    n = before["n_droplets"]
    start, filtered, removed, _, added, again, undone, _, saved = seen["says"]
    assert start == f"{n} droplets; 0 edits"
    assert filtered.startswith(f"1 droplets, {n - 1} hidden")
    assert sum(seen["shown"]) == 1
    assert removed == f"{n - 1} droplets; 1 edit"
    assert seen["mode"] == "add"
    assert added == undone == f"{n} droplets; 2 edits"
    assert again == f"{n - 1} droplets; 3 edits"
    assert seen["left"] == n
    assert "apply them with:\npyrodrop edit" in saved
    edits = json.loads((folder / "edits.json").read_text())
    assert edits["add"] == [[30.0, 20.0, 4.5]]
    assert len(edits["remove"]) == 1
    done = edit_folder(folder, folder / "edits.json", tmp_path / "edited")
    assert done["edits"] == {"remove": 1, "add": 1, "keep": 1}
