"""Tracks in the formats of other programs say what the tables say."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from pyrodrop.results.exports.track_files import laptrack_tables, napari_tracks, write_track_files

TABLE = pd.DataFrame(
    {
        "track": [0, 0, 1, 1, 2, 2],
        "frame": [0, 1, 0, 1, 2, 3],
        "x_px": [1.0, 2.0, 5.0, 4.0, 3.0, 3.5],
        "y_px": [1.0, 1.0, 2.0, 2.0, 1.5, 1.5],
        "radius_px": [2.0, 2.0, 1.0, 1.0, 2.08, 2.08],
        "detected": [1, 1, 1, 0, 1, 1],
        "presence": [0.9, 0.9, 0.9, np.nan, 0.9, 0.9],
        "link_probability": [np.nan, 0.8, np.nan, np.nan, np.nan, 0.7],
        "detection": [0, 2, 1, -1, 3, 4],
    }
)
EVENTS = pd.DataFrame([(2, "merged from", 2, "0 1")], columns=["frame", "event", "track", "others"])


def test_a_layer_of_napari_has_every_row_in_order() -> None:
    layer = napari_tracks(TABLE.sample(frac=1, random_state=0))
    assert layer.columns.tolist() == ["track_id", "t", "y", "x"]
    np.testing.assert_allclose(layer.to_numpy(), TABLE[["track", "frame", "y_px", "x_px"]].to_numpy())


def test_laptrack_has_detections_alone_and_trees_of_what_merged() -> None:
    spots, splits, merges = laptrack_tables(TABLE, EVENTS)
    assert len(spots) == 5
    assert set(spots["tree_id"]) == {0}
    assert merges.to_numpy().tolist() == [[0, 2], [1, 2]]
    assert len(splits) == 0


def test_trackmate_has_spots_in_micrometres_and_an_edge_a_link_and_parent(tmp_path: Path) -> None:
    write_track_files(TABLE, EVENTS, tmp_path, (20, 30), interval_s=2.0, pixel_size_um=0.5)
    root = ElementTree.parse(tmp_path / "trackmate.xml").getroot()
    spots = root.findall("Model/AllSpots/SpotsInFrame/Spot")
    assert len(spots) == 5
    first = {spot.get("ID"): spot for spot in spots}["1"]
    assert [float(first.get(name, "nan")) for name in ("POSITION_X", "POSITION_T", "RADIUS")] == [1.0, 2.0, 1.0]
    edges = {(edge.get("SPOT_SOURCE_ID"), edge.get("SPOT_TARGET_ID")) for edge in root.iter("Edge")}
    assert edges == {("0", "1"), ("3", "4"), ("1", "3"), ("2", "3")}
    assert len(root.findall("Model/AllTracks/Track")) == 1
    assert root.find("Settings/ImageData").attrib["timeinterval"] == "2"
    assert root.find("Model").attrib == {"spatialunits": "um", "timeunits": "sec"}
