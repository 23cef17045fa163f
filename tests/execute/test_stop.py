import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from awlab.execute.exit_codes import INTERRUPTED, PREEMPTED
from awlab.execute.stop import StopRequests


@pytest.fixture(autouse=True)
def _handlers_are_put_back() -> Iterator[None]:
    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
    before = [signal.getsignal(number) for number in watched]
    yield
    assert [signal.getsignal(number) for number in watched] == before


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, INTERRUPTED),
        (signal.SIGTERM, PREEMPTED),
        (signal.SIGUSR1, PREEMPTED),
        (signal.SIGHUP, PREEMPTED),
    ],
)
def test_a_request_is_noted(number: signal.Signals, code: int) -> None:
    with StopRequests() as stop:
        assert stop.code == 0
        os.kill(os.getpid(), number)
        assert stop.code == code


def test_a_second_interrupt_is_raised() -> None:
    with StopRequests() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert stop.code == INTERRUPTED


def test_other_requests_may_come_twice() -> None:
    with StopRequests() as stop:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
        assert stop.code == INTERRUPTED


def test_what_nohup_ignores_stays_ignored() -> None:
    code = (
        "import os, signal\n"
        "from awlab.execute.stop import StopRequests\n"
        "with StopRequests() as stop:\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    assert stop.code == 0\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    assert stop.code == 130\n"
    )
    ignore = "signal.signal(signal.SIGHUP, signal.SIG_IGN); signal.signal(signal.SIGINT, 1)"
    start = f"import signal, subprocess, sys; {ignore}; "
    start += "sys.exit(subprocess.call([sys.executable, '-c', sys.argv[1]], restore_signals=False))"
    subprocess.run([sys.executable, "-c", start, code], check=True)
