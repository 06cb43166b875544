"""A network that goes on learning: the same steps and seed give the same weights, and the rate falls to nothing."""

import itertools

import pytest
import torch
from detection.learning.toy_patches import discs

from pyrodrop.detection.learning import fine_tuning
from pyrodrop.detection.learning.fine_tuning import TIMED, Duration, calibration_of, fine_tuned, held_out_block
from pyrodrop.detection.learning.trainer import Trainer
from pyrodrop.detection.network.architecture import CircleNetwork
from pyrodrop.detection.network.calibration import Calibration

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fine_tuning, "SCHEDULE", fine_tuning.SCHEDULE._replace(batch=2, block=4, warm_up=1))
    monkeypatch.setattr(fine_tuning, "SIZE", 64)


def learnt(seed: int, duration: Duration) -> Trainer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = CircleNetwork((8, 8, 8, 8, 8))
    return fine_tuned(network, discs, duration, seed, CPU)


def weights_of(trainer: Trainer) -> torch.Tensor:
    return torch.cat([p.flatten() for p in trainer.average.parameters()])


def test_steps_and_seed_give_the_same_weights() -> None:
    one, same, other = (weights_of(learnt(seed, Duration(1.0, 3))) for seed in (5, 5, 6))
    torch.testing.assert_close(one, same, rtol=0, atol=0)
    assert float((one - other).abs().max()) > 0


def test_the_steps_that_the_minutes_allowed_give_the_weights_that_they_gave() -> None:
    told: list[tuple[int, int | None]] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = CircleNetwork((8, 8, 8, 8, 8))
    timed = fine_tuned(network, discs, Duration(1e-9), 5, CPU, lambda *done: told.append(done))
    assert told[0] == (1, None)
    assert told[-1] == (timed.step, timed.step)
    assert timed.step == TIMED == timed.schedule.last
    again = learnt(5, Duration(1e-9))
    torch.testing.assert_close(weights_of(timed), weights_of(again), rtol=0, atol=0)


def test_longer_minutes_allow_more_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(fine_tuning.time, "monotonic", lambda: float(next(seconds)))
    trainer = learnt(0, Duration(0.25))
    assert trainer.step == pytest.approx(15, abs=6)
    assert trainer.step > TIMED
    assert trainer.schedule.rate_at(trainer.step) < 0.05 * trainer.schedule.rate


def test_what_is_held_out_is_none_of_the_blocks_and_calibrates() -> None:
    block = held_out_block(discs, 70, 3)
    assert len(block.images) == 70
    trainer = learnt(0, Duration(1.0, 1))
    assert isinstance(calibration_of(trainer.average, block, CPU), Calibration)
