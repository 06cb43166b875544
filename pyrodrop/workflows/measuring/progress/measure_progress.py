"""How far a measurement is, and how long it will still take: a bar on a terminal and in notebooks."""

import sys
from types import TracebackType
from typing import Any

from pyrodrop.recognition.recognise import STAGES

# What share of the time each stage of the recognition takes: the medians over simulated images of some kinds and sizes
# (benchmarks/stages.py, benchmarks/results/stages.json). They only say how long it will take; what follows the last
# stage, as drawing from the posterior, is what is left to one.
SHARES = dict(zip(STAGES, (0.155, 0.317, 0.08, 0.267, 0.058), strict=True))
_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"


class MeasureProgress:
    """A bar that is told which stage of a measurement begins.

    The time left is that since the beginning over what share of the whole it was, less it.

    Args:
        shown: False shows nothing. A file that standard error goes to is shown nothing either.
    """

    def __init__(self, shown: bool) -> None:
        self._bar: Any = None
        if not shown:
            return
        from tqdm.auto import tqdm  # late: in a notebook without widgets it warns

        in_notebook = "ipykernel" in sys.modules  # which has no terminal, and shows a bar with widgets and without
        hidden = not (in_notebook or sys.stderr.isatty())
        self._bar = tqdm(
            total=1.0, bar_format=_FORMAT, desc="measuring", disable=hidden, smoothing=0, leave=False, mininterval=0
        )

    def __call__(self, stage: str) -> None:
        """A stage begins, one of ``STAGES``: all before it are done, or were not needed."""
        if self._bar is None:
            return
        before = sum(SHARES[each] for each in STAGES[: STAGES.index(stage)])
        self._bar.set_description_str(stage, refresh=False)
        self._bar.update(before - self._bar.n)
        self._bar.refresh()

    def __enter__(self) -> "MeasureProgress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
