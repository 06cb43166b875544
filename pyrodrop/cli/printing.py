"""What the command line prints: results one to a line or as JSON, and errors in one line."""

import json
import re
import sys
from collections.abc import Mapping
from typing import Any

# Characters of a message; of a longer one the ends are shown.
_LONGEST = 1_500


def show(results: dict[str, Any], as_json: bool) -> None:
    """Print results on standard output, as JSON or one to a line."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:  # a name of a file may hold what no terminal shows
        reconfigure(errors="backslashreplace")
    if as_json:
        print(json.dumps(results, indent=2))
        return
    for name, value in results.items():
        if value == {}:
            continue
        if isinstance(value, dict) and any(isinstance(item, dict) for item in value.values()):
            print(f"{name}:")
            for key, item in value.items():
                print(f"  {key}: {_short(item)}")
        elif isinstance(value, list):
            print(f"{name}: {'none' if not value else ''}".rstrip())
            for item in value:
                print(f"  {_short(_without_tables(item))}")
        else:
            print(f"{name}: {_short(value)}")


def _without_tables(value: object) -> object:
    """A result of several, as one kind of droplets, without its parts that hold many results each."""
    if not isinstance(value, dict):
        return value
    return {
        key: item
        for key, item in value.items()
        if not (isinstance(item, dict) and any(isinstance(part, dict) for part in item.values()))
    }


def _short(value: object) -> str:
    """A result in a few characters; an estimate as its mean and its 90 % interval; one that has a sentence, as that."""
    if isinstance(value, dict) and value.keys() == {"mean", "q05", "q95"}:
        mean, low, high = (_rounded(value[part]) for part in ("mean", "q05", "q95"))
        return f"{mean} ({low} to {high})"
    if isinstance(value, dict) and {"median", "q05", "q95"} <= value.keys():
        middle, low, high = (_rounded(value[part]) for part in ("median", "q05", "q95"))
        more = {key: item for key, item in value.items() if key not in ("median", "q05", "q95")}
        return f"{middle} ({low} to {high})" + (f", {_short(more)}" if more else "")
    if isinstance(value, dict) and "sentence" in value:
        return str(value["sentence"])
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(item)}" for key, item in value.items())
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _rounded(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


def one_line(message: str) -> str:
    """A message without what is no part of a line, as names of files may have it: that is written as an escape."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST // 2]} ... {shown[-_LONGEST // 2 :]}"


def with_flags(error: Exception, flags: Mapping[str, str]) -> str:
    """The message of an error that names settings, with the flags of the command line in their places.

    The error lists the settings that its message names as ``settings``. Wherever one is given a value it is replaced:
    ``white=4095`` becomes ``--white-level 4095``. Else it is replaced where it first stands as a word of its own, not
    as part of the name of a file.

    Args:
        error: what a workflow has raised.
        flags: by the name of a setting in Python, its flag.
    """
    message = str(error)
    for setting in getattr(error, "settings", ()):
        if setting in flags:
            word = rf"(?<![\w./\\-]){re.escape(setting)}(?![\w/\\-]|\.\w)"
            message, times = re.subn(rf"{word}=", f"{flags[setting]} ", message)
            if not times:
                message = re.sub(word, flags[setting], message, count=1)
    return message
