"""A network that has learnt goes on learning, from patches of its own laboratory beside the broad simulations."""

import time
from collections.abc import Callable
from typing import NamedTuple

import torch

from pyrodrop.detection.learning.held_out import evaluate, learn_calibration
from pyrodrop.detection.learning.patches import Block, BlockMaker, Simulator, block_of, block_seed, make_chunk
from pyrodrop.detection.learning.trainer import Schedule, Trainer
from pyrodrop.detection.network.architecture import CircleNetwork
from pyrodrop.detection.network.calibration import Calibration

# A quarter of the rate that the network was trained with from the start, and no focal factor, which is for networks
# that do not know yet that most cells are empty. Patches stay of one size.
SCHEDULE = Schedule(rate=5e-4, warm_up=20, focused=0, block=256, larger=2**62)
TIMED = 8  # steps after which it is known how many more the time allows
SIZE = 128  # px, the side of patches
HELD_OUT_BLOCK = 10**6  # number of a block that training never reaches


class Duration(NamedTuple):
    """How long to learn: so many steps or, where that is None, as many as these minutes allow, about."""

    minutes: float
    steps: int | None = None


def fine_tuned(
    network: CircleNetwork,
    simulator: Simulator,
    duration: Duration,
    seed: int,
    device: torch.device,
    on_step: Callable[[int, int | None], None] = lambda done, steps: None,
) -> Trainer:
    """The trainer of a network after it has gone on learning from these patches, at a rate that falls to nothing.

    The number of steps, which is the trainer's ``step``, and the seed give the same weights again on the same machine.

    Args:
        network: to begin with, which is changed.
        simulator: makes the patches.
        duration: how long.
        seed: of patches, their order and their turns.
        device: to learn on.
        on_step: called after each step with the number of those done and of all, None as long as that is not known.
    """
    trainer = Trainer(seed, SCHEDULE._replace(last=duration.steps or 0), device, network)
    maker = BlockMaker(simulator, seed, SCHEDULE.block, lambda block: SIZE, workers=0)
    began, simulating, steps = time.monotonic(), 0.0, duration.steps
    number, block = -1, None
    while steps is None or trainer.step < steps:
        if block is None or trainer.step // SCHEDULE.steps_per_block != number:
            number, before = trainer.step // SCHEDULE.steps_per_block, time.monotonic()
            block = maker.get(number)
            simulating = time.monotonic() - before
        trainer.learn(block)
        if steps is None and trainer.step == TIMED:
            each = (time.monotonic() - began - simulating) / TIMED + simulating / SCHEDULE.steps_per_block
            steps = max(round(60 * duration.minutes / each), TIMED)
            trainer.schedule = trainer.schedule._replace(last=steps)
        on_step(trainer.step, steps)
    return trainer


def held_out_block(simulator: Simulator, n: int, seed: int) -> Block:
    """Patches that no training with this seed sees."""
    return block_of(
        [
            make_chunk(simulator, min(64, n - start), SIZE, block_seed(seed, HELD_OUT_BLOCK, start))
            for start in range(0, n, 64)
        ]
    )


def calibration_of(network: CircleNetwork, block: Block, device: torch.device) -> Calibration:
    """How the presence of a network's proposals is to be said, from patches that it has not learnt from."""
    folded = network.folded().to(device).to(memory_format=torch.channels_last)
    return learn_calibration(evaluate(folded, block, Calibration(), device))
