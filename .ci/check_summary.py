"""Is what `pyrodrop fit` wrote what docs/cli.md promises? python .ci/check_summary.py DIR"""

import csv
import json
import math
import sys
from pathlib import Path

COLUMNS = ["x_px", "y_px", "radius_px", "amplitude"]
SUMMARY = {"version", "seed", "device", "channel", "steps", "seconds", "iterations_per_second"}


def reject(token: str) -> float:
    raise ValueError(f"summary.json holds {token}, which is no JSON")


def main(folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"), parse_constant=reject)
    missing = SUMMARY - summary.keys()
    assert not missing, f"summary.json lacks {sorted(missing)}"
    with (folder / "droplets.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows, "droplets.csv has no droplets"
    for name in COLUMNS:
        for column in (name, f"{name}_sd", f"{name}_q05", f"{name}_q95"):
            assert all(math.isfinite(float(row[column])) for row in rows), f"{column} has a gap"
    print(f"{len(rows)} droplets; summary.json: {', '.join(summary)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
