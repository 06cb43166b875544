"""The network learns on the second device."""

import torch
from detection.learning.toy_patches import discs
from devices.asking import slow_question
from devices.second_device import NAME, SecondTensor

from pyrodrop.detection.learning.held_out import evaluate
from pyrodrop.detection.learning.patches import make_chunk
from pyrodrop.detection.learning.trainer import Schedule, Trainer
from pyrodrop.detection.network.architecture import CircleNetwork
from pyrodrop.detection.network.calibration import Calibration


@slow_question
def the_network_learns_as_on_the_cpu() -> None:
    block, said = make_chunk(discs, 8, 64, 0), []
    for device in ("cpu", NAME):
        torch.manual_seed(3)
        network = CircleNetwork((8, 8, 8, 8, 8))
        trainer = Trainer(3, Schedule(batch=4, block=8, reuse=2, warm_up=5), torch.device(device), network)
        trainer.half = False
        said.append([trainer.learn(block) for _ in range(2)])
        assert isinstance(next(trainer.network.parameters()).detach(), SecondTensor) == (device == NAME)
        folded = trainer.average.folded().to(device)
        said[-1].append(evaluate(folded, block, Calibration(), torch.device(device)))
    for here, there in zip(said[0][:2], said[1][:2], strict=True):
        assert abs(here.presence - there.presence) < 1e-3 * here.presence
        assert abs(here.values - there.values) < 1e-3 * abs(here.values) + 1e-3
