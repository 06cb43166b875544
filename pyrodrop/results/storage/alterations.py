"""What another program has changed in a folder of results since its run wrote them, in words."""

import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from pyrodrop.results.storage.result_folder import ResultFolder
from pyrodrop.results.storage.run_files import MANIFEST, is_altered, noted_files
from pyrodrop.results.storage.sealed_files import read_sealed

# What is said of these stands in the results themselves, as they are read.
_SAID = ("droplets.csv", "summary.json")
# What pyrodrop report makes of a folder's files, and makes anew.
_MADE_ANEW = re.compile(
    r"report\.html|rois\.zip|labels\.tif|histogram\.csv|results\.xlsx|.*-comma\.csv|(overlay-full|distribution)\..*"
)
_NAMED = 5  # files in a line; the others are counted


def alterations(folder: Path, said: Collection[str] = ()) -> list[str]:
    """Lines that name the files of a folder that are not as its run wrote them, and those that are gone.

    Nothing can be said of a folder without a manifest.

    Args:
        folder: of the results.
        said: files of which it is said elsewhere.
    """
    try:
        read_sealed(folder / MANIFEST)
    except FileNotFoundError:
        return []
    except (OSError, ValueError):
        return [f"the file {MANIFEST} is not as the run wrote it: whether the others are cannot be told"]
    names = [name for name in noted_files(folder) if name not in said and not _MADE_ANEW.fullmatch(name)]
    altered = sorted(name for name in names if is_altered(folder, name))
    missing = sorted(name for name in names if not (folder / name).exists())
    lines = []
    if altered:
        lines.append(
            f"{_listed(altered)} not as the run wrote {_it(altered)}: what is shown of {_it(altered)} is not the run's"
        )
    if missing:
        lines.append(f"{_listed(missing)} missing, which the run wrote: what is made of {_it(missing)} is left out")
    return lines


def with_alterations(run: ResultFolder) -> ResultFolder:
    """Results that say among their warnings what another program has changed in their folder."""
    lines = alterations(run.path, _SAID)
    if not lines:
        return run
    stated = run.summary.get("warnings")
    known = [str(line) for line in stated] if isinstance(stated, list) else []
    return replace(run, summary={**run.summary, "warnings": [*lines, *known]})


def _listed(names: list[str]) -> str:
    more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
    *most, last = names[:_NAMED] + more
    if not most:
        return f"the file {last} is"
    return f"the files {', '.join(most)} and {last} are"


def _it(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"
