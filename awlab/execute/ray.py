"""A Ray cluster: each run is an actor on one of its machines, which executes it as a child process.

The folder of the runs is one that all machines share. A machine that dies takes its runs along;
they count as preempted, and go on from their checkpoints on another.
"""
# pyright: standard
# Ray tells few of its types.

import logging
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from awlab.execute.backend import Backend
from awlab.execute.call import Call, DeadChildError, answer
from awlab.execute.child import Child, FreshChild, write_into
from awlab.execute.devices import Lender, Share
from awlab.execute.exit_codes import FAILED, PREEMPTED
from awlab.spec.errors import InputError

CONNECTION_ATTEMPTS = 3
CLIENT_SERVER_FAILED = ("Starting Ray client server failed", "Initialization failure from server")
"""What a cluster answers when the process that it forks for a client got stuck or died: it may."""
LOOK_SECONDS = 2.0
"""Time between two looks at which machines there are."""
POLL_SECONDS = 0.05
ANY = "any"
"""Stands for a GPU that Ray will choose."""
HANDED_ON = ("WANDB_", "AWLAB_", "PYTHONPATH", "OMP_")
"""What the environment of a run takes from here; the rest it takes from its machine."""


class Cluster(Backend):
    """The machines of a Ray cluster.

    Args:
        address: As in `ray://HOST:PORT`; None for RAY_ADDRESS, else the cluster that this machine
            is part of, else one that is made of this machine alone.
        devices_per_run: GPUs that a run gets at once; on the CPU, its processes.
        runs_per_device: Runs that share a GPU.
        gpus: Whether to use the GPUs; None to use them when there are any.
        at_once: Most runs at once; None for as many as fit.

    Raises:
        InputError: When there is no such cluster, or no run fits on any of its machines.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        devices_per_run: int = 1,
        runs_per_device: int = 1,
        gpus: bool | None = None,
        at_once: int | None = None,
    ) -> None:
        _connect(address)
        if gpus is None:
            gpus = any(_has(node, "GPU") for node in _nodes())
        self._devices = Machines(
            devices_per_run, runs_per_device=runs_per_device, gpus=gpus, at_once=at_once
        )
        if not self.devices.capacity:
            raise InputError(
                f"a run needs {devices_per_run} {'GPUs' if gpus else 'CPUs'} on one machine; the "
                f"machines of the Ray cluster have {_inventory()}"
            )

    @property
    def devices(self) -> "Machines":
        return self._devices

    def start(self, arguments: Sequence[str], share: Share, log: Path) -> Child:
        return RayChild(arguments, share, log, self._wanted(share))

    def call(self, target: str, arguments: Sequence[Any], share: Share, log: Path) -> Call:
        return RayCall(target, arguments, share, log, self._wanted(share))

    def _wanted(self, share: Share) -> dict[str, Any]:
        """Resources that Ray sets aside."""
        processes = len(share.devices) or self.devices.devices_per_run
        wanted: dict[str, Any] = {"num_cpus": processes * share.threads}
        if share.devices:
            wanted["num_gpus"] = len(share.devices) / self.devices.runs_per_device
        return wanted


class Machines(Lender):
    """The devices of all machines, as far as they are alive at the moment."""

    def __init__(
        self, devices_per_run: int, *, runs_per_device: int, gpus: bool, at_once: int | None
    ) -> None:
        self.runs_per_device = runs_per_device
        self._devices_per_run = devices_per_run
        self.gpus = gpus
        self._at_once = at_once
        self._lent = 0
        self._capacity = 0
        self._looked = float("-inf")
        self._threads = self._cores_per_device()

    @property
    def devices_per_run(self) -> int:
        return self._devices_per_run

    @property
    def capacity(self) -> int:
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            self._capacity = sum(map(self._fit, _nodes()))
        return min(self._capacity, self._at_once or self._capacity)

    def lend(self) -> Share | None:
        if self._lent >= self.capacity:
            return None
        self._lent += 1
        return Share((ANY,) * self._devices_per_run if self.gpus else (), self._threads)

    def take_back(self, share: Share) -> None:
        del share
        self._lent -= 1

    def _fit(self, node: dict[str, float]) -> int:
        """Runs that a machine can execute at once."""
        if not self.gpus:
            return int(_has(node, "CPU") // self._devices_per_run)
        by_gpu = int(_has(node, "GPU") // self._devices_per_run) * self.runs_per_device
        return min(by_gpu, int(_has(node, "CPU") // (self._devices_per_run * self._threads)))

    def _cores_per_device(self) -> int:
        """Threads of a process, so that the machine with the fewest cores per GPU is not tight."""
        if not self.gpus:
            return 1
        shares = [_has(node, "CPU") / _has(node, "GPU") for node in _nodes() if _has(node, "GPU")]
        return max(1, int(min(shares, default=1.0) / self.runs_per_device))


class RayChild(Child):
    """A run on some machine of the cluster.

    Args:
        arguments: Of the `awlab` command.
        share: What the run may use.
        log: Takes its output.
        wanted: Resources that Ray sets aside.
    """

    pid = 0

    def __init__(
        self, arguments: Sequence[str], share: Share, log: Path, wanted: dict[str, Any]
    ) -> None:
        # One thread waits for the child, the other takes signals.
        self._actor: Any = ray.remote(_Executor).options(max_concurrency=2, **wanted).remote()
        place = _Place(log)
        self._ended = self._actor.run.remote(place, list(arguments), share.threads)
        self._log = log
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None and ray.wait([self._ended], timeout=0)[0]:
            self._code = self._read()
            ray.kill(self._actor)
        return self._code

    def send(self, number: signal.Signals) -> None:
        if number == signal.SIGKILL:
            ray.kill(self._actor)  # Its child dies with it.
        elif self.poll() is None:
            self._actor.send.remote(int(number))

    def _read(self) -> int:
        try:
            return ray.get(self._ended)
        except RayTaskError as error:  # It could not even begin.
            with suppress(OSError), self._log.open("a", encoding="utf-8") as log:
                log.write(str(error))
            return FAILED
        except RayError:  # Its machine died, or Ray killed it for memory.
            return PREEMPTED


class RayCall(Call):
    """A call in a process on some machine of the cluster."""

    def __init__(
        self,
        target: str,
        arguments: Sequence[Any],
        share: Share,
        log: Path,
        wanted: dict[str, Any],
    ) -> None:
        function: Any = ray.remote(max_retries=0, max_calls=1, **wanted)(_answer)
        self._answer: Any = function.remote(_Place(log), target, tuple(arguments), share.threads)

    def done(self) -> bool:
        return bool(ray.wait([self._answer], timeout=0)[0])

    def result(self) -> Any:
        try:
            value, error = ray.get(self._answer)
        except RayError as error:
            raise DeadChildError(f"the process died: {error}") from None
        if error is not None:
            raise error
        return value

    def kill(self) -> None:
        if not self.done():
            ray.cancel(self._answer, force=True)


class _Place:
    """Makes a process of another machine feel at home: our folder, log and variables."""

    def __init__(self, log: Path) -> None:
        self.folder = Path.cwd()
        self.log = log
        given = {name: value for name, value in os.environ.items() if name.startswith(HANDED_ON)}
        self.variables = given

    def enter(self) -> None:
        os.chdir(self.folder)
        os.environ.update(self.variables)


class _Executor:
    """Executes a run as a child process, on the machine where Ray has put it."""

    def __init__(self) -> None:
        self._child: Child | None = None
        self._asked: list[signal.Signals] = []

    def run(self, place: _Place, arguments: Sequence[str], threads: int) -> int:
        place.enter()
        share = Share(_gpus(), threads)
        self._child = FreshChild(arguments, share, place.log)
        while (code := self._child.poll()) is None:
            while self._asked:
                self._child.send(self._asked.pop())
            time.sleep(POLL_SECONDS)
        self._child.send(signal.SIGKILL)  # Loader processes and ranks that it left behind.
        return code

    def send(self, number: int) -> None:
        self._asked.append(signal.Signals(number))


def _answer(
    place: _Place, target: str, arguments: tuple[Any, ...], threads: int
) -> tuple[Any, Exception | None]:
    place.enter()
    os.environ["OMP_NUM_THREADS"] = str(threads)
    write_into(place.log)
    return answer(target, arguments)


def _gpus() -> tuple[str, ...]:
    return tuple(str(gpu) for gpu in ray.get_gpu_ids())


def _connect(address: str | None) -> None:
    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    where = address or os.environ.get("RAY_ADDRESS") or "this machine"
    for attempts_left in reversed(range(CONNECTION_ATTEMPTS)):
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            may_pass = any(words in str(error) for words in CLIENT_SERVER_FAILED)
            if not attempts_left or not may_pass:
                raise InputError(f"no Ray cluster at {where}: {error}") from error
        else:
            return


def _nodes() -> list[dict[str, float]]:
    """What each living machine has."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _has(node: dict[str, float], resource: str) -> float:
    return node.get(resource, 0.0)


def _inventory() -> str:
    return (
        "; ".join(f"{_has(node, 'CPU'):g} CPUs, {_has(node, 'GPU'):g} GPUs" for node in _nodes())
        or "nothing"
    )
