"""Tracks for other programs: TrackMate's XML, napari's tracks layer, and the three tables of laptrack."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from pyrodrop.results.storage.atomic_write import atomic_write
from pyrodrop.results.storage.file_writers import write_table

MERGED, SPLIT = "merged from", "split into"
NAPARI = "napari-tracks.csv"
LAPTRACK = ("laptrack-tracks.csv", "laptrack-splits.csv", "laptrack-merges.csv")
TRACKMATE = "trackmate.xml"


def napari_tracks(table: pd.DataFrame) -> pd.DataFrame:
    """What ``viewer.add_tracks`` takes: track, time, y and x, sorted by track and time; of all frames of a track."""
    columns = {"track_id": table["track"], "t": table["frame"], "y": table["y_px"], "x": table["x_px"]}
    return pd.DataFrame(columns).sort_values(["track_id", "t"], ignore_index=True)


def laptrack_tables(table: pd.DataFrame, events: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Tracks, splits and merges as ``laptrack`` returns them.

    A row of the first is a detection, with its ``track_id`` and ``tree_id``; tracks of one tree are those that mergers
    and splits join. A row of the others is a parent's and a child's ``track_id``.
    """
    splits, merges = _children(events, SPLIT), _children(events, MERGED)
    tree = _trees(int(table["track"].max()) + 1 if len(table) else 0, [*splits, *merges])
    seen = table[table["detected"] == 1].sort_values(["frame", "track"], ignore_index=True)
    spots = pd.DataFrame(
        {
            "frame": seen["frame"],
            "index": seen["detection"],
            "track_id": seen["track"],
            "tree_id": tree[seen["track"].to_numpy()],
            "x": seen["x_px"],
            "y": seen["y_px"],
            "radius": seen["radius_px"],
        }
    )
    names = ["parent_track_id", "child_track_id"]
    return spots, pd.DataFrame(splits, columns=names), pd.DataFrame(merges, columns=names)


def write_track_files(
    table: pd.DataFrame,
    events: pd.DataFrame,
    folder: Path,
    size: tuple[int, int],
    interval_s: float | None = None,
    pixel_size_um: float | None = None,
) -> None:
    """Write the tables for napari and laptrack, and the XML for TrackMate, into a folder.

    Args:
        table, events: of tracks, as ``tracks.csv`` and ``events.csv`` hold them.
        folder: where to.
        size: height and width of a frame in px.
        interval_s, pixel_size_um: of a frame and of a pixel; frames and pixels are the units where not given.
    """
    write_table(napari_tracks(table), folder / NAPARI, digits=9)
    for name, part in zip(LAPTRACK, laptrack_tables(table, events), strict=True):
        write_table(part, folder / name, digits=9)
    write_trackmate(table, events, folder / TRACKMATE, size, interval_s, pixel_size_um)


def write_trackmate(
    table: pd.DataFrame,
    events: pd.DataFrame,
    path: str | os.PathLike[str],
    size: tuple[int, int],
    interval_s: float | None = None,
    pixel_size_um: float | None = None,
) -> None:
    """Write detections and tracks as TrackMate's XML (Tinevez et al., Methods 115, 80, 2017).

    Mergers and splits are edges within one of TrackMate's tracks, whose branches are tracks here.
    """
    pixel, step = pixel_size_um or 1.0, interval_s or 1.0
    units = {"spatialunits": "um" if pixel_size_um else "pixel", "timeunits": "sec" if interval_s else "frame"}
    root = ElementTree.Element("TrackMate", version="7.11.1")
    model = ElementTree.SubElement(root, "Model", units)
    _declare_features(model)
    seen = table[table["detected"] == 1].sort_values(["track", "frame"], ignore_index=True)
    frames = int(table["frame"].max()) + 1 if len(table) else 0
    spots = ElementTree.SubElement(model, "AllSpots", nspots=str(len(seen)))
    by_frame = {frame: ElementTree.SubElement(spots, "SpotsInFrame", frame=str(frame)) for frame in range(frames)}
    told: Iterable[Any] = seen.itertuples(index=False)
    for number, row in enumerate(told):
        features = {
            "ID": str(number),
            "name": f"ID{number}",
            "QUALITY": f"{row.presence:.6g}",
            "POSITION_X": f"{row.x_px * pixel:.6f}",
            "POSITION_Y": f"{row.y_px * pixel:.6f}",
            "POSITION_Z": "0.0",
            "POSITION_T": f"{row.frame * step:.6f}",
            "FRAME": str(int(row.frame)),
            "RADIUS": f"{row.radius_px * pixel:.6f}",
            "VISIBILITY": "1",
        }
        ElementTree.SubElement(by_frame[int(row.frame)], "Spot", features)
    _add_tracks(model, seen, events)
    height, width = size
    image = {"filename": "", "folder": "", "width": str(width), "height": str(height), "nslices": "1"}
    image |= {"nframes": str(frames), "pixelwidth": f"{pixel:.9g}", "pixelheight": f"{pixel:.9g}"}
    image |= {"voxeldepth": "1.0", "timeinterval": f"{step:.9g}"}
    ElementTree.SubElement(ElementTree.SubElement(root, "Settings"), "ImageData", image)
    ElementTree.indent(root)
    tree = ElementTree.ElementTree(root)
    atomic_write(path, lambda temporary: tree.write(temporary, encoding="UTF-8", xml_declaration=True))


def _declare_features(model: ElementTree.Element) -> None:
    declared = ElementTree.SubElement(model, "FeatureDeclarations")
    for group, names in (
        ("SpotFeatures", ("QUALITY", "POSITION_X", "POSITION_Y", "POSITION_Z", "POSITION_T", "FRAME", "RADIUS")),
        ("EdgeFeatures", ("SPOT_SOURCE_ID", "SPOT_TARGET_ID", "LINK_COST")),
        ("TrackFeatures", ("TRACK_ID", "NUMBER_SPOTS")),
    ):
        element = ElementTree.SubElement(declared, group)
        for name in names:
            whole = name.endswith("ID") or name in ("FRAME", "NUMBER_SPOTS")
            dimension = {"POSITION_T": "TIME", "QUALITY": "QUALITY", "LINK_COST": "COST"}.get(name, "NONE")
            dimension = "POSITION" if name.startswith("POSITION_") and name != "POSITION_T" else dimension
            dimension = "LENGTH" if name == "RADIUS" else dimension
            words = {"feature": name, "name": name.replace("_", " ").lower(), "shortname": name.lower()}
            ElementTree.SubElement(
                element, "Feature", {**words, "dimension": dimension, "isint": "true" if whole else "false"}
            )


def _add_tracks(model: ElementTree.Element, seen: pd.DataFrame, events: pd.DataFrame) -> None:
    """Edges between spots, one of TrackMate's tracks for each tree."""
    number = int(seen["track"].max()) + 1 if len(seen) else 0
    children = [*_children(events, SPLIT), *_children(events, MERGED)]
    tree = _trees(number, children)
    track = seen["track"].to_numpy()
    first = np.searchsorted(track, np.arange(number))
    last = np.searchsorted(track, np.arange(number), side="right") - 1
    follows = np.flatnonzero(track[1:] == track[:-1])
    edges = [(int(n), int(n) + 1) for n in follows] + [(int(last[a]), int(first[b])) for a, b in children]
    probability = seen["link_probability"].to_numpy()
    by_tree: dict[int, list[tuple[int, int]]] = {}
    for source, target in edges:
        by_tree.setdefault(int(tree[track[source]]), []).append((source, target))
    every = ElementTree.SubElement(model, "AllTracks")
    for name, own in by_tree.items():
        spots = len({spot for edge in own for spot in edge})
        words = {"name": f"Track_{name}", "TRACK_ID": str(name), "NUMBER_SPOTS": str(spots)}
        element = ElementTree.SubElement(every, "Track", words)
        for source, target in own:
            cost = 1 - probability[target] if np.isfinite(probability[target]) else 0.0
            ends = {"SPOT_SOURCE_ID": str(source), "SPOT_TARGET_ID": str(target), "LINK_COST": f"{cost:.6g}"}
            ElementTree.SubElement(element, "Edge", ends)
    shown = ElementTree.SubElement(model, "FilteredTracks")
    for name in by_tree:
        ElementTree.SubElement(shown, "TrackID", TRACK_ID=str(name))


def _children(events: pd.DataFrame, kind: str) -> list[tuple[int, int]]:
    """Tracks that became others, each as parent and child."""
    rows = events.loc[events["event"] == kind, ["track", "others"]].itertuples(index=False)
    pairs = [(int(own), int(other)) for own, others in rows for other in str(others).split()]
    return pairs if kind == SPLIT else [(other, own) for own, other in pairs]


def _trees(number: int, children: list[tuple[int, int]]) -> np.ndarray:
    """The tree of each track, by the smallest number among its tracks."""
    tree = np.arange(number)
    changed = True
    while changed:
        changed = False
        for a, b in children:
            low = min(tree[a], tree[b])
            if tree[a] != low or tree[b] != low:
                tree[a] = tree[b] = low
                changed = True
    return tree
