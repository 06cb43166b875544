"""Threads that help with a call if they get a processor in time, and are waited for only while they are at work.

OpenMP begins a loop on all its threads and ends it when all of them have been there. Beside other busy processes each
loop then waits until the system has given a processor to every thread, which takes some milliseconds each time. Here
the caller does the work itself, task after task, and whoever of the team has got a processor meanwhile takes tasks,
too. A member that comes too late finds nothing left to do.
"""

import os
import threading
from collections.abc import Callable

Job = Callable[[], object]


class _Member:
    """A thread that sleeps until it is offered a job."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Semaphore(0)
        self._job: Job | None = None
        self._asleep = True
        threading.Thread(target=self._serve, name="pyrodrop", daemon=True).start()

    def offer(self, job: Job) -> None:
        """Do this next; it takes the place of a job that has not been begun."""
        with self._lock:
            self._job = job
            if not self._asleep:
                return
            self._asleep = False
        self._wake.release()

    def withdraw(self, job: Job) -> None:
        """Do not begin a job that was offered, if it has not been begun."""
        with self._lock:
            if self._job is job:
                self._job = None

    def _serve(self) -> None:
        while True:
            self._wake.acquire()
            while True:
                with self._lock:
                    job, self._job = self._job, None
                    self._asleep = job is None
                if job is None:
                    break
                job()
                job = None  # what it holds is the caller's


class Team:
    """Threads of this process, started when they are first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._members: list[_Member] = []
        self._process = os.getpid()

    def with_help(self, threads: int, lead: Job, help_out: Job) -> None:
        """Do a job in the caller's thread, and offer a part of it to others.

        Args:
            threads: how many at most, the caller's own counted.
            lead: does all of the work that nobody else has begun; when it returns, all is done.
            help_out: takes part for as long as there is something to do; must let go of the interpreter's lock.
        """
        members = self._first(threads - 1)
        for member in members:
            member.offer(help_out)
        try:
            lead()
        finally:
            for member in members:
                member.withdraw(help_out)

    def _first(self, number: int) -> list[_Member]:
        if len(self._members) < number or self._process != os.getpid():
            with self._lock:
                if self._process != os.getpid():  # a fork has the list and not the threads
                    self._members, self._process = [], os.getpid()
                self._members += [_Member() for _ in range(number - len(self._members))]
        return self._members[:number]
