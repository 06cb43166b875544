"""What a fit leaves behind on disk: plain tensors, written whole or not at all."""

import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch


class CheckpointError(ValueError):
    """A file that cannot be continued from; the message says why and what to do."""


def write_whole(path: str | os.PathLike[str], write: Callable[[Path], object]) -> None:
    """Write a file by way of a temporary one beside it, so that nobody ever sees half of it.

    Args:
        path: the file to be written or replaced.
        write: writes to the temporary path that it is given, which has the same suffix.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        umask = os.umask(0)  # mkstemp makes files that only their owner reads
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def save_state(state: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a dict of tensors, numbers and strings as one file that loads with ``weights_only=True``."""
    write_whole(path, lambda temporary: torch.save(dict(state), temporary))


def load_state(path: str | os.PathLike[str], kind: str, needs: Mapping[str, type]) -> dict[str, Any]:
    """Read what ``save_state`` wrote. A checkpoint is data: no code in it is ever run.

    Args:
        path: the file.
        kind: the value its entry ``kind`` must have.
        needs: the entries it must have, and their types.

    Raises:
        CheckpointError: if the file is missing, damaged, or of another kind.
    """
    path = Path(path)
    advice = "give the fit.pt that a fit has written"
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint; {advice}")
    try:
        with zipfile.ZipFile(path) as archive:  # torch itself does not look at the check sums
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"{damaged} does not match its check sum")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen types for a damaged file
        raise CheckpointError(f"{path} is not a readable checkpoint (damaged or something else); {advice}") from error
    if not isinstance(state, dict) or state.get("kind") != kind:
        found = state.get("kind") if isinstance(state, dict) else type(state).__name__
        raise CheckpointError(f"{path} is a checkpoint of {found!r}, expected {kind!r}; {advice}")
    for name, expected in needs.items():
        if not isinstance(state.get(name), expected):
            raise CheckpointError(f"{path} is damaged: {name!r} is missing or no {expected.__name__}; {advice}")
    return state
