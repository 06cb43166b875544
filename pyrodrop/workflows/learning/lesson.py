"""A lesson: the network goes on learning from a laboratory's images, and is asked before and after what it knows."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from pyrodrop.detection.learning.division import Division
from pyrodrop.detection.learning.fine_tuning import Duration as Duration
from pyrodrop.detection.learning.fine_tuning import calibration_of, fine_tuned, held_out_block
from pyrodrop.detection.learning.held_out import evaluate
from pyrodrop.detection.learning.laboratory import HalfAndHalf, LaboratoryPatches
from pyrodrop.detection.learning.patches import Block, block_of
from pyrodrop.detection.learning.scoring import Scores
from pyrodrop.detection.network.weights import TrainedNetwork, read_weights, to_data
from pyrodrop.detection.simulation import simulate_patches

HELD_OUT = 384  # broad simulations on which the calibration is learnt, and as many to see that nothing was forgotten
OWN_HELD_OUT = 128  # patches of what is held out of the laboratory's images, for the calibration


@dataclass(frozen=True)
class Quality:
    """How good proposals of presence 1/2 and more are.

    Attributes:
        f1: harmonic mean of precision and recall.
        radius_error: mean absolute error of log radius of the droplets found.
    """

    f1: float
    radius_error: float

    @classmethod
    def of(cls, scores: Scores) -> "Quality":
        """From sums over images."""
        return cls(scores.f1, scores.radius_error)

    @property
    def value(self) -> float:
        """One number to compare by: F1, of which a droplet found counts the less the further off its radius is."""
        return self.f1 * (1 - self.radius_error)

    def as_dict(self) -> dict[str, float]:
        """As JSON has it."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


class Lesson(NamedTuple):
    """What has come of it.

    network: with its calibration. steps: that it learnt. before, after: its quality on the droplets held out.
    simulations_before, simulations_after: on broad simulations.
    """

    network: TrainedNetwork
    steps: int
    before: Quality
    after: Quality
    simulations_before: Quality
    simulations_after: Quality

    @property
    def is_better(self) -> bool:
        """Whether it sees the laboratory's droplets better than before."""
        return self.after.value > self.before.value


def give_lesson(
    division: Division,
    origin: Path,
    duration: Duration,
    seed: int,
    device: torch.device,
    on_step: Callable[[int, int | None], None],
) -> Lesson:
    """Let the network of a file learn from what teaches, half and half with broad simulations.

    Its quality on what is held out is that of a network calibrated on broad simulations alone. That which is returned
    was calibrated on those and on what is held out, for a laboratory's droplets are to be as likely as is said.

    Args:
        division: what teaches, and what is held out.
        origin: weights to begin with.
        duration: how long.
        seed: of all that is drawn.
        device: to learn on; proposals are asked for on the CPU.
        on_step: as for ``fine_tuned``.
    """
    began = read_weights(origin)
    known, asked = (held_out_block(simulate_patches, HELD_OUT, seed + k) for k in (1, 2))
    before = division.scores(origin)
    forgotten = [_on(began, asked, device)]
    own = LaboratoryPatches.of(division.taught)
    trainer = fine_tuned(began.network, HalfAndHalf(own, simulate_patches), duration, seed, device, on_step)
    network = trainer.average.cpu()
    trained = TrainedNetwork(network, calibration_of(network, known, device))
    with _as_file(trained) as file:
        after = division.scores(file)
    forgotten.append(_on(trained, asked, device))
    theirs = held_out_block(LaboratoryPatches.of([image.part for image in division.held_out]), OWN_HELD_OUT, seed + 3)
    calibration = calibration_of(network, block_of([known, theirs]), device)
    qualities = map(Quality.of, (before, after, *forgotten))
    return Lesson(TrainedNetwork(network, calibration), trainer.step, *qualities)


def _on(trained: TrainedNetwork, block: Block, device: torch.device) -> Scores:
    """Scores of a network, as it calibrates itself, on held-out patches."""
    folded = trained.network.folded().to(device).to(memory_format=torch.channels_last)
    return evaluate(folded, block, trained.calibration, device).scores()


@contextmanager
def _as_file(trained: TrainedNetwork) -> Iterator[Path]:
    """A network in a file as it will be used: its weights have half the digits there."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pt"
        write_network(trained, path)
        yield path


def write_network(trained: TrainedNetwork, path: Path) -> None:
    """Write the weights of a network, as ``measure`` reads them."""
    torch.save(to_data(trained), path)
