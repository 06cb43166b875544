"""The state of training and its steps. Everything that a step does follows from the seed and its number."""

import math
import os
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pyrodrop.detection.learning.augmentation import make_batch
from pyrodrop.detection.learning.loss import losses
from pyrodrop.detection.learning.patches import Block
from pyrodrop.detection.learning.targets import encode
from pyrodrop.detection.network.architecture import CircleNetwork


class Schedule(NamedTuple):
    """How training goes on."""

    batch: int = 16  # patches of 128 px in a step, or as many pixels in larger ones
    block: int = 1024  # patches made at a time
    reuse: int = 2  # times that each patch is used, turned differently
    rate: float = 2e-3
    warm_up: int = 100  # steps
    plateau: int = 3000  # steps after which the rate falls with the root of the step
    values: float = 0.2  # weight of the values' likelihood beside that of presence, which is slower to learn
    focused: int = 300  # steps with a focal factor, until it is known that most cells are empty
    larger: int = 6000  # steps after which one block in four has larger patches
    last: int = 0  # step at which the rate has fallen to 0, linearly over the last two fifths; 0: it never does

    @property
    def steps_per_block(self) -> int:
        """Steps from one block to the next."""
        return max(1, self.block * self.reuse // self.batch)

    def size(self, block: int) -> int:
        """Side of the patches of a block, px."""
        late = block * self.steps_per_block >= self.larger
        return (192 if block % 8 else 256) if late and block % 4 == 0 else 128

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        rate = self.rate * min(1.0, (step + 1) / self.warm_up) * min(1.0, math.sqrt(self.plateau / (step + 1)))
        return rate * min(1.0, max(0.02, 2.5 * (1 - step / self.last))) if self.last else rate

    def keep_at(self, step: int) -> float:
        """The share of the averaged weights that a step keeps."""
        return min(0.998, (step + 1) / (step + 10))


class StepLoss(NamedTuple):
    """Per droplet asked for: cross-entropy of presence and minus log likelihood of the values; and the step."""

    presence: float
    values: float
    step: int


class Trainer:
    """A network that learns, the average of its weights, its optimiser and the number of steps done."""

    def __init__(
        self, seed: int, schedule: Schedule, device: torch.device, network: CircleNetwork | None = None
    ) -> None:
        self.seed, self.schedule, self.device, self.step = seed, schedule, device, 0
        if network is None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                network = CircleNetwork()
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.average = deepcopy(self.network).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), schedule.rate, (0.9, 0.98), weight_decay=0.01)
        # Half the time in bfloat16 where the processor multiplies it; elsewhere it would be slower.
        self.half = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()

    def learn(self, block: Block) -> StepLoss:
        """One step, with the patches of `block` whose turn it is."""
        schedule = self.schedule
        within = self.step % schedule.steps_per_block
        order = np.random.default_rng([self.seed, self.step // schedule.steps_per_block]).permuted(
            np.tile(np.arange(len(block.images)), (schedule.reuse, 1)), axis=1
        )
        chosen = np.array_split(order.ravel(), schedule.steps_per_block)[within]
        batch = make_batch(
            block.images[chosen], [block.circles[k] for k in chosen], np.random.default_rng([self.seed, self.step, 1])
        )
        height, width = batch.channels.shape[-2:]
        targets = [
            level._replace(**{name: tensor.to(self.device) for name, tensor in level._asdict().items()})
            for level in encode(batch.image, batch.circles, len(batch.channels), height, width)
        ]
        self.network.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            outputs = self.network(batch.channels.to(self.device, memory_format=torch.channels_last))
        presence, values, weight = losses(outputs, targets, focus=1.0 if self.step < schedule.focused else 0.0)
        scale = 1 / (weight + len(batch.channels))
        self._descend((presence + schedule.values * values) * scale)
        weight = weight.clamp(min=1.0)
        self.step += 1
        return StepLoss(float((presence / weight).detach()), float((values / weight).detach()), self.step)

    def _descend(self, loss: Tensor) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.rate_at(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        keep = self.schedule.keep_at(self.step)
        with torch.no_grad():
            for mean, new in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
                if mean.is_floating_point():
                    mean.lerp_(new, 1 - keep)
                else:
                    mean.copy_(new)

    def save(self, path: Path) -> None:
        """Write everything that the next step needs, by a file beside it that is renamed."""
        data = {
            "seed": self.seed,
            "widths": list(self.network.widths),
            "step": self.step,
            "schedule": list(self.schedule),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        beside = path.with_suffix(".writing")
        torch.save(data, beside)
        os.replace(beside, path)

    @classmethod
    def load(cls, path: Path, device: torch.device) -> "Trainer":
        """A trainer as it was saved."""
        data = torch.load(path, map_location=device, weights_only=True)
        trainer = cls(data["seed"], Schedule(*data["schedule"]), device, CircleNetwork(data["widths"]))
        trainer.network.load_state_dict(data["network"])
        trainer.average.load_state_dict(data["average"])
        trainer.optimiser.load_state_dict(data["optimiser"])
        trainer.step = data["step"]
        return trainer
