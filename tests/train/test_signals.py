import os
import signal
import threading

import pytest

from awlab.execute.exit_codes import INTERRUPTED, PREEMPTED
from awlab.train.signals import StopError, StopSignals

CASES = [
    (signal.SIGTERM, PREEMPTED),
    (signal.SIGUSR1, PREEMPTED),
    (signal.SIGINT, INTERRUPTED),
]


@pytest.mark.parametrize(("number", "code"), CASES)
def test_a_signal_is_obeyed_at_once(number, code):
    with StopSignals(), pytest.raises(StopError) as stopped:
        os.kill(os.getpid(), number)
    assert stopped.value.code == code


@pytest.mark.parametrize(("number", "code"), CASES)
def test_a_deferred_signal_is_noted_and_nothing_else(number, code):
    with StopSignals() as stop:
        stop.deferred = True
        assert stop.code == 0
        os.kill(os.getpid(), number)
        assert stop.code == code


@pytest.mark.fault
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_comes_in_a_destructor_is_not_lost():
    class Ends:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)
            sum(range(1000))

    with StopSignals() as stop:
        Ends()  # What is raised in there, Python only prints.
        assert stop.code == PREEMPTED


@pytest.mark.fault
def test_a_second_request_during_a_save_is_noted_and_the_save_ends():
    saved = []
    with StopSignals() as stop:
        stop.deferred = True
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGUSR1):
            os.kill(os.getpid(), number)
        saved.append("whole")
        assert stop.code == PREEMPTED
    assert saved == ["whole"]


def test_the_first_signal_decides():
    with StopSignals() as stop:
        stop.deferred = True
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.code == PREEMPTED


def test_a_second_interrupt_is_raised():
    with StopSignals() as stop:
        stop.deferred = True
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_signals_taken_by_others_are_taken_back_and_given_back_at_the_end():
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals() as stop:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stop.listen()
        with pytest.raises(StopError):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_outside_of_the_main_thread_nothing_happens():
    codes = []

    def listen():
        with StopSignals() as stop:
            codes.append(stop.code)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert codes == [0]
