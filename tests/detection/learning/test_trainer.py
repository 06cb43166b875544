"""Training: it learns, and it goes on as if it had not been stopped."""

from pathlib import Path

import numpy as np
import pytest
import torch
from detection.learning.toy_patches import discs

from pyrodrop.detection.learning.augmentation import make_batch, turned
from pyrodrop.detection.learning.patches import Block, BlockMaker, make_chunk
from pyrodrop.detection.learning.trainer import Schedule, Trainer
from pyrodrop.detection.network.architecture import CircleNetwork
from pyrodrop.detection.network.calibration import Calibration
from pyrodrop.detection.network.weights import TrainedNetwork, from_data, read_weights, to_data
from pyrodrop.detection.train import main, parser

CPU = torch.device("cpu")
SMALL = Schedule(batch=4, block=16, reuse=2, warm_up=5)
pytestmark = pytest.mark.global_rng  # layers are filled from torch's stream, whatever the seed after it


def small_trainer() -> Trainer:
    """A trainer of a narrow network."""
    torch.manual_seed(3)
    return Trainer(3, SMALL, CPU, CircleNetwork((8, 8, 8, 8, 8)))


def test_a_minute_of_plain_discs_teaches_something() -> None:
    trainer = small_trainer()
    block = make_chunk(discs, 16, 64, 0)
    first = trainer.learn(block)
    for _ in range(40):
        last = trainer.learn(block)
    assert last.values < first.values - 1
    assert last.presence < first.presence


def test_a_stopped_training_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    trainer, block = small_trainer(), make_chunk(discs, 16, 64, 0)
    for _ in range(3):
        trainer.learn(block)
    trainer.save(tmp_path / "state.pt")
    expected = [trainer.learn(block) for _ in range(2)]
    again = Trainer.load(tmp_path / "state.pt", CPU)
    assert [again.learn(block) for _ in range(2)] == expected


def test_a_patch_that_is_turned_takes_its_circles_along() -> None:
    image = np.zeros((20, 30), np.float32)
    image[5, 8:11] = 1  # an object along x at (9, 5)
    table = np.array([[9, 5, 2, 0.5, 0.0, 9, 0, 1]], np.float32)
    for way in np.ndindex(2, 2, 2):
        picture, circles = turned(image, table, *map(bool, way))
        rows, columns = np.nonzero(picture)
        assert circles[0, :2] == pytest.approx([columns.mean(), rows.mean()])
        assert abs(np.cos(circles[0, 4])) == pytest.approx(float(np.ptp(columns) > 0), abs=1e-6)
    assert table[0, 0] == 9


def test_a_batch_is_the_same_for_the_same_stream() -> None:
    block = make_chunk(discs, 4, 64, 0)
    a, b = (make_batch(block.images, block.circles, np.random.default_rng(5)) for _ in range(2))
    torch.testing.assert_close(a.channels, b.channels)
    assert torch.isfinite(a.channels).all()


def test_blocks_follow_from_the_seed_and_differ() -> None:
    maker = BlockMaker(discs, 7, 4, lambda block: 64, workers=0)
    first, second = maker.get(0), maker.get(1)
    assert not np.array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.images, BlockMaker(discs, 7, 4, lambda block: 64, workers=0).get(0).images)


def test_the_last_weights_are_an_average() -> None:
    trainer, block = small_trainer(), make_chunk(discs, 16, 64, 0)
    for _ in range(4):
        trainer.learn(block)
    mean, new = trainer.average.stem.conv.weight, trainer.network.stem.conv.weight
    assert 0 < float((mean - new).detach().abs().max()) < 0.1
    assert all(torch.isfinite(p).all() for p in trainer.average.parameters())


def test_weights_are_small_and_come_back(tmp_path: Path) -> None:
    network = CircleNetwork()
    torch.save(to_data(TrainedNetwork(network, Calibration((0.0, 0.5, 1.0), (0.0, 0.6, 0.9)))), tmp_path / "weights.pt")
    assert (tmp_path / "weights.pt").stat().st_size < 2e6
    back = read_weights(tmp_path / "weights.pt")
    assert back.calibration == Calibration((0.0, 0.5, 1.0), (0.0, 0.6, 0.9))
    for name, value in back.network.state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[name], rtol=1e-3, atol=1e-4)


def test_other_weights_are_refused() -> None:
    data = to_data(TrainedNetwork(CircleNetwork(), Calibration()))
    with pytest.raises(ValueError, match="train them again"):
        from_data({**data, "format": torch.tensor(99)})
    with pytest.raises(ValueError, match="another network"):
        from_data({k: v for k, v in data.items() if "stem" not in k})


def test_the_command_trains_and_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--out", str(tmp_path), "--workers", "0", "--batch", "2", "--block", "4", "--held-out", "2"]
    common += ["--simulator", "detection.learning.toy_patches:discs"]
    assert main([*common, "--steps", "2"]) == 0
    assert (tmp_path / "weights.pt").exists()
    with pytest.raises(SystemExit, match="--resume"):
        main([*common, "--steps", "2"])
    assert main([*common, "--steps", "3", "--resume"]) == 0
    assert "step 3" in capsys.readouterr().out
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 2
    assert parser().parse_args(["--out", "x"]).minutes > 0


def test_a_block_joins_its_chunks() -> None:
    block = BlockMaker(discs, 7, 70, lambda block: 32, workers=0).get(0)
    assert isinstance(block, Block)
    assert len(block.images) == 70 * 16 == len(block.circles) == len(block.kinds)


def test_the_rate_falls_to_nothing_by_the_last_step() -> None:
    open_end, ended = Schedule(), Schedule(last=1000)
    assert ended.rate_at(599) == open_end.rate_at(599) == open_end.rate
    assert ended.rate_at(800) == pytest.approx(open_end.rate / 2)
    assert 0 < ended.rate_at(2000) <= ended.rate_at(999) < 0.03 * open_end.rate
