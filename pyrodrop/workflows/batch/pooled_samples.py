"""Images of a batch pooled by the samples that its sheet names, in a folder of their own."""

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyrodrop.results.storage.run_files import is_altered, remove_run
from pyrodrop.workflows.batch.sheet import SAMPLE
from pyrodrop.workflows.batch.tables import SUMMARY, Entry
from pyrodrop.workflows.settings import SettingError

FOLDER = "samples"


def pool_samples(entries: Sequence[Entry], out: Path, state: str, progress: bool = False) -> dict[str, Any]:
    """Write the folder ``samples``, as ``pyrodrop compare`` does, unless it is that of these very results already.

    Args:
        entries: the images.
        out: the folder of the batch.
        state: of the results, which changes when one of them does.
        progress: say on standard error what is being done.

    Returns:
        What a person is told: where they are, or why the images could not be pooled; empty where no sample is named.
    """
    done = [entry for entry in entries if entry.reason is None and entry.columns.get(SAMPLE)]
    folder = out / FOLDER
    if done and _is_of(folder, state):
        return {"samples": str(folder)}
    if folder.is_dir():  # what an earlier run wrote is of other results
        remove_run(folder)
        with suppress(OSError):  # others have put something there
            folder.rmdir()
    if not done:
        return {}
    if progress:
        print("pooling the images of each sample", file=sys.stderr, flush=True)
    from pyrodrop.results.storage.result_folder import ResultError
    from pyrodrop.workflows.samples.compare import compare_images
    from pyrodrop.workflows.samples.sampled_images import of_folder

    samples: dict[str, list[Any]] = {}
    try:
        for entry in done:
            name = entry.name if entry.frame is None else f"{entry.name}, picture {entry.frame}"
            samples.setdefault(entry.columns[SAMPLE], []).append(of_folder(entry.folder, name))
        compare_images(samples).save(folder, more={"state": state})
    except (SettingError, ResultError) as error:
        return {"samples": f"not pooled: {error}"}
    return {"samples": str(folder)}


def _is_of(folder: Path, state: str) -> bool:
    """Whether a folder holds what these results give, as it was written."""
    try:
        if json.loads((folder / SUMMARY).read_text(encoding="utf-8")).get("state") != state:
            return False
    except (OSError, ValueError, AttributeError):
        return False
    tables = ("samples.csv", "differences.csv", "images.csv", "distributions.csv", SUMMARY)
    return all(is_altered(folder, name) is False for name in tables)
