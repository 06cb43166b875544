"""Are droplets followed rightly through time, is it as sure as it says, and what do trackpy and laptrack make of them?

Stacks are simulated by ``tracked_scenes.py``, which is not the model that pyrodrop links with. Counted are

- links: a pair of successive detections of one droplet that stays within the image. Share of them that were found, and
  of the links that were made how many are of two droplets. Links into the product of a merger count for nobody.
- calibration: of pairs that may be linked, the expected error of their probabilities (10 bins), of all pairs and of
  those that are not certain (between 0.001 and 0.999);
- mergers: F1, of those whose three droplets are detected;
- rates: how often 90 % intervals of dr/dt, d(r^2)/dt, d(r^3)/dt and mobility hold the truth of a track;
- the exponent of coarsening, of ripening;
- process time of linking, and the memory that it takes.

trackpy and laptrack are told the best radius of search: each is run with several, scored with the truth, and the best
is kept. Where they are not installed a line says so.

python benchmarks/tracking.py --scenes brownian --save tracking.json
"""

import argparse
import json
import time
from typing import Any

import numpy as np
import pandas as pd
from machine import describe_machine, machine_lines, peak_memory_mb, reset_peak_memory
from numpy.typing import NDArray
from tracked_scenes import Scene, Truth, scene

from pyrodrop.workflows.tracking.paths.alternatives import LinkPosterior
from pyrodrop.workflows.tracking.paths.detections import detections_of
from pyrodrop.workflows.tracking.paths.following import follow
from pyrodrop.workflows.tracking.tracks import Tracks

Numbers = NDArray[np.int64]

SCENES = {
    "brownian": Scene(diffusion=3.0),
    "fast": Scene(diffusion=12.0, spacing=22.0),
    "drift": Scene(diffusion=1.0, drift=(9.0, 3.0), drift_change=1.0),
    "ripening": Scene(diffusion=0.5, law="ripening", growth=20.0, radius=5.0, spacing=34.0),
    "coalescence": Scene(diffusion=1.0, coalescence=0.5, spacing=30.0),
    "fading": Scene(diffusion=2.0, fading=0.01, misses=0.03),
    "gaps": Scene(diffusion=2.0, missing=0.1, misses=0.08, false=0.02),
}


def successors(frame: Numbers, droplet: Numbers, truth: Truth) -> Numbers:
    """The detection of the same droplet before each, where it was within the image all the time; else -1."""
    inside: dict[int, set[int]] = {}
    for name, t in truth.paths[["droplet", "frame"]].to_numpy().astype(int):
        inside.setdefault(int(name), set()).add(int(t))
    last: dict[int, int] = {}
    before = np.full(len(frame), -1, dtype=np.int64)
    for n, name in enumerate(droplet.tolist()):
        if name < 0:
            continue
        i = last.get(name, -1)
        if i >= 0 and all(t in inside[name] for t in range(frame[i], frame[n])):
            before[n] = i
        last[name] = n
    return before


def score(before: Numbers, true: Numbers, droplet: Numbers, joined: set[int]) -> dict[str, float]:
    """Shares of true links that were found, and of made links that are of two droplets."""
    counts = true >= 0
    # into the product of a merger from one of its parents: a matter of words
    into = np.array([name in joined for name in droplet.tolist()])
    first = into & (true < 0)
    made = (before >= 0) & ~first
    other = made & (droplet[np.maximum(before, 0)] != droplet)
    return {
        "links_found": float((before[counts] == true[counts]).mean()),
        "links_wrong": float(other.sum() / max(made.sum(), 1)),
        "links": int(counts.sum()),
    }


def calibration(probability: NDArray[np.float64], right: NDArray[np.bool_]) -> dict[str, float]:
    """Expected calibration error in ten bins, of all pairs and of those that are not certain."""

    def error(chosen: NDArray[np.bool_]) -> float:
        p, y = probability[chosen], right[chosen]
        if not len(p):
            return float("nan")
        bins = np.minimum((10 * p).astype(int), 9)
        parts = [(bins == b) for b in range(10)]
        return float(sum(part.sum() * abs(p[part].mean() - y[part].mean()) for part in parts if part.any()) / len(p))

    unsure = (probability > 1e-3) & (probability < 1 - 1e-3)
    return {"ece": error(np.ones(len(right), bool)), "ece_unsure": error(unsure), "unsure": int(unsure.sum())}


def ours(settings: Scene, with_peers: bool) -> dict[str, Any]:
    """All that is said of one scene."""
    table, truth = scene(settings)
    detections = detections_of(table, truth.size, settings.frames, truth.missing)
    reset_peak_memory()
    before_mb = peak_memory_mb() or 0.0
    started = time.process_time()
    found = follow(detections)
    seconds = time.process_time() - started
    droplet = truth.droplet[detections.rows]
    true = successors(detections.frame, droplet, truth)
    joined = set(truth.mergers["product"].astype(int))
    posterior = found.posterior
    said: dict[str, Any] = {"detections": len(table), "process_seconds": round(seconds, 1)}
    said["memory_mb"] = round((peak_memory_mb() or 0.0) - before_mb)
    said |= score(found.links.before, true, droplet, joined)
    said |= calibration(posterior.probability, right_pairs(posterior, droplet))
    tracks = Tracks(found)
    said |= _mergers(found.joined, droplet, truth) if len(truth.mergers) else {}
    said |= coverage(tracks, truth, settings)
    if settings.law == "ripening" and tracks.coarsening is not None:
        coarse = tracks.coarsening
        said |= {"exponent": coarse.exponent, "exponent_q05": coarse.q05, "exponent_q95": coarse.q95}
        said["log_evidence_cubic"] = coarse.log_evidence
    if with_peers:
        said["peers"] = peers(table, truth, detections.rows, true, droplet, joined, settings)
    return said


def right_pairs(posterior: LinkPosterior, droplet: Numbers) -> NDArray[np.bool_]:
    """Whether each pair is of one droplet, and none of its detections lies between; detections are sorted by frame."""
    last: dict[int, int] = {}
    before = np.full(len(droplet), -1, dtype=np.int64)
    for n, name in enumerate(droplet.tolist()):
        if name >= 0:
            before[n] = last.get(name, -1)
            last[name] = n
    return np.asarray(before[posterior.tails] == posterior.heads)


def _triples(joined: Any, droplet: Numbers, truth: Truth) -> tuple[set[Any], set[Any]]:
    """True mergers whose three droplets are detected, and those that were found, by the droplets' names."""
    seen = set(droplet.tolist())
    true = {(frozenset((a, b)), c) for _, a, b, c in truth.mergers.astype(int).to_numpy().tolist()}
    columns = (droplet[numbers].tolist() for numbers in joined[:3])
    found = {(frozenset((a, b)), c) for a, b, c in zip(*columns, strict=True)}
    return {each for each in true if each[1] in seen and each[0] <= seen}, found


def merger_counts(joined: Any, droplet: Numbers, truth: Truth) -> Numbers:
    """How many mergers there were, how many were found, and how many of these are right, (3,)."""
    true, found = _triples(joined, droplet, truth)
    return np.array([len(true), len(found), len(true & found)])


def _mergers(joined: Any, droplet: Numbers, truth: Truth) -> dict[str, float]:
    true, found = _triples(joined, droplet, truth)
    right = len(found & true)
    # a frame early or late: the product, or the parent that goes on, then has the other's name
    near = 0
    for both, c in true:
        names = {c, *both}
        near += any(each[1] in names and each[0] & both and each[0] <= names for each in found)
    total = max(len(found) + len(true), 1)
    return {"mergers": len(true), "mergers_f1": 2 * right / total, "mergers_f1_within_a_frame": 2 * near / total}


def coverage(tracks: Tracks, truth: Truth, settings: Scene) -> dict[str, float]:
    """How often intervals of rates hold the truth, of tracks of one droplet with five detections and more."""
    radius = {(int(k), int(t)): r for k, t, r in truth.paths[["droplet", "frame", "radius"]].to_numpy()}
    rates = tracks.rates
    held: list[list[bool]] = []
    for track, rows in tracks.table[tracks.table["detected"] == 1].groupby("track"):
        names = set(truth.droplet[rows["detection"].to_numpy()].tolist())
        if len(rows) < 5 or len(names) > 1 or -1 in names:
            continue
        name, first, last = names.pop(), int(rows["frame"].iloc[0]), int(rows["frame"].iloc[-1])
        way = [radius[name, t] for t in range(first, last + 1) if (name, t) in radius]
        a, b, n = radius[name, first], radius[name, last], last - first
        moved = float(np.mean([settings.diffusion * settings.radius / r for r in way[:-1]]))
        row = rates.loc[int(track)]
        true = {"dr_dt_px_per_frame": (b - a) / n, "dr2_dt_px2_per_frame": (b**2 - a**2) / n}
        true |= {"dr3_dt_px3_per_frame": (b**3 - a**3) / n, "mobility_px2_per_frame": moved}
        held.append([row[f"{key}_q05"] <= value <= row[f"{key}_q95"] for key, value in true.items()])
    names_of = ("dr_dt", "dr2_dt", "dr3_dt", "mobility")
    return {f"coverage_{key}": float(value) for key, value in zip(names_of, np.mean(held, 0), strict=True)} | {
        "tracks": len(held)
    }


def peers(
    table: pd.DataFrame,
    truth: Truth,
    rows: Numbers,
    true: Numbers,
    droplet: Numbers,
    joined: set[int],
    settings: Scene,
) -> dict[str, Any]:
    """Trackpy and laptrack on the same table, each with the radius of search that is best by the truth."""
    said: dict[str, Any] = {}
    ordered = table.iloc[rows].reset_index(drop=True).rename(columns={"x_px": "x", "y_px": "y"})
    reaches = settings.spacing * np.array([0.15, 0.25, 0.4, 0.6])
    for name, run in (("trackpy", _trackpy), ("laptrack", _laptrack)):
        tried = []
        for reach in reaches:
            try:
                started = time.process_time()
                particle = run(ordered, float(reach))
            except ImportError:
                said[name] = "not installed"
                print(f"{name} is not installed: pip install {name}")
                break
            except Exception as error:  # trackpy gives up where too many droplets are within reach
                said.setdefault(f"{name}_failed", {})[f"{reach:.1f}"] = type(error).__name__
                continue
            before = _before(particle)
            found = score(before, true, droplet, joined)
            found |= {"reach_px": float(reach), "process_seconds": round(time.process_time() - started, 1)}
            tried.append(found)
        if tried:
            said[name] = max(tried, key=lambda each: each["links_found"] - each["links_wrong"])
    return said


def _trackpy(ordered: pd.DataFrame, reach: float) -> Numbers:
    import trackpy

    trackpy.quiet()
    trackpy.linking.Linker.MAX_SUB_NET_SIZE = 14  # its default of 30 may take hours
    linked = trackpy.link(ordered[["frame", "x", "y"]].copy(), search_range=reach, memory=3)
    return linked.sort_index()["particle"].to_numpy().astype(np.int64)


def _laptrack(ordered: pd.DataFrame, reach: float) -> Numbers:
    from laptrack import LapTrack

    how = {"cutoff": reach**2, "gap_closing_cutoff": (1.5 * reach) ** 2, "gap_closing_max_frame_count": 3}
    tracker = LapTrack(splitting_cutoff=False, merging_cutoff=False, **how)
    numbered = ordered[["frame", "x", "y"]].assign(number=np.arange(len(ordered)))
    spots, _, _ = tracker.predict_dataframe(
        numbered, coordinate_cols=["x", "y"], frame_col="frame", only_coordinate_cols=False
    )
    return spots.sort_values("number")["track_id"].to_numpy().astype(np.int64)


def _before(particle: Numbers) -> Numbers:
    last: dict[int, int] = {}
    before = np.full(len(particle), -1, dtype=np.int64)
    for n, name in enumerate(particle.tolist()):
        before[n] = last.get(name, -1)
        last[name] = n
    return before


def main() -> None:
    """Run the scenes that were asked for, and print and save what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scenes", nargs="+", choices=tuple(SCENES), default=tuple(SCENES))
    parser.add_argument("--droplets", type=int, default=1000)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--no-peers", action="store_true", help="without trackpy and laptrack")
    parser.add_argument("--save", metavar="FILE.JSON")
    words = parser.parse_args()
    from dataclasses import replace

    # what is compiled on the first run is no part of the linking
    follow(detections_of(scene(Scene(droplets=20, frames=6, missing=0.0))[0]))
    machine = describe_machine()
    print(machine_lines(machine))
    results: dict[str, Any] = {"machine": machine, "droplets": words.droplets, "frames": words.frames, "scenes": {}}
    for name in words.scenes:
        said = ours(replace(SCENES[name], droplets=words.droplets, frames=words.frames), not words.no_peers)
        results["scenes"][name] = said
        print(name, json.dumps(said, indent=1), flush=True)
        if words.save:
            with open(words.save, "w", encoding="utf-8") as file:
                json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
