"""The progress bar of a fit: iterations per second and the mean loss of the latest stretch."""

from types import TracebackType

import torch
from torch import Tensor
from tqdm import tqdm


class FitProgress:
    """A bar with iterations per second, the initial loss and the mean loss of the latest stretch, as in the post.

    Args:
        steps: the number of steps of this run; None if that will be seen.
        iteration: the number of steps taken in earlier runs.
        shown: False shows nothing.
    """

    def __init__(self, steps: int | None, iteration: int, shown: bool) -> None:
        self._stretch = 100 if steps is None else max(steps // 20, 1)
        self._iteration = iteration
        self._losses = torch.empty(0)
        self._first: float | None = None
        self._bar = tqdm(total=steps, unit="it", disable=not shown, mininterval=0.5, dynamic_ncols=True)

    def advance(self, losses: Tensor) -> None:
        """Count the iterations that these are the losses of."""
        if self._first is None:
            self._first = float(losses[0])
        self._iteration += len(losses)
        self._losses = torch.cat([self._losses, losses])[-self._stretch :]
        latest = f"[{self._iteration - len(self._losses) + 1}-{self._iteration}]"
        mean = float(self._losses.double().mean())
        self._bar.set_postfix_str(f"init loss: {self._first:.4f}, avg. loss {latest}: {mean:.4f}", refresh=False)
        self._bar.update(len(losses))

    def __enter__(self) -> "FitProgress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
