"""The file of edits: a JSON object that names droplets by their ids, and circles in px, read and checked."""

import json
from pathlib import Path
from typing import Any

from pyrodrop.images.reading.mask_file import read_mask
from pyrodrop.workflows.measuring.editing.record import KINDS
from pyrodrop.workflows.settings import SettingError

# Beside the edits: the SHA-256 of the droplets.csv that they are about, and whatever a person notes.
_OF, _NOTE = "droplets_sha256", "note"
_LARGEST_BYTES = 100_000_000
_ADVICE = f"give an object with lists under any of {', '.join(KINDS)}, as docs/editing.md has it"


def read_edits(path: Path, size: tuple[int, int], digest: str | None) -> dict[str, Any]:
    """The edits of a file, as ``Measurement.edit`` takes them.

    Args:
        path: a JSON object with any of ``KINDS``. move and split have an object, whose keys are ids; mask is the name
            of a file, as for ``pyrodrop measure --mask``, beside this one if it is relative.
        size: height and width of the image in px.
        digest: of the droplets.csv that the ids are of, against the one that the file may note; None for not known.

    Raises:
        SettingError: the file is missing, no JSON, of other results, or says something else.
        ImageError: the file of the mask cannot be read.
    """
    stored = _read(path)
    if unknown := [name for name in stored if name not in (*KINDS, _OF, _NOTE)]:
        raise SettingError(f"{path} has {unknown[0]!r:.60}, which is no edit; {_ADVICE}")
    of = stored.get(_OF)
    if of is not None and digest is not None and of != digest:
        raise SettingError(
            f"{path} holds edits of other results: its {_OF} is not that of the folder's droplets.csv; give the folder "
            "that they were made in"
        )
    edits = {name: value for name, value in stored.items() if name in KINDS}
    for name in ("move", "split"):
        if name in edits:
            edits[name] = _by_id(path, name, edits[name])
    if edits.get("mask") is not None:
        if not isinstance(edits["mask"], str) or not edits["mask"] or "\0" in edits["mask"]:
            raise SettingError(f"{path}: mask is {edits['mask']!r:.60}, expected the name of a file")
        mask = path.parent / edits["mask"]
        if not mask.is_file():
            raise SettingError(f"{path}: mask {mask} is no file; give an image that is not 0 where to look")
        edits["mask"] = read_mask(mask, size)
    if not edits:
        raise SettingError(f"{path} holds no edits; {_ADVICE}")
    return edits


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise SettingError(f"{path} has more than {_LARGEST_BYTES // 10**6} MB, which no edits have; {_ADVICE}")
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingError(f"{path} is not there; {_ADVICE}") from None
    except OSError as error:
        raise SettingError(f"{path} cannot be read ({error.strerror}); {_ADVICE}") from None
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise SettingError(f"{path} is no JSON ({str(error).splitlines()[0]:.80}); {_ADVICE}") from None
    if not isinstance(stored, dict):
        raise SettingError(f"{path} holds no JSON object; {_ADVICE}")
    return stored


def _by_id(path: Path, name: str, value: Any) -> dict[int, Any]:
    if not isinstance(value, dict) or not all(key.isascii() and key.isdecimal() and len(key) < 10 for key in value):
        raise SettingError(f"{path}: {name} is {value!r:.60}, expected an object whose keys are ids; {_ADVICE}")
    return {int(key): circles for key, circles in value.items()}
