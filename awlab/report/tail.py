"""A log that is read while it grows."""

import codecs
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from awlab.spec.errors import InputError

POLL_SECONDS = 0.2


def read(file: Path, *, until: Callable[[], bool] | None = None) -> Iterator[str]:
    """Yield the text of a log, and what is added to it.

    Args:
        file: The log.
        until: Whether nobody will add anything any more; None ends with what is there.

    Raises:
        InputError: When it cannot be read.
    """
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    try:
        with file.open("rb") as log:
            while True:
                over = until is None or until()  # Asked before the last look, not after it.
                if text := decode(log.read()):
                    yield text
                if over:
                    return
                time.sleep(POLL_SECONDS)
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
