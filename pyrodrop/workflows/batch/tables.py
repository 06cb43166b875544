"""The results of a batch as one: a table of all droplets, a table of all images, and a summary."""

import csv
import hashlib
import importlib.util
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from pyrodrop.results.storage.atomic_write import atomic_write
from pyrodrop.results.storage.run_files import begin_run, finish_run
from pyrodrop.results.storage.sealed_files import read_sealed

DROPLETS, IMAGES, SUMMARY, PARQUET = "droplets.csv", "summary.csv", "summary.json", "droplets.parquet"
_WHOLE_NUMBERS = ("frame", "id")
# The name of a file may be no text: what is none of it is written as an escape.
_ERRORS = "backslashreplace"


class Entry(NamedTuple):
    """One image of a batch, and what has become of it.

    Attributes:
        name: the image as it was asked for.
        frame: the picture in a file of several, or None.
        key: of the result; "" for a file that could not be read.
        folder: of the results.
        reason: one line on why it failed; None if it did not.
        columns: what a sheet says of it.
    """

    name: str
    frame: int | None
    key: str
    folder: Path
    reason: str | None = None
    columns: Mapping[str, str] = MappingProxyType({})


def put_together(entries: Sequence[Entry], out: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Write the tables and the summary of a batch, if they are not those of these very results already.

    Args:
        entries: the images, in the order of the tables.
        out: the folder.
        about: what else the summary says.

    Returns:
        The summary.
    """
    state = _state_of(entries, about)
    known = _known(out)
    if known is not None and known["state"] == state and _hashes(out, known["tables"]) == known["tables"]:
        return known
    failures = [
        {"image": e.name, **({} if e.frame is None else {"frame": e.frame}), "reason": e.reason}
        for e in entries
        if e.reason is not None
    ]
    tables = [DROPLETS, IMAGES] + [PARQUET] * _has_parquet()
    begin_run(out, tables, keep=tables)
    atomic_write(out / DROPLETS, lambda path: _write_droplets(entries, path))
    rows, kinds = _kinds(out / DROPLETS)
    if _has_parquet():
        atomic_write(out / PARQUET, lambda path: _write_parquet(out / DROPLETS, kinds, path))
    atomic_write(out / IMAGES, lambda path: _write_images(entries, path))
    summary = {
        **about,
        "images": len(entries),
        "done": len(entries) - len(failures),
        "failed": len(failures),
        "droplets": rows,
        "failures": failures,
        "tables": _hashes(out, tables),
        "state": state,
    }
    finish_run(out, summary, sealed=True)
    return summary


def _state_of(entries: Iterable[Entry], about: Mapping[str, Any]) -> str:
    parts = [[e.name, e.frame, e.key, e.folder.name, e.reason, *sorted(e.columns.items())] for e in entries]
    content = json.dumps([about, _has_parquet(), parts], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def _known(out: Path) -> dict[str, Any] | None:
    try:
        known = read_sealed(out / SUMMARY)
        return known if {"state", "tables"} <= known.keys() else None
    except (OSError, ValueError):
        return None


def _hashes(out: Path, tables: Iterable[str]) -> dict[str, str]:
    """SHA-256 of those of the tables that are there, in hexadecimal digits."""
    hashes = {}
    for name in tables:
        if (out / name).is_file():
            with (out / name).open("rb") as file:
                hashes[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def _has_parquet() -> bool:
    return importlib.util.find_spec("pyarrow") is not None


def _rows(entries: Iterable[Entry]) -> Iterator[tuple[Entry, list[str], Iterator[list[str]]]]:
    for entry in entries:
        if entry.reason is None:
            with (entry.folder / DROPLETS).open(newline="", encoding="utf-8") as file:
                reader = csv.reader(file)
                yield entry, next(reader, []), reader


def _write_droplets(entries: Sequence[Entry], path: Path) -> None:
    """One row a droplet, whatever their number: no more than one image's are ever in memory."""
    frames = any(entry.frame is not None for entry in entries)
    columns = dict.fromkeys(name for _, header, _ in _rows(entries) for name in header)
    said = dict.fromkeys(name for entry in entries for name in entry.columns)
    with path.open("w", newline="", encoding="utf-8", errors=_ERRORS) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", *(["frame"] if frames else []), *said, *columns])
        for entry, header, rows in _rows(entries):
            at = {name: number for number, name in enumerate(header)}
            places = [at.get(name) for name in columns]
            own = [entry.name, *(["" if entry.frame is None else str(entry.frame)] if frames else [])]
            own += [entry.columns.get(name, "") for name in said]
            writer.writerows([*own, *("" if p is None else row[p] for p in places)] for row in rows)


def _kinds(path: Path) -> tuple[int, dict[str, str]]:
    """The number of rows of a table, and of every column whether it holds numbers or text."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = next(reader)
        numbers = set(range(1, len(header)))
        rows = 0
        for row in reader:
            rows += 1
            for column in [column for column in numbers if row[column]]:
                try:
                    float(row[column])
                except ValueError:
                    numbers.discard(column)
    kinds = {name: "number" if column in numbers else "text" for column, name in enumerate(header)}
    return rows, kinds | {"image": "text", "sample": "text", "flags": "text"}


def _write_parquet(table: Path, kinds: Mapping[str, str], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    types = {name: pa.float64() if kind == "number" else pa.string() for name, kind in kinds.items()}
    types |= {name: pa.int64() for name in _WHOLE_NUMBERS if kinds.get(name) == "number"}
    with table.open(newline="", encoding="utf-8") as file:
        names = next(csv.reader(file))
    schema = pa.schema([(name, types[name]) for name in names])
    how = pa.csv.ConvertOptions(column_types=types, strings_can_be_null=False)
    lines = pa.csv.ParseOptions(newlines_in_values=True)  # as a name of a file may have them
    with (
        pa.csv.open_csv(table, parse_options=lines, convert_options=how) as batches,
        pa.parquet.ParquetWriter(path, schema) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)


def _write_images(entries: Sequence[Entry], path: Path) -> None:
    """One row an image: what has become of it, and the numbers of its summary."""
    rows: list[dict[str, Any]] = []
    for entry in entries:
        row: dict[str, Any] = {"image": entry.name, "frame": "" if entry.frame is None else entry.frame}
        row |= entry.columns
        if entry.reason is None:
            summary = json.loads((entry.folder / SUMMARY).read_text())
            row |= {"state": "done", "folder": entry.folder.name, "reason": ""}
            row |= {name: value for name, value in _flat(summary) if name not in row}
        else:
            row |= {"state": "failed", "folder": "", "reason": entry.reason}
        rows.append(row)
    columns = dict.fromkeys(name for row in rows for name in row)
    with path.open("w", newline="", encoding="utf-8", errors=_ERRORS) as file:
        writer = csv.DictWriter(file, list(columns), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _flat(summary: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Numbers and words of a summary with those within it, as ("count_mean", 12.0); lists are left out."""
    for name, value in summary.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}_")
        elif not isinstance(value, list):
            yield prefix + name, "" if value is None else value
