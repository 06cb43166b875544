"""Torch's small operations on one thread: for as long as a block lasts, and not for the kernel."""

import threading
from collections.abc import Iterator

import pytest
import torch

import pyrodrop
from pyrodrop.inference import svi
from pyrodrop.rendering.kernels.bands import operators
from pyrodrop.rendering.kernels.bands.one_thread import threads_given, torch_on_one_thread
from pyrodrop.workflows.fitting.many import fit_many


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_the_block_has_one_thread_and_the_kernel_those_that_were_given(three_threads: None) -> None:
    with torch_on_one_thread():
        assert (torch.get_num_threads(), threads_given()) == (1, 3)
        with torch_on_one_thread():
            assert (torch.get_num_threads(), threads_given()) == (1, 3)
        assert (torch.get_num_threads(), threads_given()) == (1, 3)
    assert (torch.get_num_threads(), threads_given()) == (3, 3)


def test_it_is_given_back_where_something_goes_wrong(three_threads: None) -> None:
    with pytest.raises(ZeroDivisionError), torch_on_one_thread():
        _ = 1 / 0
    assert (torch.get_num_threads(), threads_given()) == (3, 3)


def test_another_thread_is_not_held(three_threads: None) -> None:
    seen: list[int | None] = []
    with torch_on_one_thread():
        other = threading.Thread(target=lambda: seen.append(operators.threads_given()))
        other.start()
        other.join()
    assert seen == [torch.get_num_threads()] or seen == [1]  # torch's own number, whatever that is meanwhile


def test_the_steps_of_a_fit_run_so_and_the_caller_keeps_what_was(
    three_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside busy processes a square root of 4,000 numbers waited 23 ms for a thread of OpenMP, at every step."""
    seen: list[tuple[int, int]] = []
    steps = svi.MeanField.run

    def noted(*arguments: object, **named: object) -> object:
        seen.append((torch.get_num_threads(), threads_given()))
        return steps(*arguments, **named)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(svi.MeanField, "run", noted)
    channel = pyrodrop.simulate(3, (40, 50), seed=0, kind="gray")[0].channel("gray")
    pyrodrop.fit(channel, 3, steps=60, progress=False)
    fit_many([channel, channel], 3, steps=20, progress=False)
    assert len(seen) >= 3
    assert set(seen) == {(1, 3)}
    assert torch.get_num_threads() == 3
