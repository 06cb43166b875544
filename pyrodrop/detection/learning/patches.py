"""Fresh patches, simulated in another process while the network learns from the last ones.

Patches come in blocks. Block k is made from a seed of its own, so training that was stopped at a block goes on with
the same patches.
"""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray


class Patches(Protocol):
    """What a simulator returns."""

    @property
    def images(self) -> NDArray[np.float32]:
        """(n, S, S), arbitrary units."""

    @property
    def circles(self) -> list[NDArray[np.float32]]:
        """One (m, 8) for each image, as ``simulation.patches.Patches`` has them."""

    @property
    def kinds(self) -> list[str]:
        """What each image shows."""


class Block(NamedTuple):
    """A number of patches of one size."""

    images: NDArray[np.float32]
    circles: list[NDArray[np.float32]]
    kinds: list[str]


Simulator = Callable[[int, int, int], Patches]  # number, side in px, seed
CHUNK = 64  # patches made by one call of the simulator


def block_seed(seed: int, block: int, chunk: int) -> int:
    """The seed of a part of a block, far from the seeds of others."""
    return int(np.random.SeedSequence([seed, block, chunk]).generate_state(1)[0])


def make_chunk(simulator: Simulator, n: int, size: int, seed: int) -> Block:
    """Patches of one call, as plain arrays that travel between processes."""
    patches = simulator(n, size, seed)
    circles = [np.asarray(c, np.float32).reshape(-1, 8) for c in patches.circles]
    return Block(np.asarray(patches.images, np.float32), circles, list(patches.kinds))


def block_of(chunks: list[Block]) -> Block:
    """Chunks of patches of one size as one block."""
    return Block(
        np.concatenate([c.images for c in chunks]),
        [t for c in chunks for t in c.circles],
        [k for c in chunks for k in c.kinds],
    )


class BlockMaker:
    """Makes blocks ahead in worker processes, spawned; with no worker, in this process.

    simulator: a function that can be pickled. size_of: the side of the patches of each block, px.
    """

    def __init__(
        self, simulator: Simulator, seed: int, n: int, size_of: Callable[[int], int], workers: int = 1
    ) -> None:
        self.simulator, self.seed, self.n, self.size_of = simulator, seed, n, size_of
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(workers, context, torch.set_num_threads, (1,)) if workers else None
        self.ahead: dict[int, list[Future[Block]]] = {}

    def _calls(self, block: int) -> Iterator[tuple[Simulator, int, int, int]]:
        size = self.size_of(block)
        n = max(1, self.n * 128 * 128 // size**2)  # as many pixels, whatever the size
        for chunk, start in enumerate(range(0, n, CHUNK)):
            yield self.simulator, min(CHUNK, n - start), size, block_seed(self.seed, block, chunk)

    def _ask(self, block: int) -> None:
        if self.pool is not None and block not in self.ahead:
            self.ahead[block] = [self.pool.submit(make_chunk, *call) for call in self._calls(block)]

    def get(self, block: int) -> Block:
        """Block number `block`; the next one is begun at once."""
        if self.pool is None:
            return block_of([make_chunk(*call) for call in self._calls(block)])
        self._ask(block)
        self._ask(block + 1)
        return block_of([future.result() for future in self.ahead.pop(block)])

    def close(self) -> None:
        """End the workers; what they were making is lost."""
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)
