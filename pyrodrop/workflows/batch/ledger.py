"""The book of a batch: of every image, whether its results are there, missing, or why there are none."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyrodrop
from pyrodrop.workflows.batch.progress import BatchProgress
from pyrodrop.workflows.batch.result_folders import folder_name, read_record
from pyrodrop.workflows.batch.result_keys import Content, Contents, key_of, settings_of_key
from pyrodrop.workflows.batch.sources import Source
from pyrodrop.workflows.batch.tables import Entry
from pyrodrop.workflows.batch.tasks import Outcome, Task

HASHES = ".hashes.json"


class Ledger:
    """The images of a batch, which of them are missing, and what became of the others.

    Args:
        sources: the images.
        folder: of the results, absolute.
        job, settings: what is done to all of them.
        progress: show how far it is and the failures on standard error.

    Raises:
        SettingError: if a file among the settings cannot be read.

    Attributes:
        images: how many there are, as far as is known: files may turn out to hold several.
        done_before: how many had their results from an earlier run.
        finished: how many are done or have failed.
    """

    def __init__(
        self, sources: Sequence[Source], folder: Path, job: str, settings: Mapping[str, Any], progress: bool
    ) -> None:
        self.sources = sources
        self.folder = folder
        self.job = job
        self.settings = dict(settings)
        self._settings_of_key = settings_of_key(settings)
        self._masks: dict[str, dict[str, Any]] = {}
        self.images = len(sources)
        self.done_before = self.finished = 0
        self._progress = BatchProgress(len(sources), progress)
        self._contents = Contents(folder / HASHES, _frames)
        self._entries: list[Entry] = []
        # By folder: images of one name and content share their results.
        self._asked: set[Path] = set()
        self._reasons: dict[Path, str] = {}

    def missing(self) -> Iterator[Task]:
        """Go through the images, and give a task for each whose results are not there."""
        for source in self.sources:
            try:
                content = self._contents.of(source.path)
            except OSError as error:
                reason = f"{source.path} cannot be read ({error.strerror})"
                self._entries.append(Entry(source.name, None, "", Path(), reason, source.columns))
                self._count(source.name, reason)
                continue
            self.images += content.frames - 1
            for frame in range(content.frames) if content.frames > 1 else (None,):
                task = self._ask(source, content, frame)
                if task is not None:
                    yield task

    def _ask(self, source: Source, content: Content, frame: int | None) -> Task | None:
        """Note an image, and give its task if its results are not there."""
        version = pyrodrop.__version__
        key = key_of(content.hash, frame, self.job, self._for_key(source), version)
        folder = self.folder / folder_name(source.path, frame, key)
        self._entries.append(Entry(source.name, frame, key, folder, None, source.columns))
        if folder in self._asked:
            self._count()
            return None
        self._asked.add(folder)
        if read_record(folder, key) is not None:
            self.done_before += 1
            self._count()
            return None
        return Task(
            source.path,
            source.name,
            frame,
            content.mark,
            self.job,
            {**self.settings, **source.settings},
            key,
            str(folder),
            run="",
            version=version,
        )

    def _for_key(self, source: Source) -> dict[str, Any]:
        """The settings of an image as keys have them."""
        if not source.settings:
            return self._settings_of_key
        mask = source.settings.get("mask")
        if mask is not None and mask not in self._masks:
            self._masks[mask] = settings_of_key({"mask": mask})
        of_mask = {} if mask is None else self._masks[mask]
        return {**self._settings_of_key, **source.settings, **of_mask}

    def note(self, task: Task, outcome: Outcome) -> None:
        """Note what has become of an image."""
        if outcome.reason is not None:
            self._reasons[Path(task.folder)] = outcome.reason
        name = task.name if task.frame is None else f"{task.name}, frame {task.frame}"
        self._count(name, outcome.reason)

    def entries(self) -> list[Entry]:
        """All images that have been gone through, in their order."""
        return [entry._replace(reason=entry.reason or self._reasons.get(entry.folder)) for entry in self._entries]

    def say(self, message: str) -> None:
        """Tell whoever watches."""
        self._progress.say(message)

    def close(self) -> None:
        """Remember the contents of the files, and leave what is shown as it is."""
        self._progress.close()
        with suppress(OSError):  # they can be found out again
            self._contents.remember()

    def _count(self, name: str = "", reason: str | None = None) -> None:
        self.finished += 1
        if reason is not None:
            self.say(reason if name in reason else f"{name}: {reason}")
        self._progress.count(self.images, failed=reason is not None)


def _frames(path: str) -> int:
    from pyrodrop.images.errors import ImageError
    from pyrodrop.images.reading.image_file import count_frames

    try:
        return count_frames(Path(path))
    except ImageError:
        return 1
