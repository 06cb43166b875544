"""Workers on the parts of an image: every answer once, whoever dies."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import tifffile
from workflows.tiles.tile_work import brightness, dies, dies_once

from pyrodrop.workflows.settings import SettingError
from pyrodrop.workflows.tiles.large_image import LargeImage, open_large_image
from pyrodrop.workflows.tiles.workers import Workers

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills processes")


@pytest.fixture
def plane(tmp_path: Path) -> LargeImage:
    tifffile.imwrite(tmp_path / "image.tif", np.zeros((9, 12), np.uint8))
    return open_large_image(tmp_path / "image.tif")


@pytest.mark.parametrize("number", [1, 2])
def test_every_call_is_answered_once(number: int, plane: LargeImage) -> None:
    with Workers(plane, None, number) as workers:
        answers = dict(workers.each(brightness, [(float(k),) for k in range(7)]))
    assert {k: value for k, (_, value) in answers.items()} == {k: 9.0 * k for k in range(7)}
    here = {process == os.getpid() for process, _ in answers.values()}
    assert here == {number == 1}


@pytest.mark.slow
def test_what_a_worker_that_dies_was_at_is_done_by_another(plane: LargeImage, tmp_path: Path) -> None:
    marker = tmp_path / "died"
    with Workers(plane, None, 2) as workers:
        answers = list(workers.each(dies_once, [(marker, k) for k in range(7)]))
    assert marker.exists()
    assert sorted(answers) == [(k, k) for k in range(7)]


@pytest.mark.slow
def test_a_call_that_kills_every_worker_is_told_and_the_rest_is_done_before(plane: LargeImage) -> None:
    answers: list[tuple[int, int]] = []
    with Workers(plane, None, 2) as workers, pytest.raises(SettingError, match="killed, most likely for want of"):
        answers.extend(workers.each(dies, [(k,) for k in range(7)]))
    assert len(answers) == len(set(answers))
    assert {(0, 0), (1, 1), (2, 2)} <= set(answers) <= {(k, k) for k in range(7) if k != 3}
