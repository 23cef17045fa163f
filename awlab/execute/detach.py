"""A manager that goes on when its terminal is gone."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from awlab.spec.errors import InputError


def detach(arguments: Sequence[str], log: Path) -> int:
    """Start the `awlab` command in a session of its own and return its process number.

    Args:
        arguments: Of the command.
        log: Takes its output.

    Raises:
        InputError: When the log cannot be written.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "awlab", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise InputError(f"cannot write {log}: {error.strerror or error}") from error
    process.returncode = 0  # Nobody waits for it, on purpose.
    return process.pid
