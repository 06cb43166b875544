"""What a fit leaves behind on disk: plain tensors, written whole or not at all."""

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pyrodrop.results.storage.atomic_write import atomic_write


class CheckpointError(ValueError):
    """A file that cannot be continued from; the message says why and what to do."""


def save_state(state: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a dict of tensors, numbers and strings as one file that loads with ``weights_only=True``."""
    # By way of memory: on a full disk torch's own writer raises whatever it likes, and not an OSError.
    packed = io.BytesIO()
    torch.save(dict(state), packed)
    atomic_write(path, lambda temporary: temporary.write_bytes(packed.getbuffer()))


def load_state(path: str | os.PathLike[str], kind: str | tuple[str, ...], needs: Mapping[str, type]) -> dict[str, Any]:
    """Read what ``save_state`` wrote. A checkpoint is data: no code in it is ever run.

    Args:
        path: the file.
        kind: the value its entry ``kind`` must have, or several it may have.
        needs: the entries it must have, and their types.

    Raises:
        CheckpointError: if the file is missing, damaged, or of another kind.
    """
    path = Path(path)
    advice = "give the fit.pt that a fit has written"
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint; {advice}")
    try:
        _check_archive(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen types for a damaged file
        raise CheckpointError(f"{path} is not a readable checkpoint (damaged or something else); {advice}") from error
    kinds = (kind,) if isinstance(kind, str) else kind
    stored_kind = state.get("kind") if isinstance(state, dict) else state
    if not isinstance(stored_kind, str) or stored_kind not in kinds:
        # Only words are shown: written out, lists of a list of a list ... can be longer than any memory.
        described = repr(stored_kind[:60]) if isinstance(stored_kind, str) else f"type {type(stored_kind).__name__}"
        described = "no kind" if stored_kind is None else described
        raise CheckpointError(
            f"{path} is a checkpoint of {described}, expected {' or '.join(map(repr, kinds))}; {advice}"
        )
    for name, expected in needs.items():
        if not isinstance(state.get(name), expected):
            raise CheckpointError(f"{path} is damaged: {name!r} is missing or no {expected.__name__}; {advice}")
    return state


def _check_archive(path: Path) -> None:
    """Raise for an archive that ``torch.save`` would not write, before any of it is taken into memory."""
    with zipfile.ZipFile(path) as archive:  # torch itself does not look at the check sums
        entries = archive.infolist()
        # torch compresses nothing: an entry that is compressed, or that lies over another, claims more than there is.
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("an entry is compressed")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise ValueError("its entries claim more than the file has")
        if len({entry.filename for entry in entries}) < len(entries):
            raise ValueError("an entry is there twice")
        damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"{damaged} does not match its check sum")
