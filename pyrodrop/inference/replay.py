"""A step on a GPU recorded once as a CUDA graph and replayed: no launch is paid for again.

Not yet run on a GPU: the machines this was written on have none.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Step = Callable[..., tuple[Tensor, ...]]


class Replayed:
    """A function of CUDA tensors of fixed shapes, replayed over memory of its own.

    Args:
        step: takes and returns CUDA tensors, and does nothing that has to wait for the device.
        example: arguments of the right shapes.
    """

    def __init__(self, step: Step, example: tuple[Tensor, ...]) -> None:
        self._inputs = [t.clone() for t in example]
        self._copied: list[Tensor | None] = [None] * len(example)
        # A few runs on a stream of their own settle what is allocated and compiled at the first call.
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):
                step(*self._inputs)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._outputs = step(*self._inputs)

    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """The step's results, in fresh tensors."""
        for place, argument in enumerate(arguments):
            if argument is not self._copied[place]:  # the image is the same one at every step
                self._inputs[place].copy_(argument)
                self._copied[place] = argument
        self._graph.replay()
        return tuple(t.clone() for t in self._outputs)
