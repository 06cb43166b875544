"""Threads that help with a call: whoever comes late or stops half way changes nothing, and is not waited for."""

import threading

import numpy as np
import pytest
import torch

from pyrodrop.rendering.kernels.bands import call, operators
from pyrodrop.rendering.kernels.bands.data import NEXT
from pyrodrop.rendering.kernels.bands.reach import GRID, REST, levels
from pyrodrop.rendering.kernels.bands.thread_team import Team

SIZE, N = (150, 130), 12


def scene() -> list[torch.Tensor]:
    """Droplets, some of them broad, a background and an image."""
    g = torch.Generator().manual_seed(0)
    x, y, amplitude = torch.rand(3, N, generator=g)
    r = torch.linspace(3.0, 30.0, N)
    image = torch.rand(1, *SIZE, generator=g)
    return [x * SIZE[1], y * SIZE[0], r, amplitude - 0.3, torch.tensor(0.1), image]


@pytest.mark.parametrize("job", ["BOTH", "DRAW", "VJP"])
def test_a_thread_that_takes_a_band_and_never_comes_back_is_made_up_for(job: str) -> None:
    *leaves, image = scene()
    expected_image = image.clone()
    expected = operators._sweep(job, *leaves, expected_image)
    table = levels(*SIZE, True)
    rows = [t.reshape(1, N).numpy() for t in leaves[:4]]
    picture = image.clone().numpy()
    store = np.empty(int(table[-1, GRID] + table[-1, REST]), np.float32)
    plan = call.Plan(operators.SUPPORT_RADII[torch.float32], operators.BROAD[torch.float32], table)
    droplets = call.Droplets(*rows, leaves[4].reshape(1).numpy())
    what = getattr(call, job)
    prepared = call.prepare(what, droplets, picture, plan, store)
    top, counters, droplets, planes, reach, sums = prepared
    assert top > 0  # so that a lost band of a coarse level is missed by the finer ones
    counters[:, NEXT] = 1
    call.take_part(True, what, top, counters, droplets, planes, plan, reach, sums)
    np.testing.assert_array_equal(picture, expected_image.numpy())
    if job != "DRAW":
        gradients = [np.empty((1, N), np.float32) for _ in range(4)]
        half_squares, by_bg = np.empty(1, np.float32), np.empty(1, np.float32)
        call.add_up(droplets, reach, sums, call.Results(half_squares, *gradients, by_bg))
        for own, other in zip((*gradients, by_bg), expected[1:], strict=True):
            np.testing.assert_array_equal(own.reshape(-1), other.reshape(-1).numpy())


def test_a_member_that_has_no_processor_is_not_waited_for() -> None:
    team, release, begun = Team(), threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        release.wait()

    led: list[int] = []
    team.with_help(2, lambda: begun.wait() and led.append(1), slow)
    # The member is still at its first job; another call is led to its end all the same.
    late: list[int] = []
    team.with_help(2, lambda: led.append(2), lambda: late.append(2))
    assert led == [1, 2]
    release.set()
    # What was withdrawn is never begun; what is offered next is.
    done = threading.Event()
    team.with_help(2, done.wait, done.set)
    assert late == []


def test_members_take_part() -> None:
    team = Team()
    who: set[int] = set()
    together = threading.Barrier(3)

    def work() -> None:
        who.add(threading.get_ident())
        together.wait()

    team.with_help(3, work, work)
    assert len(who) == 3
    assert threading.get_ident() in who


def test_the_gradient_is_the_same_to_the_last_bit_however_many_threads_take_part() -> None:
    *leaves, image = scene()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = operators._sweep("BOTH", *leaves, image)
        torch.set_num_threads(4)
        together = [operators._sweep("BOTH", *leaves, image) for _ in range(50)]
    finally:
        torch.set_num_threads(threads)
    for results in together:
        assert all(torch.equal(own, other) for own, other in zip(results, alone, strict=True))
