"""What is proposed does not depend on how the image is turned, inverted, scaled or cut into tiles."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pyrodrop.detection.network.architecture import CircleNetwork
from pyrodrop.detection.network.calibration import Calibration
from pyrodrop.detection.network.canonical import View
from pyrodrop.detection.network.weights import TrainedNetwork, to_data
from pyrodrop.detection.propose import Proposals, propose

TURNS = [View(bool(k & 1), bool(k & 2), bool(k & 4), sign) for k in range(8) for sign in (1, -1)]


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a network that has learnt nothing and proposes much: what must hold for any weights is seen in it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = CircleNetwork((8, 8, 12, 12, 12))
        for head in network.head:
            torch.nn.init.normal_(head.weight, std=0.7)
            torch.nn.init.constant_(head.bias[:2], -4.0)
            torch.nn.init.zeros_(head.weight[2:8])
    path = tmp_path_factory.mktemp("weights") / "weights.pt"
    torch.save(to_data(TrainedNetwork(network, Calibration((0.0, 0.5, 1.0), (0.0, 0.6, 1.0)))), path)
    return path


def grain(*shape: int, seed: int = 0) -> np.ndarray:
    """Noise with a long tail to one side."""
    return np.random.default_rng(seed).gamma(2, size=shape).astype(np.float32)


def ordered(x: np.ndarray, y: np.ndarray, p: Proposals) -> np.ndarray:
    """Proposals as a table in an order of its own."""
    table = np.column_stack([x, y, p.circles[:, 2], p.sd, p.presence, p.axis_ratio])
    return table[np.lexsort(np.round(table[:, [2, 1, 0]], 4).T)]


def assert_same(a: np.ndarray, b: np.ndarray) -> None:
    """The same proposals, but for one at most that rounding moves over a step of the calibration or the threshold."""
    distance = np.abs(a[:, None] - b[None]).max(-1)
    assert (distance.min(1) > 1e-3).sum() <= 1
    assert (distance.min(0) > 1e-3).sum() <= 1


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("shape", [(70, 70), (50, 90)])
def test_a_turned_image_has_turned_circles(talkative: Path, turn: View, shape: tuple[int, int]) -> None:
    image = grain(*shape)
    expected = propose(image, weights=talkative)
    seen = propose(3.7 * turn.of(image) + 12, weights=talkative)
    x, y = turn.point_back(*seen.circles[:, :2].numpy().T, shape)
    assert len(expected) > 10
    assert_same(ordered(x, y, seen), ordered(*expected.circles[:, :2].numpy().T, expected))
    brighter = seen.brighter if turn.sign > 0 else 1 - seen.brighter
    assert float((brighter.mean() - expected.brighter.mean()).abs()) < 1e-2


@pytest.mark.parametrize("tile", [128, 320])
def test_tiles_agree_with_the_whole(talkative: Path, tile: int) -> None:
    image = grain(500, 750)
    whole, tiled = propose(image, weights=talkative), propose(image, weights=talkative, tile=tile)
    assert len(whole) > 100
    assert_same(ordered(*tiled.circles[:, :2].numpy().T, tiled), ordered(*whole.circles[:, :2].numpy().T, whole))


@pytest.mark.parametrize("value", [0.0, 255.0, np.nan])
def test_an_image_of_one_value_has_no_droplets(talkative: Path, value: float) -> None:
    assert len(propose(np.full((64, 64), value), weights=talkative)) == 0


def test_proposals_are_inside_image_and_mask(talkative: Path) -> None:
    mask = np.zeros((80, 100), bool)
    mask[:, 20:60] = True
    found = propose(grain(80, 100), mask, weights=talkative)
    assert len(found) > 5
    assert float(found.circles[:, 0].min()) >= 19.5
    assert float(found.circles[:, 0].max()) < 59.5


def test_pixels_outside_the_mask_do_not_matter(talkative: Path) -> None:
    image, mask = grain(80, 100), np.ones((80, 100), bool)
    mask[:, :30] = False
    other = np.where(mask, image, np.nan)
    a, b = propose(image, mask, weights=talkative), propose(other, weights=talkative)
    torch.testing.assert_close(a.circles, b.circles)


def test_the_likeliest_come_first_and_the_unlikely_not_at_all(talkative: Path) -> None:
    presence = propose(grain(80, 80), weights=talkative, least_presence=0.1).presence
    assert (presence[:-1] >= presence[1:]).all()
    assert float(presence.min()) >= 0.1


def test_tensors_and_arrays_are_the_same_image(talkative: Path) -> None:
    image = grain(60, 60)
    torch.testing.assert_close(
        propose(torch.from_numpy(image), weights=talkative).circles, propose(image.tolist(), weights=talkative).circles
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image": np.zeros((3, 20, 20))}, "give one channel"),
        ({"image": np.zeros((20, 20)), "mask": np.ones((4, 4))}, "expected that of the image"),
        ({"image": np.zeros((20, 20)), "tile": 100}, "multiple of 32"),
    ],
)
def test_what_cannot_be_read_is_refused(arguments: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        propose(**arguments)


def test_missing_weights_say_how_to_get_some(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="train"):
        propose(grain(40, 40), weights=tmp_path / "none.pt")
