"""SIGTERM ends what is under way with an exception, once, and only while it is asked for."""

import os
import signal
import threading
import time
import weakref

import pytest

from pyrodrop.workflows.termination import Terminated, terminated_by_signal


def test_sigterm_is_an_exception_within_and_as_before_without() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def end() -> None:
        with terminated_by_signal():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)

    with pytest.raises(Terminated) as ended:
        end()
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_repeat_does_not_cut_short_what_the_first_has_set_off() -> None:
    put_away = []

    def end() -> None:
        with terminated_by_signal():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                put_away.append(True)

    with pytest.raises(Terminated):
        end()
    assert put_away == [True]


def test_in_another_thread_nothing_changes() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def look() -> None:
        with terminated_by_signal():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]


def test_one_that_falls_into_a_callback_of_the_garbage_collector_is_not_lost() -> None:
    class Thing:
        pass

    def end() -> None:
        with terminated_by_signal():
            thing = Thing()
            gone = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
            del thing
            assert gone() is None
            time.sleep(60)

    with pytest.raises(Terminated):
        end()
