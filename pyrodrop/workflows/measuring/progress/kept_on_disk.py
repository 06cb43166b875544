"""What a long measurement has worked out, in a folder, so that one that was killed goes on to the same numbers."""

import contextlib
import hashlib
import importlib.metadata
import os
import time
from pathlib import Path

import numpy as np
import torch

import pyrodrop
from pyrodrop.joint.resuming.kept import Arrays
from pyrodrop.results.storage.checkpoint import CheckpointError, load_state, save_state
from pyrodrop.workflows.settings import SettingError

_KIND = "pyrodrop measurement under way"
# Libraries whose versions round differently.
_COMPUTE = ("torch", "numpy", "scipy", "numba")
# A file takes some milliseconds, and whoever has waited for no longer than this can wait again.
_SECONDS = 2.0


class KeptOnDisk:
    """What was worked out, by the digest of what it was worked out from (``joint.resuming``).

    Nothing is written before some seconds have gone by: a measurement that is sooner done than that leaves no trace.
    Files are written whole or not at all. One that is damaged, or that other versions wrote, is as good as none.

    Args:
        folder: made when the first file is written. Whoever has the results takes it away.

    Raises:
        SettingError: the folder is a file.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        if self._folder.is_file():
            raise SettingError(f"keep {folder} is not a folder; name another", "keep")
        versions = [f"{name} {importlib.metadata.version(name)}" for name in _COMPUTE]
        self._versions = ", ".join([f"pyrodrop {pyrodrop.__version__}", *versions])
        self._known: dict[str, Arrays] = {}
        self._unwritten: dict[str, Arrays] = {}
        self._written = time.monotonic()
        for path in sorted(self._folder.glob("*.pt")):
            self._known |= self._in_file(path)

    def read(self, digest: str) -> Arrays | None:
        """What was kept under a digest; None where nothing was."""
        return self._known.get(digest)

    def keep(self, digest: str, arrays: Arrays) -> None:
        """Keep arrays under a digest; those of the last seconds are written together.

        Raises:
            OSError: if they cannot be written, as on a full disk.
        """
        self._unwritten[digest] = arrays
        if time.monotonic() - self._written < _SECONDS:
            return
        work = {
            name: {key: torch.from_numpy(np.array(v)) for key, v in a.items()} for name, a in self._unwritten.items()
        }
        name = hashlib.sha256("".join(work).encode()).hexdigest()[:16]
        # Whoever else was at the same image in a batch may have its results, and take the folder away.
        with contextlib.suppress(FileNotFoundError):
            self._folder.mkdir(parents=True, exist_ok=True)
            save_state({"kind": _KIND, "versions": self._versions, "work": work}, self._folder / f"{name}.pt")
        self._unwritten, self._written = {}, time.monotonic()

    def _in_file(self, path: Path) -> dict[str, Arrays]:
        try:
            state = load_state(path, _KIND, {"versions": str, "work": dict})
        except CheckpointError:
            return {}
        if state["versions"] != self._versions:
            return {}
        return {digest: {name: v.numpy() for name, v in arrays.items()} for digest, arrays in state["work"].items()}
