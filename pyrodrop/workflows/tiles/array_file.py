"""Arrays in a file that says whether it is as it was written."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrodrop.results.storage.atomic_write import atomic_write

_DIGEST = "_digest"


def write_arrays(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write arrays by their names, whole or not at all."""
    sealed: dict[str, Any] = {**arrays, _DIGEST: np.array(_digest(arrays))}
    atomic_write(path, lambda temporary: np.savez_compressed(temporary, **sealed))


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """What ``write_arrays`` wrote; raises OSError, KeyError or ValueError for any other file."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = dict(stored)
    if str(arrays.pop(_DIGEST)) != _digest(arrays):
        raise ValueError(f"{path} is not as it was written")
    return arrays


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of names, types, shapes and numbers: no result of a tile is taken for another's."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {arrays[name].shape};".encode() + array.tobytes())
    return digest.hexdigest()
