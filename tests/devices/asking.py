"""Questions that are asked on the second device, and how their answers are put."""

from collections.abc import Callable
from typing import Any

from devices.second_device import WAITS, MixedError

Question = Callable[[], None]
QUESTIONS: dict[str, Question] = {}
SLOW: set[str] = set()


def question(function: Question) -> Question:
    """Put a function, which fails if the answer is wrong, among those that are asked."""
    QUESTIONS[function.__name__] = function
    return function


def slow_question(function: Question) -> Question:
    """The same of one that takes more than some seconds."""
    SLOW.add(function.__name__)
    return question(function)


def refused(call: Callable[[], Any]) -> bool:
    """Whether the second device refuses what is called."""
    try:
        call()
    except MixedError:
        return True
    return False


def waits(call: Callable[[], Any]) -> int:
    """How often the host waits for the device."""
    before = WAITS.total()
    call()
    return WAITS.total() - before
