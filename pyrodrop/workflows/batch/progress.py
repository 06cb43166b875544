"""The progress of a batch on standard error: a bar on a terminal, and a line now and then in a file."""

import sys
import time

from tqdm import tqdm

# A bar that is drawn anew over itself would be one endless line in the file of a job.
_LINE_SECONDS = 30.0


class BatchProgress:
    """How many images are done and how many of these failed.

    Args:
        images: how many there are, as far as is known.
        shown: False shows nothing.
    """

    def __init__(self, images: int, shown: bool) -> None:
        self._shown = shown
        self._images = images
        self._settled = self._failed = 0
        self._told_of = -1
        self._begun = self._told = time.monotonic()
        self._lines = shown and not sys.stderr.isatty()
        self._bar = tqdm(total=images, unit="image", disable=not shown or self._lines, dynamic_ncols=True)

    def count(self, images: int, failed: bool) -> None:
        """Count one more image, of so many in all."""
        self._images = self._bar.total = images
        self._settled += 1
        self._failed += failed
        if failed:
            self._bar.set_postfix_str(f"{self._failed} failed", refresh=False)
        self._bar.update()
        if self._lines and time.monotonic() - self._told >= _LINE_SECONDS:
            self._line()

    def say(self, message: str) -> None:
        """Tell whoever watches, in a line of its own."""
        if self._lines:
            print(message, file=sys.stderr, flush=True)
        elif self._shown:
            self._bar.write(message, file=sys.stderr)

    def close(self) -> None:
        """Leave the bar as it is; in a file the last line says how it ended."""
        self._bar.close()
        if self._lines and self._told_of != self._settled:
            self._line()

    def _line(self) -> None:
        self._told = time.monotonic()
        self._told_of = self._settled
        taken = tqdm.format_interval(self._told - self._begun)
        failed = f", {self._failed} of them failed" if self._failed else ""
        self.say(f"{self._settled} of {self._images} images after {taken}{failed}")
