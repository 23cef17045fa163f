"""A function that is called in a child process: this one must not import what it needs."""

import importlib
import multiprocessing
import os
import pickle
import signal
import traceback
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from awlab.execute.child import environment, server, settle
from awlab.execute.devices import Share


class DeadChildError(RuntimeError):
    """The process of a call died before it answered."""


class Call(ABC):
    """A call that is being answered."""

    @abstractmethod
    def done(self) -> bool:
        """Whether there is a result."""

    @abstractmethod
    def result(self) -> Any:
        """Wait for what the function returns; raise what it raises.

        Raises:
            DeadChildError: When its process died.
        """

    @abstractmethod
    def kill(self) -> None:
        """End the process, if it lives."""


class LocalCall(Call):
    """A call in a child of this process.

    Args:
        target: The function, as `module:name`. What it takes and returns is pickled.
        arguments: Of the function.
        share: What it may use.
        log: Takes what it prints.
        warm: Whether to fork a server that has torch imported, for what stays on the CPU.
    """

    def __init__(
        self, target: str, arguments: Sequence[Any], share: Share, log: Path, *, warm: bool
    ) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        context = server() if warm else multiprocessing.get_context("spawn")
        self._answer, there = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_answer,
            args=(there, target, tuple(arguments), environment(share), share.threads, log),
        )
        self._process.start()
        there.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def done(self) -> bool:
        return self._answer.poll()

    def result(self) -> Any:
        try:
            value, error = self._answer.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode or 0
            how = signal.strsignal(-code) if code < 0 else f"exit code {code}"
            raise DeadChildError(f"the process died: {how}") from None
        finally:
            self._answer.close()
        self._process.join()
        if error is not None:
            raise error
        return value

    def kill(self) -> None:
        if self._process.is_alive():
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.kill()  # It may not lead its group yet.
        self._process.join()


def _answer(
    pipe: Connection,
    target: str,
    arguments: tuple[Any, ...],
    variables: dict[str, str],
    threads: int,
    log: Path,
) -> None:
    settle(variables, threads, log)
    pipe.send(answer(target, arguments))


def answer(target: str, arguments: Sequence[Any]) -> tuple[Any, Exception | None]:
    """Call a function, named as `module:name`; return what it returns, or what it raises."""
    module, _, name = target.partition(":")
    try:
        return getattr(importlib.import_module(module), name)(*arguments), None
    except Exception as error:  # noqa: BLE001 raised again where the answer is awaited
        error.add_note(traceback.format_exc())
        return None, _sendable(error)


def _sendable(error: Exception) -> Exception:
    """The error, or where it cannot be pickled and read back, one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 an error of a plugin may do anything
        said = RuntimeError(f"{type(error).__name__}: {error}")
        said.__notes__ = error.__notes__
        return said
    return error
