import os
import signal

from awlab.execute import exit_codes


def test_codes_are_those_that_shells_and_schedulers_know() -> None:
    assert exit_codes.PREEMPTED == os.EX_TEMPFAIL
    assert exit_codes.CLAIMED == os.EX_CANTCREAT
    assert exit_codes.DISK_FULL == os.EX_IOERR
    assert exit_codes.INTERRUPTED == 128 + signal.SIGINT


def test_codes_differ() -> None:
    codes = [value for name, value in vars(exit_codes).items() if name.isupper()]
    assert len(set(codes)) == len(codes) == 6
