"""Torch's own operations on one thread, while the ``bands`` kernel keeps the threads that torch was given.

Torch splits some operations, square roots and logarithms among them, from 2,048 numbers on between threads of OpenMP,
which wait for each other: a microsecond's work that beside busy processes took 23 milliseconds, at each step of a fit.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class _Given(threading.local):
    """How many threads torch was given, while it is held to one."""

    threads: int | None = None


_given = _Given()


def threads_given() -> int:
    """How many threads a call in this thread may run on: torch's number, whether or not it is held to one."""
    return torch.get_num_threads() if _given.threads is None else _given.threads


@contextmanager
def torch_on_one_thread() -> Iterator[None]:
    """Hold torch's operations to one thread in this block, and no others than the ``bands`` kernel's use more."""
    if _given.threads is not None:
        yield
        return
    before = torch.get_num_threads()
    _given.threads = before
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _given.threads = None
